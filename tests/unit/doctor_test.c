/* SPDX-License-Identifier: Apache-2.0
 *
 * The doctor's rules on hosts of the test's own making: a directory of files, or facts.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/doctor.h"

static char root[] = "/tmp/doctor-XXXXXX";
static struct doctor_facts facts;
static struct doctor_report report;

static void make_directories(char *path)
{
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

static void put(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", root, name);
	make_directories(path);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void put_link(const char *name, const char *target)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s", root, name);
	make_directories(path);
	ck_assert_int_eq(symlink(target, path), 0);
}

static void put_nic(const char *name, const char *flags, const char *driver)
{
	char path[128], link[128];

	snprintf(path, sizeof(path), "/sys/class/net/%s/flags", name);
	put(path, flags);
	snprintf(path, sizeof(path), "/sys/class/net/%s/mtu", name);
	put(path, "9001\n");
	snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-0/rps_cpus", name);
	put(path, "0\n");
	if (!driver)
		return;
	snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", name);
	snprintf(link, sizeof(link), "../../bus/pci/drivers/%s", driver);
	put_link(path, link);
}

static void begin(void)
{
	strcpy(root, "/tmp/doctor-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void end(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}

static const struct doctor_line *line(const char *name)
{
	for (size_t i = 0; i < report.count; i++)
		if (strcmp(report.lines[i].name, name) == 0)
			return &report.lines[i];
	ck_abort_msg("no line %s", name);
	return NULL;
}

static const struct doctor_line *look(const char *name)
{
	doctor_gather(root, &facts);
	doctor_examine(&facts, &report);
	return line(name);
}

static enum doctor_verdict verdict(const char *name)
{
	return look(name)->verdict;
}

/* A file's text, and what comes of it. */
static void expect(const char *file, const char *text, const char *name,
		   enum doctor_verdict expected)
{
	put(file, text);
	ck_assert_msg(verdict(name) == expected, "%s with %s: %s, %s", name, text,
		      doctor_verdict_names[line(name)->verdict], line(name)->finding);
	ck_assert_int_eq(line(name)->remedy[0] != '\0', expected >= DOCTOR_WARN);
}

