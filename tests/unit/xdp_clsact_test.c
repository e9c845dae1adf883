/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters of clsact, which stand for links before Linux 6.6: whose is whose, and who removes what
 * the dead left. On a loopback and a bpffs that only this test sees, and as if the kernel had no
 * tcx (tests/lib/filters.c).
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
/* link: -Wl,--wrap=syscall */
#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <check.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "xdp/flow.h"
#include "xdp/flow/internal.h"
#include "xdp/quiet.h"

#define PRIORITY 0x534c

static char home[64];

static void setup(void)
{
	ck_assert_msg(geteuid() == 0, "needs root");
	libbpf_set_print(be_silent);
	ck_assert_int_eq(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(home, sizeof(home), "/tmp/clsact-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(home));
	ck_assert_int_eq(mount("bpf", home, "bpf", 0, NULL), 0);
}

static void leave(void)
{
	umount2(home, MNT_DETACH);
	rmdir(home);
}

static struct flow_engine *open_engine(const char *name, bool attached)
{
	struct flow_interface lo = {
		.ifindex = if_nametoindex("lo"), .name = "lo", .loopback = true};
	char path[128], problem[256] = "";
	struct flow_setup conf = {.sessions = 16,
				  .pin_path = name ? path : NULL,
				  .interfaces = &lo,
				  .interface_count = attached};
	struct flow_engine *engine;

	snprintf(path, sizeof(path), "%s/%s", home, name ? name : "");
	ck_assert_msg(flow_open(&conf, &engine, problem, sizeof(problem)) == 0, "%s", problem);
	return engine;
}

/* The program that stands there under that handle, 0: none. */
static uint32_t standing(enum bpf_tc_attach_point point, uint32_t handle)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("lo"),
			    .attach_point = point);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = PRIORITY);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static bool stands(uint32_t handle)
{
	uint32_t in = standing(BPF_TC_INGRESS, handle), out = standing(BPF_TC_EGRESS, handle);

	ck_assert_int_eq(!in, !out);
	return in != 0;
}

static const char *in_home(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

/* A process and the one that takes its place, both alive. */
START_TEST(two_processes_have_a_filter_each)
{
	struct flow_engine *one = open_engine("one", true);
	struct flow_engine *two = open_engine("two", true);
	uint32_t handles[2] = {one->filter_handle, two->filter_handle};

	ck_assert_uint_ne(handles[0], handles[1]);
	ck_assert(stands(handles[0]) && stands(handles[1]));
	flow_close(one, false);
	ck_assert(!stands(handles[0]) && stands(handles[1]));
	flow_close(two, false);
	ck_assert(!stands(handles[1]));
}
END_TEST

START_TEST(what_a_dead_process_left_is_its_successors)
{
	struct flow_engine *engine = open_engine("one", true);
	uint32_t handle = engine->filter_handle;
	uint32_t before = standing(BPF_TC_INGRESS, handle);

	flow_close(engine, true);
	ck_assert_uint_eq(standing(BPF_TC_INGRESS, handle), before);
	engine = open_engine("one", false); /* it does not know of the interface */
	flow_adopt(engine, NULL, NULL);
	ck_assert_uint_eq(engine->filter_handle, handle);
	ck_assert(stands(handle));
	ck_assert_uint_ne(standing(BPF_TC_INGRESS, handle), before);
	flow_close(engine, false);
	ck_assert(!stands(handle));
}
END_TEST

START_TEST(sessions_that_move_take_no_filter_along)
{
	struct flow_engine *dead = open_engine("dead", true);
	struct flow_engine *heir = open_engine("heir", false);
	uint32_t handles[2] = {dead->filter_handle, heir->filter_handle};

	flow_close(dead, true);
	ck_assert(stands(handles[0]) && !stands(handles[1]));
	ck_assert_int_eq(flow_move_in(heir, in_home("dead")), 0);
	ck_assert(!stands(handles[0]) && stands(handles[1]));
	flow_close(heir, false);
}
END_TEST

START_TEST(another_versions_filters_go_with_its_pins)
{
	struct flow_engine *dead = open_engine("dead", true);
	uint32_t handle = dead->filter_handle;
	char from[160], to[160];

	snprintf(from, sizeof(from), "%s/" FLOW_PIN_DIR, in_home("dead"), ABI_VERSION);
	snprintf(to, sizeof(to), "%s/" FLOW_PIN_DIR, in_home("dead"), ABI_VERSION + 1);
	flow_close(dead, true);
	ck_assert_int_eq(rename(from, to), 0);
	ck_assert(stands(handle));
	ck_assert_int_eq(flow_drop_others(in_home("dead")), ABI_VERSION + 1);
	ck_assert(!stands(handle));
}
END_TEST

/* Who pins nothing leaves nothing that could be found; so the next one stands in the same place. */
START_TEST(without_pins_the_next_one_replaces_what_was_left)
{
	struct flow_engine *engine = open_engine(NULL, true);
	uint32_t handle = engine->filter_handle;
	uint32_t before = standing(BPF_TC_EGRESS, handle);

	flow_close(engine, true);
	ck_assert_uint_eq(standing(BPF_TC_EGRESS, handle), before);
	engine = open_engine(NULL, true);
	ck_assert_uint_eq(engine->filter_handle, handle);
	ck_assert_uint_ne(standing(BPF_TC_EGRESS, handle), before);
	flow_close(engine, false);
	ck_assert(!stands(handle));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp clsact");
	TCase *tcase = tcase_create("filter");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, leave);
	tcase_add_test(tcase, two_processes_have_a_filter_each);
	tcase_add_test(tcase, what_a_dead_process_left_is_its_successors);
	tcase_add_test(tcase, sessions_that_move_take_no_filter_along);
	tcase_add_test(tcase, another_versions_filters_go_with_its_pins);
	tcase_add_test(tcase, without_pins_the_next_one_replaces_what_was_left);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
