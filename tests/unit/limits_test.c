/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine allows, on machines of the test's own making: every file that is read, the CPUs
 * and the rlimits are what a test says they are.
 */
/* link: -Wl,--wrap=fopen,--wrap=sched_getaffinity,--wrap=getrlimit,--wrap=setrlimit */
#include <errno.h>

#include "proxy/base/cgroup.h"
#include "proxy/main/limits.c"
#include "tests/unit/conf_rig.h"

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_getrlimit(int resource, struct rlimit *limit);
int __wrap_setrlimit(int resource, const struct rlimit *limit);

static struct {
	const char *path;
	const char *text;
} files[16];

static unsigned long cpus = 0xf;
static struct rlimit nofile = {.rlim_cur = 1024, .rlim_max = 65536};
static bool refuse_setrlimit;

FILE *__wrap_fopen(const char *path, const char *mode)
{
	if (strncmp(path, "/proc/", 6) && strncmp(path, "/sys/", 5))
		return __real_fopen(path, mode);
	for (size_t i = 0; i < COUNT(files) && files[i].path; i++)
		if (!strcmp(files[i].path, path))
			return fmemopen((void *)files[i].text, strlen(files[i].text), "r");
	errno = ENOENT;
	return NULL;
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	CPU_ZERO(set);
	for (int i = 0; i < 64; i++)
		if (cpus >> i & 1)
			CPU_SET(i, set);
	return 0;
}

int __wrap_getrlimit(int resource, struct rlimit *limit)
{
	*limit = nofile;
	return 0;
}

int __wrap_setrlimit(int resource, const struct rlimit *limit)
{
	if (refuse_setrlimit) {
		errno = EPERM;
		return -1;
	}
	nofile = *limit;
	return 0;
}

static void add_file(const char *path, const char *text)
{
	size_t i = 0;

	while (files[i].path)
		i++;
	files[i].path = path;
	files[i].text = text;
}

static struct limits derive(uint32_t workers)
{
	struct config config = {.workers = workers};
	struct limits limits;

	limits_derive(&config, &limits);
	return limits;
}

START_TEST(cpu_max_is_a_share_or_no_quota)
{
	ck_assert_double_eq(cgroup_parse_cpu_max("max 100000\n"), 0);
	ck_assert_double_eq(cgroup_parse_cpu_max("150000 100000\n"), 1.5);
	ck_assert_double_eq(cgroup_parse_cpu_max("50000 100000"), 0.5);
	ck_assert_double_eq(cgroup_parse_cpu_max("100000 50000"), 2);
	ck_assert_double_eq(cgroup_parse_cpu_max(""), 0);
	ck_assert_double_eq(cgroup_parse_cpu_max("max"), 0);
	ck_assert_double_eq(cgroup_parse_cpu_max("100000"), 0);
	ck_assert_double_eq(cgroup_parse_cpu_max("0 100000"), 0);
	ck_assert_double_eq(cgroup_parse_cpu_max("-1 100000"), 0);
	ck_assert_double_eq(cgroup_parse_cpu_max("100000 0"), 0);
}
END_TEST

START_TEST(workers_are_the_allowed_cpus_and_pinned)
{
	struct limits limits = derive(0);

	ck_assert_uint_eq(limits.cpus, 4);
	ck_assert_uint_eq(limits.workers, 4);
	ck_assert(limits.pinned);
	cpus = 0x14; /* only two, and not the first */
	limits = derive(0);
	ck_assert_uint_eq(limits.workers, 2);
	ck_assert_int_eq(limits_cpu(&limits, 0), 2);
	ck_assert_int_eq(limits_cpu(&limits, 1), 4);
	ck_assert_int_eq(limits_cpu(&limits, 2), -1);
}
END_TEST

START_TEST(quota_rounds_up_and_forbids_pinning)
{
	struct limits limits;

	add_file("/proc/self/cgroup", "0::/\n");
	add_file("/sys/fs/cgroup/cpu.max", "150000 100000\n");
	limits = derive(0);
	ck_assert_double_eq(limits.quota_cpus, 1.5);
	ck_assert_uint_eq(limits.workers, 2);
	ck_assert(!limits.pinned);
	ck_assert_int_eq(limits_cpu(&limits, 0), -1);
	files[1].text = "1000000 100000\n"; /* more than there are CPUs */
	limits = derive(0);
	ck_assert_uint_eq(limits.workers, 4);
	ck_assert(!limits.pinned);
	files[1].text = "1000 100000\n";
	ck_assert_uint_eq(derive(0).workers, 1);
}
END_TEST

