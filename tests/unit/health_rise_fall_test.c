/* SPDX-License-Identifier: Apache-2.0
 *
 * Verdicts counted into a status: `+` and `-` for good and bad ones, a second apart unless said
 * otherwise.
 */
#include "proxy/base/clock.h"
#include "proxy/health/rise_fall.h"
#include "tests/unit/conf_rig.h"

#define QUIET_S UINT64_C(60) /* 30 intervals of 2 s */

static struct health_conf conf;
static struct rise_fall state;
static uint64_t now_s;

static void begin(enum health_status status)
{
	conf = (struct health_conf){.interval_ms = 2000, .rise = 2, .fall = 3};
	now_s = 1000;
	rise_fall_init(&state, status);
}

static void feed(const char *verdicts)
{
	for (; *verdicts; verdicts++)
		rise_fall_count(&state, &conf, *verdicts == '+', now_s++ * US_PER_SEC);
}

/* How many good verdicts bring it up; it is down. */
static unsigned rise_length(void)
{
	unsigned count = 0;

	ck_assert_int_eq(state.status, HEALTH_DOWN);
	while (state.status != HEALTH_UP && count < 1000) {
		feed("+");
		count++;
		ck_assert(state.status == HEALTH_UP || state.status == HEALTH_GOING_UP);
	}
	return count;
}

START_TEST(first_verdict_settles_what_is_unknown)
{
	begin(HEALTH_UNKNOWN);
	feed("+");
	ck_assert_int_eq(state.status, HEALTH_UP);
	begin(HEALTH_UNKNOWN);
	feed("-");
	ck_assert_int_eq(state.status, HEALTH_DOWN);
	begin(HEALTH_UNCHECKED);
	ck_assert_int_eq(state.status, HEALTH_UNKNOWN);
}
END_TEST

START_TEST(target_falls_after_fall_bad_verdicts_in_a_row)
{
	begin(HEALTH_UP);
	feed("--");
	ck_assert_int_eq(state.status, HEALTH_GOING_DOWN);
	ck_assert_uint_eq(state.failed, 2);
	feed("+");
	ck_assert_int_eq(state.status, HEALTH_UP);
	ck_assert_uint_eq(state.failed, 0);
	feed("--");
	ck_assert_int_eq(state.status, HEALTH_GOING_DOWN);
	feed("-");
	ck_assert_int_eq(state.status, HEALTH_DOWN);
	ck_assert_uint_eq(state.failed, 3);
}
END_TEST

START_TEST(target_rises_after_rise_good_verdicts_in_a_row)
{
	begin(HEALTH_DOWN);
	feed("+");
	ck_assert_int_eq(state.status, HEALTH_GOING_UP);
	feed("-");
	ck_assert_int_eq(state.status, HEALTH_DOWN);
	feed("+");
	ck_assert_int_eq(state.status, HEALTH_GOING_UP);
	ck_assert_uint_eq(state.passed, 1);
	feed("+");
	ck_assert_int_eq(state.status, HEALTH_UP);
	ck_assert_uint_eq(state.passed, 2);
}
END_TEST

START_TEST(one_verdict_is_enough_where_one_is_asked_for)
{
	begin(HEALTH_UP);
	conf.rise = conf.fall = 1;
	feed("-");
	ck_assert_int_eq(state.status, HEALTH_DOWN);
	feed("+");
	ck_assert_int_eq(state.status, HEALTH_UP);
}
END_TEST

START_TEST(status_on_its_way_is_taken_up_where_it_was)
{
	begin(HEALTH_GOING_DOWN);
	feed("+");
	ck_assert_int_eq(state.status, HEALTH_UP);
	begin(HEALTH_GOING_UP);
	feed("-");
	ck_assert_int_eq(state.status, HEALTH_DOWN);
	begin(HEALTH_GOING_UP);
	feed("++");
	ck_assert_int_eq(state.status, HEALTH_UP);
}
END_TEST

START_TEST(lower_fall_counts_from_the_next_verdict)
{
	begin(HEALTH_UP);
	feed("-");
	conf.fall = 2;
	feed("-");
	ck_assert_int_eq(state.status, HEALTH_DOWN);
}
END_TEST

START_TEST(first_death_is_not_flapping)
{
	begin(HEALTH_UNKNOWN);
	feed("+---");
	ck_assert_uint_eq(rise_length(), 2);
}
END_TEST

START_TEST(flapping_target_must_rise_ever_longer)
{
	const unsigned lengths[] = {2, 4, 8, 16, 16};

	begin(HEALTH_DOWN);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		ck_assert_uint_eq(rise_length(), lengths[i]);
		feed("---");
	}
	ck_assert_uint_eq(rise_fall_needed(&state, &conf), 16);
}
END_TEST

START_TEST(quiet_time_halves_what_flapping_doubled)
{
	begin(HEALTH_DOWN);
	for (int i = 0; i < 4; i++) {
		rise_length();
		feed("---");
	}
	ck_assert_uint_eq(rise_length(), 16);
	now_s += QUIET_S;
	feed("---");
	ck_assert_uint_eq(rise_length(), 8);
	now_s += 2 * QUIET_S;
	feed("---");
	ck_assert_uint_eq(rise_length(), 2);
	now_s += 100000 * QUIET_S;
	feed("---");
	ck_assert_uint_eq(rise_length(), 2);
}
END_TEST

START_TEST(only_up_is_settled)
{
	for (enum health_status status = HEALTH_UNCHECKED; status < HEALTH_STATUSES; status++) {
		begin(status);
		ck_assert_int_eq(rise_fall_is_settled(&state), status == HEALTH_UP);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		first_verdict_settles_what_is_unknown,
		target_falls_after_fall_bad_verdicts_in_a_row,
		target_rises_after_rise_good_verdicts_in_a_row,
		one_verdict_is_enough_where_one_is_asked_for,
		status_on_its_way_is_taken_up_where_it_was,
		lower_fall_counts_from_the_next_verdict,
		first_death_is_not_flapping,
		flapping_target_must_rise_ever_longer,
		quiet_time_halves_what_flapping_doubled,
		only_up_is_settled,
	};

	return run_tests("health_rise_fall", tests, COUNT(tests));
}
