/* SPDX-License-Identifier: Apache-2.0
 *
 * When the keeper stops trusting the fast path: on figures of the test's own making.
 */
#include <check.h>
#include <stdlib.h>

#include "proxy/offload/doubt.c"
#include "proxy/offload/internal.h"
/* link: -Wl,--wrap=flow_at,--wrap=flow_capacity,--wrap=flow_counts */

#define SESSIONS 3

struct flow *__wrap_flow_at(struct flow_engine *engine, uint32_t index);
uint32_t __wrap_flow_capacity(const struct flow_engine *engine);
void __wrap_flow_counts(struct flow_engine *engine, uint64_t ret_counts[FLOW_COUNTS]);

static struct flow flows[2 * SESSIONS];
static struct grave graves[SESSIONS];
static struct offload offload;
static uint64_t events_lost;

struct flow *__wrap_flow_at(struct flow_engine *engine, uint32_t index)
{
	return &flows[index];
}

uint32_t __wrap_flow_capacity(const struct flow_engine *engine)
{
	return SESSIONS;
}

void __wrap_flow_counts(struct flow_engine *engine, uint64_t ret_counts[FLOW_COUNTS])
{
	for (unsigned i = 0; i < FLOW_COUNTS; i++)
		ret_counts[i] = i == FLOW_COUNT_EVENTS_LOST ? events_lost : 1000;
}

/* Of the last session; the client's leg has acknowledged all that the backend sent. */
static void begin(void)
{
	struct flow *pair = &flows[2 * SESSIONS - 2];

	events_lost = 5;
	for (uint32_t i = 0; i < SESSIONS; i++)
		graves[i] = (struct grave){.index = 2 * i};
	graves[SESSIONS - 1].state = GRAVE_BURIED;
	pair[0] = (struct flow){.seq_end = 100, .seq_delta = 0xffffff00, .last_ack = 900};
	pair[1] = (struct flow){.seq_end = 400, .seq_delta = 500, .last_ack = 100 - 256};
	offload = (struct offload){.graves = graves};
	ck_assert_int_eq(loop_init(&offload.loop), 0);
	keeper_doubt_start(&offload);
}

static void end(void)
{
	loop_fini(&offload.loop);
}

static uint32_t look(void)
{
	on_doubt_timer(&offload.doubt_timer);
	return offload.doubts;
}

START_TEST(figures_that_fit_and_losses_of_the_past_raise_no_doubt)
{
	ck_assert_uint_eq(look(), 0);
	ck_assert_uint_eq(look(), 0);
}
END_TEST

START_TEST(an_event_that_is_lost_is_remembered_for_good)
{
	events_lost++;
	ck_assert_uint_eq(look(), 1u << OFFLOAD_DOUBT_EVENTS);
	events_lost--;
	ck_assert_uint_eq(look(), 1u << OFFLOAD_DOUBT_EVENTS);
}
END_TEST

START_TEST(an_acknowledgement_of_what_nobody_sent_is_remembered_for_good)
{
	struct flow *flow = &flows[2 * SESSIONS - 2 + (unsigned)_i];

	flow->last_ack++;
	ck_assert_uint_eq(look(), 1u << OFFLOAD_DOUBT_FIGURES);
	flow->last_ack--;
	ck_assert_uint_eq(look(), 1u << OFFLOAD_DOUBT_FIGURES);
}
END_TEST

START_TEST(a_self_test_that_failed_is_a_doubt_from_the_start)
{
	offload.conf.untrusted = true;
	keeper_doubt_start(&offload);
	ck_assert_uint_eq(offload.doubts, 1u << OFFLOAD_DOUBT_SELF_TEST);
}
END_TEST

START_TEST(only_sessions_that_are_promoted_are_looked_at)
{
	flows[2 * SESSIONS - 2].last_ack++;
	graves[SESSIONS - 1].state = GRAVE_PENDING;
	ck_assert_uint_eq(look(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("offload_doubt");
	TCase *tcase = tcase_create("doubt");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, figures_that_fit_and_losses_of_the_past_raise_no_doubt);
	tcase_add_test(tcase, an_event_that_is_lost_is_remembered_for_good);
	tcase_add_loop_test(tcase, an_acknowledgement_of_what_nobody_sent_is_remembered_for_good, 0,
			    2);
	tcase_add_test(tcase, a_self_test_that_failed_is_a_doubt_from_the_start);
	tcase_add_test(tcase, only_sessions_that_are_promoted_are_looked_at);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
