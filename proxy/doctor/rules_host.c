/* SPDX-License-Identifier: Apache-2.0
 *
 * What bounds any proxy on this host: CPUs, descriptors, pipes.
 */
#include <linux/capability.h>

#include "proxy/doctor/rules.h"

#define OPEN_FILES_LEAST 65536 /* two for each session, so 32,000 sessions a worker */
#define PIPE_PAGES_LEAST 16384 /* 256 pipes of 256 KiB */

static void judge_cpus(const struct doctor_facts *facts, const struct doctor_nic *nic,
		       struct doctor_finding *ret)
{
	if (facts->cpus != FACT_UNKNOWN)
		doctor_say(ret, DOCTOR_OK, "%lld allowed", (long long)facts->cpus);
}

static void judge_quota(const struct doctor_facts *facts, const struct doctor_nic *nic,
			struct doctor_finding *ret)
{
	if (facts->quota_cpus <= 0)
		doctor_say(ret, DOCTOR_OK, "no quota");
	else if (facts->cpus != FACT_UNKNOWN && facts->quota_cpus >= (double)facts->cpus)
		doctor_say(ret, DOCTOR_OK, "%.2f CPUs, which is all that are allowed",
			   facts->quota_cpus);
	else
		doctor_say(ret, DOCTOR_WARN,
			   "%.2f CPUs: what exceeds it stands still until the period ends",
			   facts->quota_cpus);
}

static void judge_files(const struct doctor_facts *facts, const struct doctor_nic *nic,
			struct doctor_finding *ret)
{
	int64_t files = facts->open_files;

	if (files == FACT_UNKNOWN)
		return;
	if (files == FACT_NO_END)
		doctor_say(ret, DOCTOR_OK, "unlimited");
	else
		doctor_say(ret, files < OPEN_FILES_LEAST ? DOCTOR_WARN : DOCTOR_OK,
			   "%lld, so about %lld sessions a worker", (long long)files,
			   (long long)(files / 2));
}

static void judge_pipes(const struct doctor_facts *facts, const struct doctor_nic *nic,
			struct doctor_finding *ret)
{
	int64_t pages = facts->numbers[FACT_PIPE_PAGES];
	uint64_t exempt = UINT64_C(1) << CAP_SYS_RESOURCE | UINT64_C(1) << CAP_SYS_ADMIN;

	if (pages == FACT_UNKNOWN)
		return;
	if (facts->capabilities_known && facts->capabilities & exempt)
		doctor_say(ret, DOCTOR_OK, "%lld, which does not bind this user; `user:` it would",
			   (long long)pages);
	else if (pages && pages < PIPE_PAGES_LEAST)
		doctor_say(ret, DOCTOR_WARN, "%lld pages: %lld bulk transfers, the rest is copied",
			   (long long)pages, (long long)(pages / 64));
	else
		doctor_say(ret, DOCTOR_OK, pages ? "%lld pages" : "%lld: no bound",
			   (long long)pages);
}

static const struct doctor_rule rules[] = {
	{"cpus", "/proc/self/status", judge_cpus, ""},
	{"cpu-quota", "/sys/fs/cgroup/cpu.max", judge_quota,
	 "give whole CPUs without a quota (cpuset), or raise cpu.max; latency at the 99th "
	 "percentile shows it first"},
	{"open-files", "/proc/self/limits", judge_files,
	 "systemd: LimitNOFILE=1048576; docker: --ulimit nofile=1048576"},
	{"pipe-pages", "/proc/sys/fs/pipe-user-pages-soft", judge_pipes,
	 "sysctl -w fs.pipe-user-pages-soft=65536"},
};

const struct doctor_chapter doctor_host = {
	.name = "host", .rules = rules, .count = sizeof(rules) / sizeof(rules[0])};
