/* SPDX-License-Identifier: Apache-2.0
 *
 * The self-test on this kernel, and on one that goes wrong in a known way.
 *
 * Needs root. Without it the program says so and fails, as a tool that is missing does.
 */
/* link: -Wl,--wrap=flow_fill,--wrap=flow_look,--wrap=unshare,--wrap=send */
/* link: -Wl,--wrap=uname */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "xdp/flow.h"
#include "xdp/qualify.h"
#include "xdp/sockmap.h"

static enum { NOTHING, SEQUENCE, SEQUENCE6, WINDOW, BLIND, SHORT } broken;
static const char *release; /* of the kernel, if it is to be another */
static int unshare_errno;

void __real_flow_fill(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs);
void __wrap_flow_fill(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs);
void __real_flow_look(struct flow_engine *engine, uint32_t index, struct flow_view *ret_view);
void __wrap_flow_look(struct flow_engine *engine, uint32_t index, struct flow_view *ret_view);
ssize_t __real_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
int __real_uname(struct utsname *ret_name);
int __wrap_uname(struct utsname *ret_name);
int __real_unshare(int flags);
int __wrap_unshare(int flags);

void __wrap_flow_fill(struct flow_engine *engine, uint32_t index, const struct flow_legs *legs)
{
	__real_flow_fill(engine, index, legs);
	if (broken == SEQUENCE ||
	    (broken == SEQUENCE6 && flow_at(engine, index)->flags & FLOW_IPV6))
		flow_at(engine, index)->seq_delta++;
	if (broken == WINDOW)
		flow_at(engine, index + 1)->seq_delta += 1U << 30;
}

void __wrap_flow_look(struct flow_engine *engine, uint32_t index, struct flow_view *ret_view)
{
	__real_flow_look(engine, index, ret_view);
	if (broken == BLIND)
		ret_view->closed = false;
}

/* The trial of a stream's end is the one whose answer is a single byte; from then on each piece
 * lacks its last. */
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	static bool answered;
	ssize_t sent;

	answered |= size == 1;
	if (broken != SHORT || !answered || size == 1)
		return __real_send(fd, bytes, size, flags);
	sent = __real_send(fd, bytes, size - 1, flags);
	return sent == (ssize_t)size - 1 ? (ssize_t)size : sent;
}

int __wrap_uname(struct utsname *ret_name)
{
	int err = __real_uname(ret_name);

	if (release)
		snprintf(ret_name->release, sizeof(ret_name->release), "%s", release);
	return err;
}

int __wrap_unshare(int flags)
{
	if (!unshare_errno)
		return __real_unshare(flags);
	errno = unshare_errno;
	return -1;
}

static struct qualify_result try(enum qualify_path path)
{
	struct qualify_result result;

	ck_assert_msg(geteuid() == 0, "needs root");
	qualify(path, &result);
	return result;
}

START_TEST(each_way_that_this_kernel_has_works)
{
	struct qualify_result result = try((enum qualify_path)_i);

	ck_assert_msg(result.verdict == QUALIFY_WORKS, "%s: %s", qualify_path_names[_i],
		      result.problem);
	ck_assert_str_eq(result.problem, "");
}
END_TEST

START_TEST(a_translation_that_shifts_bytes_is_found)
{
	struct qualify_result result;

	broken = SEQUENCE;
	result = try(QUALIFY_TC);
	ck_assert_int_eq(result.verdict, QUALIFY_FAILS);
	ck_assert_ptr_nonnull(strstr(result.problem, "bytes both ways: "));
}
END_TEST

START_TEST(ipv6_is_tried_too)
{
	struct qualify_result result;

	broken = SEQUENCE6;
	result = try(QUALIFY_TC);
	ck_assert_int_eq(result.verdict, QUALIFY_FAILS);
	ck_assert_ptr_nonnull(strstr(result.problem, "bytes both ways over IPv6: "));
}
END_TEST

START_TEST(a_direction_that_stalls_is_found)
{
	struct qualify_result result;

	broken = WINDOW;
	result = try(QUALIFY_TC);
	ck_assert_int_eq(result.verdict, QUALIFY_FAILS);
	ck_assert_ptr_nonnull(strstr(result.problem, "bytes both ways: "));
}
END_TEST

START_TEST(an_end_that_goes_unnoticed_is_found)
{
	struct qualify_result result;

	broken = BLIND;
	result = try(QUALIFY_TC);
	ck_assert_int_eq(result.verdict, QUALIFY_FAILS);
	ck_assert_str_eq(result.problem, "a FIN of the client: its end goes unnoticed");
}
END_TEST

START_TEST(a_kernel_known_to_lose_bytes_of_joined_sockets_is_refused_by_its_release)
{
	struct qualify_result result;

	release = "6.14.0-1018-aws";
	result = try(QUALIFY_SOCKMAP);
	ck_assert_int_eq(result.verdict, QUALIFY_FAILS);
	ck_assert_ptr_nonnull(strstr(result.problem, "Linux 6.14.0-1018-aws is not known to"));
}
END_TEST

START_TEST(a_stream_of_joined_sockets_that_ends_early_is_found)
{
	struct qualify_result result;

	broken = SHORT;
	result = try(QUALIFY_SOCKMAP);
	ck_assert_int_eq(result.verdict, QUALIFY_FAILS);
	ck_assert_str_eq(result.problem, "the self-test: a stream ends before its last byte");
}
END_TEST

START_TEST(without_namespaces_tc_is_tried_on_loopback_and_xdp_is_not)
{
	struct qualify_result result;

	ck_assert_int_eq(__real_unshare(CLONE_NEWNET), 0);
	ck_assert_int_eq(system("ip link set lo up"), 0);
	unshare_errno = EPERM;
	result = try(QUALIFY_TC);
	ck_assert_msg(result.verdict == QUALIFY_WORKS, "%s", result.problem);
	result = try(QUALIFY_SOCKMAP);
	ck_assert_msg(result.verdict == QUALIFY_WORKS, "%s", result.problem);
	broken = SEQUENCE6;
	ck_assert_int_eq(try(QUALIFY_TC).verdict, QUALIFY_FAILS);
	ck_assert_int_eq(system("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"), 0);
	result = try(QUALIFY_TC);
	ck_assert_msg(result.verdict == QUALIFY_WORKS, "%s", result.problem);
	ck_assert_int_eq(try(QUALIFY_XDP_GENERIC).verdict, QUALIFY_UNTRIED);
	unshare_errno = ENOSPC;
	ck_assert_int_eq(try(QUALIFY_TC).verdict, QUALIFY_UNTRIED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp_qualify");
	TCase *tcase = tcase_create("qualify");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, each_way_that_this_kernel_has_works, 0, QUALIFY_PATHS);
	tcase_add_test(tcase, a_translation_that_shifts_bytes_is_found);
	tcase_add_test(tcase, ipv6_is_tried_too);
	tcase_add_test(tcase, a_direction_that_stalls_is_found);
	tcase_add_test(tcase, an_end_that_goes_unnoticed_is_found);
	tcase_add_test(tcase,
		       a_kernel_known_to_lose_bytes_of_joined_sockets_is_refused_by_its_release);
	tcase_add_test(tcase, a_stream_of_joined_sockets_that_ends_early_is_found);
	tcase_add_test(tcase, without_namespaces_tc_is_tried_on_loopback_and_xdp_is_not);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
