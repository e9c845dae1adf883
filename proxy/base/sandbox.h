/* SPDX-License-Identifier: Apache-2.0
 *
 * What the process and each of its threads may still do once it serves: which user, which
 * capabilities (capabilities(7)), which system calls (seccomp(2)).
 *
 * The variable SLUICE_SECCOMP says what a call outside a thread's filter comes to: EPERM and an
 * audit line if it is not set, the end of the process if it is `kill` (tests), and with `off` there
 * is no filter (debuggers and sanitizers make calls of their own).
 */
#pragma once

#include <stdbool.h>

enum sandbox_role {
	SANDBOX_MAIN,     /* opens, binds, reads configuration, starts threads, takes signals */
	SANDBOX_WORKER,   /* moves bytes */
	SANDBOX_WRITER,   /* writes a log to a descriptor it was given */
	SANDBOX_RESOLVER, /* asks the system's resolver for names */
	SANDBOX_ZONE,     /* asks a metadata service, by address or by name */
	SANDBOX_HEALTH,   /* connects to targets and reads what they answer */
	SANDBOX_ADMIN,    /* reads and answers requests, on sockets it was given */
	SANDBOX_OFFLOAD,  /* makes and silences sockets, fills maps, attaches programs */
	SANDBOX_CELLAR,   /* receives sockets and closes them */
	SANDBOX_CONTROL,  /* all of sluice-control: asks services by name, writes its state */
	SANDBOX_ROLES
};

/* Capabilities that somebody still needs. */
enum sandbox_keep {
	SANDBOX_KEEP_NOTHING = 0,
	SANDBOX_KEEP_PORTS = 1 << 0,   /* CAP_NET_BIND_SERVICE */
	SANDBOX_KEEP_OFFLOAD = 1 << 1, /* CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON */
};

/* Become `user`, with its groups, for good; keep only what `keep` (enum sandbox_keep) says. Called
 * by main before it starts threads. Unless root, or with `user` NULL, nobody is dropped;
 * no_new_privs is set in any case. 0, -ENOENT (no such user), or -errno: then do not go on. */
int sandbox_drop_user(const char *user, unsigned keep);

/* The calling thread gives up what it is not to keep any longer; not being root, or root that was
 * not told to become somebody, has nothing to give up here. 0 or -errno. */
int sandbox_keep_only(unsigned keep);

/* No core dump and no ptrace(2) by our own user: for a process that holds secrets. Behind the
 * change of user, which takes this back. 0 or -errno. */
int sandbox_forbid_dumps(void);

/* Give up the last capability of the calling thread. 0 or -errno. */
int sandbox_drop_net_bind(void);

/* For the calling thread: no capability unless it is main or the offload's, and the filter of its
 * role. Threads
 * started later inherit the filter, so main's allows whatever any role needs. 0 or -errno;
 * -EINVAL or -ENOSYS where the kernel has no seccomp. */
int sandbox_enter(enum sandbox_role role);
