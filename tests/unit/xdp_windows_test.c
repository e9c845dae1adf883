/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether what two senders were allowed fits what the other side takes: on snapshots of the test's
 * own making.
 */
#include <check.h>
#include <stdlib.h>

#include "xdp/flow.h"

static struct snapshot_tcp legs[2];
static uint32_t clamps[2];

#define WINDOW 65536
#define LIGHT  (WINDOW / 16)

/* Quiet, on sequences that are about to wrap. */
static void begin(void)
{
	for (unsigned leg = 0; leg < 2; leg++)
		legs[leg] = (struct snapshot_tcp){
			.snd_una = UINT32_MAX - 10,
			.snd_nxt = UINT32_MAX - 10,
			.write_seq = UINT32_MAX - 10,
			.rcv_nxt = UINT32_MAX - 20,
			.copied_seq = UINT32_MAX - 20,
			.snd_wnd = WINDOW,
			.rcv_wnd = WINDOW,
			.advmss = WINDOW / 4,
		};
	clamps[0] = clamps[1] = 1;
}

START_TEST(while_little_is_under_way_any_window_fits)
{
	legs[_i].rcv_wnd = 100 * WINDOW;
	legs[_i].rcv_nxt += LIGHT / 2;
	legs[!_i].write_seq += LIGHT / 2;
	ck_assert(flow_fits(legs, false, clamps));
	ck_assert_uint_eq(clamps[0], 0);
	ck_assert_uint_eq(clamps[1], 0);
	ck_assert(!flow_fits(legs, true, clamps));
	legs[!_i].write_seq++;
	ck_assert(!flow_fits(legs, false, clamps));
}
END_TEST

START_TEST(a_window_beyond_the_other_peers_is_to_be_half_of_that)
{
	legs[!_i].write_seq += WINDOW / 4;
	ck_assert(!flow_fits(legs, false, clamps));
	ck_assert_uint_eq(clamps[_i], WINDOW / 2);
	ck_assert_uint_eq(clamps[!_i], 0);
	legs[_i].rcv_wnd = clamps[_i];
	ck_assert(flow_fits(legs, false, clamps));
}
END_TEST

START_TEST(what_is_not_read_yet_takes_room_at_the_other_end)
{
	legs[_i].rcv_nxt += 2 * LIGHT;
	ck_assert(!flow_fits(legs, false, clamps));
	legs[_i].rcv_wnd -= 2 * LIGHT - 1;
	ck_assert(!flow_fits(legs, false, clamps));
	legs[_i].rcv_wnd -= 1;
	ck_assert(flow_fits(legs, false, clamps));
}
END_TEST

START_TEST(what_is_on_its_way_takes_room_at_the_other_end)
{
	legs[_i].write_seq += 2 * LIGHT;
	ck_assert(!flow_fits(legs, false, clamps));
	legs[!_i].rcv_wnd -= 2 * LIGHT;
	ck_assert(flow_fits(legs, false, clamps));
}
END_TEST

START_TEST(one_that_is_narrow_already_is_only_waited_for)
{
	legs[_i].rcv_wnd = WINDOW / 2;
	legs[!_i].write_seq += WINDOW / 2 + 1;
	ck_assert(!flow_fits(legs, false, clamps));
	ck_assert_uint_eq(clamps[_i], 0);
}
END_TEST

/* It would wait for the window of a whole segment. */
START_TEST(a_window_is_not_to_be_narrower_than_two_segments)
{
	legs[_i].advmss++;
	legs[!_i].write_seq += WINDOW / 4;
	ck_assert(!flow_fits(legs, false, clamps));
	ck_assert_uint_eq(clamps[0], 0);
	ck_assert_uint_eq(clamps[1], 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xdp_windows");
	TCase *tc = tcase_create("windows");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_loop_test(tc, while_little_is_under_way_any_window_fits, 0, 2);
	tcase_add_loop_test(tc, a_window_beyond_the_other_peers_is_to_be_half_of_that, 0, 2);
	tcase_add_loop_test(tc, what_is_not_read_yet_takes_room_at_the_other_end, 0, 2);
	tcase_add_loop_test(tc, what_is_on_its_way_takes_room_at_the_other_end, 0, 2);
	tcase_add_loop_test(tc, one_that_is_narrow_already_is_only_waited_for, 0, 2);
	tcase_add_loop_test(tc, a_window_is_not_to_be_narrower_than_two_segments, 0, 2);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