START_TEST(smallest_quota_on_the_way_to_the_root_binds)
{
	add_file("/proc/self/cgroup", "1:name=systemd:/x\n0::/a.slice/b.service\n");
	add_file("/sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
	add_file("/sys/fs/cgroup/a.slice/cpu.max", "200000 100000\n");
	add_file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	ck_assert_double_eq(derive(0).quota_cpus, 2);
}
END_TEST

START_TEST(older_cgroups_have_their_quota_in_two_files)
{
	add_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
	add_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	ck_assert_double_eq(derive(0).quota_cpus, 2.5);
	ck_assert_uint_eq(derive(0).workers, 3);
	files[0].text = "-1\n";
	ck_assert_double_eq(derive(0).quota_cpus, 0);
}
END_TEST

START_TEST(configured_workers_win_and_are_pinned_only_when_they_fit)
{
	ck_assert_uint_eq(derive(7).workers, 7);
	ck_assert(!derive(7).pinned);
	ck_assert(!derive(2).pinned);
	ck_assert(derive(4).pinned);
}
END_TEST

START_TEST(fds_are_raised_to_the_hard_limit)
{
	struct limits limits = derive(1);

	ck_assert_uint_eq(limits.fds, 65536);
	ck_assert_uint_eq(nofile.rlim_cur, 65536);
	ck_assert_uint_eq(limits.pipes, 1024);
}
END_TEST

START_TEST(fds_that_could_not_be_raised_are_not_counted_on)
{
	refuse_setrlimit = true;
	ck_assert_uint_eq(derive(1).fds, 1024);
}
END_TEST

START_TEST(sessions_fit_into_the_fds_beside_pipes)
{
	struct limits limits = derive(1);
	uint64_t used = 2 * (uint64_t)limits.sessions + 2 * (uint64_t)limits.pipes;

	ck_assert_uint_gt(limits.sessions, 30000);
	ck_assert_uint_lt(used, limits.fds);
	nofile = (struct rlimit){.rlim_cur = 64, .rlim_max = 64};
	ck_assert_uint_ge(derive(1).sessions, 1);
}
END_TEST

START_TEST(memory_is_the_smaller_of_what_is_free_and_what_the_cgroup_has)
{
	add_file("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n");
	ck_assert_uint_eq(derive(1).memory, UINT64_C(4000000) * 1024);
	add_file("/proc/self/cgroup", "0::/a\n");
	add_file("/sys/fs/cgroup/a/memory.max", "max\n");
	ck_assert_uint_eq(derive(1).memory, UINT64_C(4000000) * 1024);
	files[2].text = "104857600\n";
	ck_assert_uint_eq(derive(1).memory, 104857600);
	ck_assert_uint_lt(derive(1).sessions, 104857600 / 8000);
	ck_assert_uint_gt(derive(1).sessions, 104857600 / 16000);
}
END_TEST

START_TEST(without_any_limit_the_number_of_sessions_is_still_a_number)
{
	nofile = (struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	ck_assert_uint_eq(derive(1).sessions, UINT32_MAX);
}
END_TEST

START_TEST(port_range_is_read_and_nonsense_ignored)
{
	static const char *const nonsense[] = {"0 100\n", "200 100\n", "1 65536\n", "x\n", "100\n"};
	struct limits limits = derive(1);

	ck_assert_uint_eq(limits.port_low, 32768);
	ck_assert_uint_eq(limits.port_high, 60999);
	add_file("/proc/sys/net/ipv4/ip_local_port_range", "1024\t65535\n");
	limits = derive(1);
	ck_assert_uint_eq(limits.port_low, 1024);
	ck_assert_uint_eq(limits.port_high, 65535);
	ck_assert(!limits_refresh_ports(&limits));
	files[0].text = "2000\t3000\n";
	ck_assert(limits_refresh_ports(&limits));
	ck_assert_uint_eq(limits.port_low, 2000);
	ck_assert_uint_eq(limits.port_high, 3000);
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		files[0].text = nonsense[i];
		ck_assert(!limits_refresh_ports(&limits));
		limits = derive(1);
		ck_assert_uint_eq(limits.port_low, 32768);
		ck_assert_uint_eq(limits.port_high, 60999);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		cpu_max_is_a_share_or_no_quota,
		workers_are_the_allowed_cpus_and_pinned,
		quota_rounds_up_and_forbids_pinning,
		smallest_quota_on_the_way_to_the_root_binds,
		older_cgroups_have_their_quota_in_two_files,
		configured_workers_win_and_are_pinned_only_when_they_fit,
		fds_are_raised_to_the_hard_limit,
		fds_that_could_not_be_raised_are_not_counted_on,
		sessions_fit_into_the_fds_beside_pipes,
		memory_is_the_smaller_of_what_is_free_and_what_the_cgroup_has,
		without_any_limit_the_number_of_sessions_is_still_a_number,
		port_range_is_read_and_nonsense_ignored,
	};

	return run_tests("limits", tests, COUNT(tests));
}
