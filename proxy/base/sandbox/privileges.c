/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the way from root to an ordinary user. The happy path is: empty the bounding set, so that
 * nothing can ever come back; take on the user's groups and ids, keeping capabilities across that
 * step; reduce them to CAP_NET_BIND_SERVICE; forbid new privileges.
 *
 * Failure modes: there is no such user; a container withholds CAP_SETUID or CAP_SETGID (EPERM up,
 * the caller must not serve as root instead) or CAP_SETPCAP (the bounding set stays, which matters
 * to exec alone, and no_new_privs covers that); CAP_NET_BIND_SERVICE was not ours to keep (it is
 * not kept then: binding a low port will say so).
 *
 * Raw capset(2) concerns the calling thread only, setresuid(2) through the C library all of them;
 * those that kept nothing lose their capabilities in it.
 */
#include "proxy/base/sandbox/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/sandbox.h"

/* The capabilities of enum sandbox_keep, a bit each. */
static uint64_t mask_of(unsigned keep)
{
	uint64_t mask = 0;

	if (keep & SANDBOX_KEEP_PORTS)
		mask |= UINT64_C(1) << CAP_NET_BIND_SERVICE;
	if (keep & SANDBOX_KEEP_OFFLOAD)
		mask |= UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_BPF |
			UINT64_C(1) << CAP_PERFMON;
	return mask;
}

/* Of what the thread holds now, keep what is in `mask`. */
static int limit_capabilities(uint64_t mask)
{
	/* Not const: an older kernel writes its version there, and qemu-user always does. */
	struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint32_t kept[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &self, data) < 0)
		return -errno;
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		kept[i] = data[i].permitted & (uint32_t)(mask >> (32 * i));
	memset(data, 0, sizeof(data));
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].permitted = data[i].effective = kept[i];
	return syscall(SYS_capset, &self, data) < 0 ? -errno : 0;
}

int sandbox_keep_only(unsigned keep)
{
	return geteuid() ? limit_capabilities(mask_of(keep)) : 0;
}

int privileges_keep_offload(void)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return limit_capabilities(mask_of(SANDBOX_KEEP_OFFLOAD));
}

int privileges_drop_all(void)
{
	/* EINVAL before Linux 4.3, which has no ambient capabilities to clear. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return limit_capabilities(0);
}

int sandbox_forbid_dumps(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int sandbox_drop_net_bind(void)
{
	return privileges_drop_all();
}

static void drop_bounding_set(uint64_t mask)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(mask >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int forbid_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

int sandbox_drop_user(const char *user, unsigned keep)
{
	uint64_t mask = mask_of(keep);
	struct passwd *entry;
	uid_t uid;
	gid_t gid;
	int r;

	if (geteuid() || !user)
		return forbid_new_privileges();
	entry = getpwnam(user);
	if (!entry)
		return -ENOENT;
	uid = entry->pw_uid;
	gid = entry->pw_gid;
	drop_bounding_set(mask);
	if (prctl(PR_SET_KEEPCAPS, mask != 0, 0, 0, 0) < 0 || initgroups(user, gid) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	r = limit_capabilities(mask);
	return r < 0 ? r : forbid_new_privileges();
}
