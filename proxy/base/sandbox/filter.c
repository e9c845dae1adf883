/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the seccomp filter of each role. The happy path is: what every thread of a C library
 * needs, and the lists of the role, become allow rules; everything else is refused; the filter is
 * loaded for the calling thread alone.
 *
 * Rules look at the call's number only, wherever that will do: the kernel (5.11) then answers from
 * a bitmap without running the filter. Names rather than numbers, because the two architectures
 * differ; one that this architecture or library does not know (epoll_wait on aarch64) is skipped.
 *
 * Failure modes: the kernel has no seccomp, or forbids it (error up, the caller decides); a library
 * calls what is not in a list (EPERM and an audit line, so that an update of the C library costs a
 * feature at worst, not the process).
 */
#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/sandbox.h"
#include "proxy/base/sandbox/privileges.h"

/* Memory, locks, time, an orderly end and a disorderly one (abort), descriptors it was given. */
static const char *const common_calls[] = {
	"brk",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"close",
	"exit",
	"exit_group",
	"fcntl",
	"fstat",
	"futex",
	"getcpu",
	"getpid",
	"getrandom",
	"gettid",
	"gettimeofday",
	"madvise",
	"membarrier",
	"mmap",
	"mprotect",
	"mremap",
	"munmap",
	"nanosleep",
	"newfstatat",
	"poll",
	"ppoll",
	"prctl",
	"read",
	"readv",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sched_getaffinity",
	"sched_setaffinity",
	"sched_yield",
	"set_robust_list",
	"sigaltstack",
	"tgkill",
	"write",
	"writev",
	NULL,
};

static const char *const worker_calls[] = {
	"accept4",       "bind",      "close_range", "connect",      "dup",        "dup3",
	"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2",
	"getpeername",   "getrusage", "getsockname", "getsockopt",   "ioctl",      "pipe2",
	"recvfrom",      "recvmsg",   "sendmsg",     "sendto",       "setsockopt", "shutdown",
	"socket",        "splice",    NULL,
};

/* To print a link-local address, its interface's name is asked for through a socket. */
static const char *const writer_calls[] = {"ioctl", "fsync", "lseek", NULL};

/* What libmicrohttpd and our loop call on listening sockets that are open already. */
static const char *const admin_calls[] = {
	"accept4",     "epoll_ctl",  "epoll_pwait", "epoll_pwait2", "epoll_wait", "getpeername",
	"getsockname", "getsockopt", "ioctl",       "recvfrom",     "recvmsg",    "sendmsg",
	"sendto",      "setsockopt", "shutdown",    NULL,
};

/* What getaddrinfo(3) comes to with the usual modules: files, dns, resolve, myhostname, mymachines
 * and nis, each of which may be loaded in the call. */
static const char *const resolver_calls[] = {
	"access",      "bind",           "close_range",     "connect",
	"dup",         "dup3",           "epoll_create1",   "epoll_ctl",
	"epoll_pwait", "epoll_wait",     "eventfd2",        "faccessat",
	"faccessat2",  "fadvise64",      "fstatfs",         "getcwd",
	"getdents64",  "getegid",        "geteuid",         "getgid",
	"getpeername", "getppid",        "getsockname",     "getsockopt",
	"getuid",      "ioctl",          "lseek",           "lstat",
	"open",        "openat",         "pread64",         "prlimit64",
	"readlink",    "readlinkat",     "recvfrom",        "recvmmsg",
	"recvmsg",     "sendmmsg",       "sendmsg",         "sendto",
	"setsockopt",  "shutdown",       "socket",          "socketpair",
	"stat",        "statfs",         "statx",           "sysinfo",
	"time",        "timerfd_create", "timerfd_settime", "uname",
	NULL,
};

/* libcurl asks for a name in a thread; that is all it needs beyond what names themselves take. */
static const char *const zone_calls[] = {"clone", "clone3", "pipe2", NULL};

static const char *const health_calls[] = {
	"connect",  "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "getsockopt",
	"recvfrom", "sendto",    "setsockopt",  "socket",       NULL,
};

/* Beyond what a resolver, libcurl and the parts of a loop take: files that are written whole,
 * directories that are watched. */
static const char *const control_calls[] = {
	"accept4",
	"chmod",
	"epoll_pwait2",
	"fchmod",
	"fchmodat",
	"fdatasync",
	"flock",
	"fsync",
	"ftruncate",
	"getrusage",
	"inotify_add_watch",
	"inotify_init1",
	"inotify_rm_watch",
	"linkat",
	"mkdirat",
	"pwrite64",
	"rename",
	"renameat",
	"renameat2",
	"rt_sigtimedwait",
	"set_tid_address",
	"signalfd4",
	"timerfd_gettime",
	"umask",
	"unlink",
	"unlinkat",
	NULL,
};

