/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fast path needs of the kernel and of this process. Nothing here keeps the proxy from
 * relaying.
 */
#include <linux/capability.h>
#include <string.h>

#include "proxy/doctor/rules.h"

#define MIB (INT64_C(1) << 20)

static bool is_before(const struct doctor_facts *facts, unsigned major, unsigned minor)
{
	return facts->kernel[0] < major || (facts->kernel[0] == major && facts->kernel[1] < minor);
}

static void judge_version(const struct doctor_facts *facts, const struct doctor_nic *nic,
			  struct doctor_finding *ret)
{
	if (!facts->release[0])
		return;
	if (is_before(facts, 5, 15))
		doctor_say(ret, DOCTOR_FAIL, "%s: too old for the fast path", facts->release);
	else if (is_before(facts, 6, 1))
		doctor_say(ret, DOCTOR_WARN, "%s: the fast path is not tested before 6.1",
			   facts->release);
	else
		doctor_say(ret, DOCTOR_OK, "%s", facts->release);
}

static void judge_btf(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret)
{
	if (facts->btf)
		doctor_say(ret, DOCTOR_OK, "the kernel describes its types");
	else
		doctor_say(ret, DOCTOR_FAIL,
			   "no types of this kernel, so programs cannot be "
			   "fitted to it");
}

static void judge_jit(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret)
{
	int64_t jit = facts->numbers[FACT_BPF_JIT];

	if (jit == FACT_UNKNOWN)
		return;
	if (jit)
		doctor_say(ret, DOCTOR_OK, "programs run as machine code");
	else
		doctor_say(ret, DOCTOR_WARN, "programs are interpreted, many times slower");
}

static bool has(const struct doctor_facts *facts, unsigned capability)
{
	return facts->capabilities >> capability & 1;
}

/* CAP_SYS_ADMIN stands for the younger two, capabilities(7). */
static void judge_capabilities(const struct doctor_facts *facts, const struct doctor_nic *nic,
			       struct doctor_finding *ret)
{
	bool admin = has(facts, CAP_SYS_ADMIN);
	char missing[64] = "";

	if (!facts->capabilities_known)
		return;
	if (!has(facts, CAP_NET_ADMIN))
		strcat(missing, " CAP_NET_ADMIN");
	if (!admin && !has(facts, CAP_BPF))
		strcat(missing, " CAP_BPF");
	if (!admin && !has(facts, CAP_PERFMON))
		strcat(missing, " CAP_PERFMON");
	if (missing[0])
		doctor_say(ret, DOCTOR_FAIL, "this process lacks%s", missing);
	else
		doctor_say(ret, DOCTOR_OK, "CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON are there");
}

static void judge_bpffs(const struct doctor_facts *facts, const struct doctor_nic *nic,
			struct doctor_finding *ret)
{
	if (facts->bpffs[0])
		doctor_say(ret, DOCTOR_OK, "mounted on %s", facts->bpffs);
	else
		doctor_say(ret, DOCTOR_WARN,
			   "no bpf file system, so translated sessions end with the process");
}

static void judge_cgroup(const struct doctor_facts *facts, const struct doctor_nic *nic,
			 struct doctor_finding *ret)
{
	if (facts->cgroup2[0])
		doctor_say(ret, DOCTOR_OK, "mounted on %s", facts->cgroup2);
	else
		doctor_say(ret, DOCTOR_FAIL, "no cgroup v2, through which sockets are looked at");
}

static void judge_unprivileged(const struct doctor_facts *facts, const struct doctor_nic *nic,
			       struct doctor_finding *ret)
{
	int64_t disabled = facts->numbers[FACT_UNPRIVILEGED_BPF];

	if (disabled == FACT_UNKNOWN)
		return;
	if (disabled)
		doctor_say(ret, DOCTOR_OK, "%d: only who has the capability loads programs",
			   (int)disabled);
	else
		doctor_say(ret, DOCTOR_WARN, "0: anybody may load programs");
}

/* From 5.11 on, memory of maps is accounted to the cgroup. */
static void judge_memlock(const struct doctor_facts *facts, const struct doctor_nic *nic,
			  struct doctor_finding *ret)
{
	int64_t locked = facts->locked_memory;