START_TEST(an_empty_host_is_unknown_not_wrong)
{
	static const char *const names[] = {
		"kernel",     "bpf-jit",    "capabilities", "unprivileged-bpf", "open-files",
		"pipe-pages", "somaxconn",  "syn-backlog",  "source-ports",     "time-wait",
		"syncookies", "tcp-memory", "rp-filter",    "keepalive",        "cpus",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(verdict(names[i]) == DOCTOR_UNKNOWN, "%s", names[i]);
	ck_assert_str_ne(line("kernel")->finding, "");
}
END_TEST

START_TEST(numbers_are_judged_against_what_a_proxy_needs)
{
	static const struct {
		const char *file;
		const char *bad;
		const char *good;
		const char *name;
	} cases[] = {
		{"/proc/sys/net/core/somaxconn", "128\n", "4096\n", "somaxconn"},
		{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "128\n", "1024\n", "syn-backlog"},
		{"/proc/sys/net/ipv4/tcp_syncookies", "0\n", "1\n", "syncookies"},
		{"/proc/sys/net/ipv4/ip_local_port_range", "50000\t50999\n", "1024\t65535\n",
		 "source-ports"},
		{"/proc/sys/net/ipv4/tcp_mem", "100\t200\t300\n", "9\t32768\t90000\n",
		 "tcp-memory"},
		{"/proc/sys/net/netfilter/nf_conntrack_max", "65536\n", "262144\n", "conntrack"},
		{"/proc/sys/fs/pipe-user-pages-soft", "1024\n", "16384\n", "pipe-pages"},
		{"/proc/sys/kernel/unprivileged_bpf_disabled", "0\n", "2\n", "unprivileged-bpf"},
		{"/proc/sys/net/core/bpf_jit_enable", "0\n", "1\n", "bpf-jit"},
		{"/sys/fs/cgroup/cpu.max", "50000 100000\n", "max 100000\n", "cpu-quota"},
		{"/proc/self/limits", "Max open files   1024   4096   files\n",
		 "Max open files   1024   unlimited   files\n", "open-files"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect(cases[i].file, cases[i].bad, cases[i].name, DOCTOR_WARN);
		expect(cases[i].file, cases[i].good, cases[i].name, DOCTOR_OK);
	}
}
END_TEST

START_TEST(a_kernel_too_old_fails_and_an_untested_one_is_warned_of)
{
	expect("/proc/sys/kernel/osrelease", "5.10.0-28-amd64\n", "kernel", DOCTOR_FAIL);
	expect("/proc/sys/kernel/osrelease", "5.15.0\n", "kernel", DOCTOR_WARN);
	expect("/proc/sys/kernel/osrelease", "6.1.0-28-cloud-amd64\n", "kernel", DOCTOR_OK);
	expect("/proc/sys/kernel/osrelease", "10.0\n", "kernel", DOCTOR_OK);
	ck_assert_str_eq(line("kernel")->finding, "10.0");
}
END_TEST

START_TEST(memlock_matters_only_to_old_kernels)
{
	put("/proc/self/limits", "Max locked memory  65536  65536  bytes\n");
	expect("/proc/sys/kernel/osrelease", "5.10.0\n", "memlock", DOCTOR_WARN);
	expect("/proc/sys/kernel/osrelease", "6.1.0\n", "memlock", DOCTOR_OK);
}
END_TEST

START_TEST(missing_capabilities_are_named)
{
	put("/proc/self/status", "CapEff:\t0000000000001000\n"); /* CAP_NET_ADMIN alone */
	ck_assert_int_eq(verdict("capabilities"), DOCTOR_FAIL);
	ck_assert_str_eq(line("capabilities")->finding, "this process lacks CAP_BPF CAP_PERFMON");
	expect("/proc/self/status", "CapEff:\t000000c000001000\n", "capabilities", DOCTOR_OK);
	expect("/proc/self/status", "CapEff:\t0000000000201000\n", "capabilities", DOCTOR_OK);
}
END_TEST

START_TEST(file_systems_are_found_where_they_are_mounted)
{
	ck_assert_int_eq(verdict("cgroup2"), DOCTOR_FAIL);
	ck_assert_int_eq(verdict("bpffs"), DOCTOR_WARN);
	put("/proc/self/mountinfo", "1 0 0:1 / / rw - ext4 /dev/a rw\n"
				    "2 1 0:2 / /sys/fs/bpf rw,nosuid - bpf bpf rw\n"
				    "3 1 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	ck_assert_int_eq(verdict("cgroup2"), DOCTOR_OK);
	ck_assert_str_eq(line("bpffs")->finding, "mounted on /sys/fs/bpf");
}
END_TEST

START_TEST(cpus_are_counted_from_a_list_of_ranges)
{
	put("/proc/self/status", "Cpus_allowed_list:\t0-3,8,10-11\n");
	ck_assert_str_eq(look("cpus")->finding, "7 allowed");
	put("/proc/self/status", "Cpus_allowed_list:\t3-1\n");
	ck_assert_int_eq(verdict("cpus"), DOCTOR_UNKNOWN);
}
END_TEST

START_TEST(many_sockets_in_time_wait_are_warned_of)
{
	put("/proc/sys/net/ipv4/tcp_max_tw_buckets", "100000\n");
	put("/proc/sys/net/ipv4/tcp_tw_reuse", "2\n");
	expect("/proc/self/net/sockstat", "TCP: inuse 5 orphan 0 tw 99000 alloc 7 mem 1\n",
	       "time-wait", DOCTOR_WARN);
	ck_assert_int_eq(verdict("time-wait-reuse"), DOCTOR_WARN);
	expect("/proc/self/net/sockstat", "sockets: used 2\nTCP: inuse 5 orphan 0 tw 9 alloc 7\n",
	       "time-wait", DOCTOR_OK);
	ck_assert_int_eq(verdict("time-wait-reuse"), DOCTOR_OK);
}
END_TEST

START_TEST(interfaces_are_the_real_ones_that_are_up)
{
	put_nic("lo", "0x9\n", NULL);
	put_nic("veth0", "0x1003\n", NULL);
	put_nic("eth1", "0x1002\n", "ena");
	put_nic("eth0", "0x1003\n", "ena");
	doctor_gather(root, &facts);
	ck_assert_uint_eq(facts.nic_count, 1);
	ck_assert_str_eq(facts.nics[0].name, "eth0");
	ck_assert_str_eq(facts.nics[0].driver, "ena");
	ck_assert_int_eq(facts.nics[0].receive_queues, 1);
}
END_TEST

START_TEST(a_container_has_only_its_virtual_interface)
{
	put_nic("lo", "0x9\n", NULL);
	put_nic("eth0", "0x1003\n", NULL);
	doctor_gather(root, &facts);
	ck_assert_uint_eq(facts.nic_count, 1);
	doctor_examine(&facts, &report);
	ck_assert_int_eq(line("xdp")->verdict, DOCTOR_UNKNOWN);
	ck_assert_str_eq(line("xdp")->subject, "eth0");
}
END_TEST

START_TEST(ena_has_its_limits_of_mtu_and_channels)
{
	struct doctor_nic *nic = &facts.nics[0];

	put_nic("eth0", "0x1003\n", "ena");
	ck_assert_int_eq(verdict("xdp"), DOCTOR_WARN);
	ck_assert_ptr_nonnull(strstr(line("xdp")->finding, "3498"));
	ck_assert_ptr_nonnull(strstr(line("xdp")->remedy, "dev eth0 mtu 3498"));
	nic->mtu = 3498;
	nic->channels_max = 8;
	nic->channels = 5;
	doctor_examine(&facts, &report);
	ck_assert_int_eq(line("xdp")->verdict, DOCTOR_WARN);
	ck_assert_ptr_nonnull(strstr(line("xdp")->remedy, "ethtool -L eth0 "));
	nic->channels = 4;
	doctor_examine(&facts, &report);
	ck_assert_int_eq(line("xdp")->verdict, DOCTOR_OK);
}
END_TEST

START_TEST(offloads_of_an_interface_are_judged_if_it_says_them)
{
	put_nic("eth0", "0x1003\n", "ena");
	ck_assert_int_eq(verdict("gro"), DOCTOR_UNKNOWN);
	facts.nics[0].gro = 0;
	facts.nics[0].gso = facts.nics[0].tso = 1;
	doctor_examine(&facts, &report);
	ck_assert_str_eq(line("gro")->remedy, "ethtool -K eth0 gro on");
	ck_assert_int_eq(line("gso")->verdict, DOCTOR_OK);
	ck_assert_int_eq(line("tso")->verdict, DOCTOR_OK);
}
END_TEST

START_TEST(threaded_napi_matters_on_few_cpus)
{
	put_nic("eth0", "0x1003\n", "ena");
	put("/sys/class/net/eth0/threaded", "0\n");
	expect("/proc/self/status", "Cpus_allowed_list:\t0-1\n", "threaded-napi", DOCTOR_WARN);
	expect("/proc/self/status", "Cpus_allowed_list:\t0-7\n", "threaded-napi", DOCTOR_OK);
}
END_TEST

START_TEST(strict_reverse_paths_matter_with_several_interfaces)
{
	put("/proc/sys/net/ipv4/conf/all/rp_filter", "0\n");
	put("/proc/sys/net/ipv4/conf/eth0/rp_filter", "1\n");
	put_nic("eth0", "0x1003\n", "ena");
	ck_assert_int_eq(verdict("rp-filter"), DOCTOR_OK);
	put_nic("eth1", "0x1003\n", "ena");
	ck_assert_int_eq(verdict("rp-filter"), DOCTOR_WARN);
	put("/proc/sys/net/ipv4/conf/all/rp_filter", "2\n");
	ck_assert_int_eq(verdict("rp-filter"), DOCTOR_OK);
}
END_TEST

START_TEST(keepalive_has_to_come_before_a_balancer_forgets)
{
	static const struct {
		int64_t seconds;
		enum doctor_verdict verdict;
	} cases[] = {{0, DOCTOR_WARN}, {60, DOCTOR_OK}, {349, DOCTOR_OK}, {350, DOCTOR_WARN}};

	doctor_gather(root, &facts);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		facts.keepalive_s = cases[i].seconds;
		doctor_examine(&facts, &report);
		ck_assert_int_eq(line("keepalive")->verdict, cases[i].verdict);
	}
}
END_TEST

START_TEST(what_was_tried_is_judged_by_whether_it_is_needed)
{
	ck_assert_int_eq(verdict("flow-by-tc"), DOCTOR_UNKNOWN);
	for (unsigned i = 0; i < QUALIFY_PATHS; i++)
		facts.tried[i] = (struct qualify_result){QUALIFY_FAILS, 1, "a reset: it is lost"};
	doctor_examine(&facts, &report);
	ck_assert_int_eq(line("flow-by-tc")->verdict, DOCTOR_FAIL);
	ck_assert_str_eq(line("flow-by-tc")->finding, "a reset: it is lost");
	ck_assert_int_eq(line("flow-by-xdp")->verdict, DOCTOR_WARN);
	ck_assert_int_eq(line("flow-by-xdp-generic")->verdict, DOCTOR_WARN);
	ck_assert_int_eq(line("sockmap")->verdict, DOCTOR_WARN);
	facts.tried[QUALIFY_TC].verdict = QUALIFY_WORKS;
	doctor_examine(&facts, &report);
	ck_assert_int_eq(line("flow-by-tc")->verdict, DOCTOR_OK);
}
END_TEST

START_TEST(json_says_what_the_lines_say)
{
	json_t *json, *first;

	put("/proc/sys/kernel/osrelease", "5.10.1\n");
	look("kernel");
	json = doctor_json(&report);
	ck_assert_str_eq(json_string_value(json_object_get(json, "verdict")), "fail");
	ck_assert_uint_eq(json_array_size(json_object_get(json, "lines")), report.count);
	first = json_array_get(json_object_get(json, "lines"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(first, "name")), "kernel");
	ck_assert_str_eq(json_string_value(json_object_get(first, "verdict")), "fail");
	ck_assert_str_eq(json_string_value(json_object_get(first, "remedy")),
			 line("kernel")->remedy);
	ck_assert(json_is_null(json_object_get(first, "interface")));
	json_decref(json);
}
END_TEST

START_TEST(text_has_each_remedy_below_its_finding)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	const char *finding, *remedy;

	put("/proc/sys/net/core/somaxconn", "128\n");
	look("somaxconn");
	doctor_print(&report, out);
	fclose(out);
	finding = strstr(text, "128 connections");
	remedy = strstr(text, "-> sysctl -w net.core.somaxconn");
	ck_assert(finding && remedy && finding < remedy);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doctor");
	TCase *tcase = tcase_create("rules");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, an_empty_host_is_unknown_not_wrong);
	tcase_add_test(tcase, numbers_are_judged_against_what_a_proxy_needs);
	tcase_add_test(tcase, a_kernel_too_old_fails_and_an_untested_one_is_warned_of);
	tcase_add_test(tcase, memlock_matters_only_to_old_kernels);
	tcase_add_test(tcase, missing_capabilities_are_named);
	tcase_add_test(tcase, file_systems_are_found_where_they_are_mounted);
	tcase_add_test(tcase, cpus_are_counted_from_a_list_of_ranges);
	tcase_add_test(tcase, many_sockets_in_time_wait_are_warned_of);
	tcase_add_test(tcase, interfaces_are_the_real_ones_that_are_up);
	tcase_add_test(tcase, a_container_has_only_its_virtual_interface);
	tcase_add_test(tcase, ena_has_its_limits_of_mtu_and_channels);
	tcase_add_test(tcase, offloads_of_an_interface_are_judged_if_it_says_them);
	tcase_add_test(tcase, threaded_napi_matters_on_few_cpus);
	tcase_add_test(tcase, strict_reverse_paths_matter_with_several_interfaces);
	tcase_add_test(tcase, keepalive_has_to_come_before_a_balancer_forgets);
	tcase_add_test(tcase, what_was_tried_is_judged_by_whether_it_is_needed);
	tcase_add_test(tcase, json_says_what_the_lines_say);
	tcase_add_test(tcase, text_has_each_remedy_below_its_finding);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