/* libbpf and rtnetlink; a link is unpinned by its path. */
static const char *const offload_calls[] = {
	"bind",         "bpf",        "close_range", "connect",    "epoll_ctl",  "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "faccessat",   "faccessat2", "getdents64", "getsockname",
	"getsockopt",   "ioctl",      "lseek",       "open",       "openat",     "readlink",
	"readlinkat",   "recvfrom",   "recvmsg",     "rmdir",      "sendmsg",    "sendto",
	"setsockopt",   "socket",     "statfs",      "unlink",     "unlinkat",   NULL,
};

static const char *const cellar_calls[] = {"recvmsg", "sendmsg", NULL};

static const char *const main_calls[] = {
	"accept",
	"capget",
	"capset",
	"chmod",
	"clone",
	"clone3",
	"fchmod",
	"fchmodat",
	"fchown",
	"fchownat",
	"fdatasync",
	"flock",
	"fsync",
	"ftruncate",
	"getgroups",
	"getresgid",
	"getresuid",
	"getrlimit",
	"kcmp",
	"kill",
	"link",
	"linkat",
	"listen",
	"mkdir",
	"mkdirat",
	"pidfd_getfd",
	"pidfd_open",
	"pidfd_send_signal",
	"pipe",
	"pwrite64",
	"rename",
	"renameat",
	"renameat2",
	"rt_sigqueueinfo",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_tgsigqueueinfo",
	"seccomp",
	"set_tid_address",
	"setrlimit",
	"signalfd4",
	"timerfd_gettime",
	"umask",
	"unlink",
	"unlinkat",
	"wait4",
	"waitid",
	NULL,
};

static const char *const *const role_calls[SANDBOX_ROLES] = {
	[SANDBOX_MAIN] = main_calls,       [SANDBOX_WORKER] = worker_calls,
	[SANDBOX_WRITER] = writer_calls,   [SANDBOX_RESOLVER] = resolver_calls,
	[SANDBOX_ZONE] = zone_calls,       [SANDBOX_HEALTH] = health_calls,
	[SANDBOX_ADMIN] = admin_calls,     [SANDBOX_CONTROL] = control_calls,
	[SANDBOX_OFFLOAD] = offload_calls, [SANDBOX_CELLAR] = cellar_calls,
};

enum mode { MODE_REFUSE, MODE_KILL, MODE_OFF };

static enum mode wanted_mode(void)
{
	const char *value = getenv("SLUICE_SECCOMP");

	if (value && !strcmp(value, "off"))
		return MODE_OFF;
	return value && !strcmp(value, "kill") ? MODE_KILL : MODE_REFUSE;
}

static int allow(scmp_filter_ctx filter, const char *const *names)
{
	for (; *names; names++) {
		int number = seccomp_syscall_resolve_name(*names);
		int r;

		if (number < 0)
			continue;
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int allow_role(scmp_filter_ctx filter, enum sandbox_role role)
{
	const struct scmp_arg_cmp unix_only = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_UNIX};
	int r = allow(filter, common_calls);

	/* Threads start with main's filter and can only add to it. */
	for (int i = 0; !r && i < SANDBOX_ROLES; i++)
		if (i == (int)role || (role == SANDBOX_MAIN && i != SANDBOX_CONTROL))
			r = allow(filter, role_calls[i]);
	if (!r && role == SANDBOX_CONTROL)
		r = allow(filter, zone_calls);
	if (!r && (role == SANDBOX_ZONE || role == SANDBOX_CONTROL))
		r = allow(filter, resolver_calls);
	if (!r && role == SANDBOX_WRITER)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &unix_only);
	return r;
}

static int set_attributes(scmp_filter_ctx filter)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (r < 0)
		return r;
	/* Both are a convenience that old kernels or libraries lack: an audit line for what is
	 * refused, and a binary search instead of a linear one. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return 0;
}

static int load_filter(enum sandbox_role role, enum mode mode)
{
	uint32_t refuse = mode == MODE_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
	scmp_filter_ctx filter = seccomp_init(refuse);
	int r;

	if (!filter)
		return -ENOMEM;
	r = set_attributes(filter);
	if (!r)
		r = allow_role(filter, role);
	if (!r)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int sandbox_enter(enum sandbox_role role)
{
	/* libseccomp keeps what it learnt of the kernel in plain globals. */
	static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;
	enum mode mode = wanted_mode();
	int r = 0;

	if (role == SANDBOX_OFFLOAD)
		r = privileges_keep_offload();
	else if (role != SANDBOX_MAIN)
		r = privileges_drop_all();
	if (r < 0 || mode == MODE_OFF)
		return r;
	pthread_mutex_lock(&library);
	r = load_filter(role, mode);
	pthread_mutex_unlock(&library);
	return r;
}