	if (facts->release[0] && !is_before(facts, 5, 11))
		doctor_say(ret, DOCTOR_OK, "not what bounds maps in this kernel");
	else if (locked == FACT_UNKNOWN)
		return;
	else if (locked < 256 * MIB)
		doctor_say(ret, DOCTOR_WARN, "%lld MiB for the maps of flows",
			   (long long)(locked / MIB));
	else
		doctor_say(ret, DOCTOR_OK, "enough for the maps of flows");
}

/* One that nobody has to use warns at most. */
static void judge_trial(const struct qualify_result *tried, enum doctor_verdict bad,
			struct doctor_finding *ret)
{
	switch (tried->verdict) {
	case QUALIFY_WORKS:
		doctor_say(ret, DOCTOR_OK, "works, tried in %u ms",
			   (unsigned)(tried->took_us / 1000));
		break;
	case QUALIFY_FAILS:
		doctor_say(ret, bad, "%.240s", tried->problem);
		break;
	case QUALIFY_UNTRIED:
		doctor_say(ret, DOCTOR_UNKNOWN, "%.240s", tried->problem);
		break;
	}
}

static void judge_tc(const struct doctor_facts *facts, const struct doctor_nic *nic,
		     struct doctor_finding *ret)
{
	judge_trial(&facts->tried[QUALIFY_TC], DOCTOR_FAIL, ret);
}

static void judge_xdp(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret)
{
	judge_trial(&facts->tried[QUALIFY_XDP_NATIVE], DOCTOR_WARN, ret);
}

static void judge_generic(const struct doctor_facts *facts, const struct doctor_nic *nic,
			  struct doctor_finding *ret)
{
	judge_trial(&facts->tried[QUALIFY_XDP_GENERIC], DOCTOR_WARN, ret);
}

static void judge_sockmap(const struct doctor_facts *facts, const struct doctor_nic *nic,
			  struct doctor_finding *ret)
{
	judge_trial(&facts->tried[QUALIFY_SOCKMAP], DOCTOR_WARN, ret);
}

static const struct doctor_rule rules[] = {
	{"kernel", "/proc/sys/kernel/osrelease", judge_version,
	 "install a kernel of 6.1 or later; sessions are relayed until then"},
	{"btf", "/sys/kernel/btf/vmlinux", judge_btf,
	 "use a kernel built with CONFIG_DEBUG_INFO_BTF, and in a container mount /sys"},
	{"bpf-jit", "/proc/sys/net/core/bpf_jit_enable", judge_jit,
	 "sysctl -w net.core.bpf_jit_enable=1"},
	{"capabilities", "/proc/self/status", judge_capabilities,
	 "systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_BPF CAP_PERFMON; docker: --cap-add of "
	 "each; or start as root with `user:` set, which keeps just these"},
	{"bpffs", "/proc/self/mountinfo", judge_bpffs,
	 "mount -t bpf bpf /sys/fs/bpf; in a container mount the host's"},
	{"cgroup2", "/proc/self/mountinfo", judge_cgroup,
	 "mount -t cgroup2 none /sys/fs/cgroup; in a container mount the host's"},
	{"unprivileged-bpf", "/proc/sys/kernel/unprivileged_bpf_disabled", judge_unprivileged,
	 "sysctl -w kernel.unprivileged_bpf_disabled=2"},
	{"memlock", "/proc/self/limits", judge_memlock, "systemd: LimitMEMLOCK=infinity"},
	{"flow-by-tc", "a self-test", judge_tc,
	 "see the lines above; until it works, sessions are relayed whatever `offload:` says"},
	{"flow-by-xdp", "a self-test", judge_xdp, "stay with `hook: tc`, the default"},
	{"flow-by-xdp-generic", "a self-test", judge_generic, "stay with `hook: tc`, the default"},
	{"sockmap", "a self-test", judge_sockmap,
	 "stay with `offload: auto`; pools with `sockmap` are relayed"},
};

const struct doctor_chapter doctor_kernel = {
	.name = "fast path", .rules = rules, .count = sizeof(rules) / sizeof(rules[0])};
