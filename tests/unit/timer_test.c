/* SPDX-License-Identifier: Apache-2.0
 *
 * The timing wheel against a model that knows only due times, at random and at the borders of each
 * level; and callbacks that change the wheel while it turns.
 */
#include "proxy/base/timer.h"
#include "tests/unit/conf_rig.h"

#define START 1234567 /* of no special alignment */
#define MANY  100000

struct probe {
	struct timer timer;
	uint64_t fired_ms; /* 0: not yet */
	unsigned times;
};

static struct timer_wheel wheel;

static void on_probe(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	probe->fired_ms = wheel.now_ms;
	probe->times++;
}

static void setup(uint64_t now_ms)
{
	timer_wheel_init(&wheel, now_ms);
}

static struct probe *probes_new(size_t count)
{
	struct probe *probes = calloc(count, sizeof(*probes));

	ck_assert_ptr_nonnull(probes);
	for (size_t i = 0; i < count; i++)
		timer_init(&probes[i].timer, on_probe);
	return probes;
}

static uint64_t random_state = 88172645463325252;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* As many short delays as long ones. */
static uint64_t random_delay(void)
{
	return next_random() >> (34 + next_random() % 30);
}

/* Sleep exactly as long as the wheel asks for. */
static void run_to(uint64_t end_ms)
{
	while (wheel.now_ms < end_ms) {
		int timeout = timer_wheel_timeout(&wheel);
		uint64_t next = timeout < 0 ? end_ms : wheel.now_ms + (uint64_t)timeout;

		timer_wheel_advance(&wheel, next < end_ms ? next : end_ms);
	}
}

START_TEST(a_hundred_thousand_timers_fire_once_at_their_tick)
{
	struct probe *probes = probes_new(MANY);

	setup(START);
	for (int i = 0; i < MANY; i++)
		timer_arm(&wheel, &probes[i].timer, random_delay());
	run_to(START + (UINT64_C(1) << 31));
	for (int i = 0; i < MANY; i++) {
		if (probes[i].times != 1)
			ck_abort_msg("timer %d fired %u times", i, probes[i].times);
		if (probes[i].fired_ms != probes[i].timer.due_ms)
			ck_abort_msg("timer %d is due at %llu and fired at %llu", i,
				     (unsigned long long)probes[i].timer.due_ms,
				     (unsigned long long)probes[i].fired_ms);
	}
	ck_assert_int_eq(timer_wheel_timeout(&wheel), -1);
	free(probes);
}
END_TEST

START_TEST(random_arming_cancelling_and_jumping_agrees_with_a_model)
{
	enum { TIMERS = 200 };
	struct probe *probes = probes_new(TIMERS);
	uint64_t due[TIMERS] = {0}; /* the model; 0: not armed */

	setup(START);
	for (int round = 0; round < 20000; round++) {
		size_t which = next_random() % TIMERS;
		uint64_t to;

		if (next_random() % 4) {
			uint64_t delay = random_delay();

			timer_arm(&wheel, &probes[which].timer, delay);
			due[which] = wheel.now_ms + (delay ? delay : 1);
		} else {
			timer_cancel(&probes[which].timer);
			due[which] = 0;
		}
		if (round % 3)
			continue;
		to = wheel.now_ms + random_delay() % 100000;
		for (size_t i = 0; i < TIMERS; i++)
			probes[i].times = 0;
		timer_wheel_advance(&wheel, to);
		for (size_t i = 0; i < TIMERS; i++) {
			bool expected = due[i] && due[i] <= to;

			if (probes[i].times != expected ||
			    (expected && probes[i].fired_ms != due[i]))
				ck_abort_msg("timer %zu of round %d", i, round);
			if (expected)
				due[i] = 0;
			if (timer_is_armed(&probes[i].timer) != (due[i] != 0))
				ck_abort_msg("timer %zu is armed or not", i);
		}
	}
	free(probes);
}
END_TEST

START_TEST(timeout_is_never_later_than_the_first_timer)
{
	enum { TIMERS = 50 };
	struct probe *probes = probes_new(TIMERS);

	setup(START);
	for (int round = 0; round < 5000; round++) {
		uint64_t first = UINT64_MAX;
		int timeout;

		timer_arm(&wheel, &probes[next_random() % TIMERS].timer, random_delay());
		for (int i = 0; i < TIMERS; i++)
			if (timer_is_armed(&probes[i].timer) && probes[i].timer.due_ms < first)
				first = probes[i].timer.due_ms;
		timeout = timer_wheel_timeout(&wheel);
		if (timeout <= 0 || (uint64_t)timeout > first - wheel.now_ms)
			ck_abort_msg("round %d: timeout %d, first in %llu", round, timeout,
				     (unsigned long long)(first - wheel.now_ms));
		timer_wheel_advance(&wheel, wheel.now_ms + next_random() % 50);
	}
	free(probes);
}
END_TEST

START_TEST(timers_at_the_borders_of_each_level_are_exact)
{
	static const uint64_t starts[] = {0, 1, 63, 64, 4095, 4096, 16777215, 1 << 24, 987654321};

	for (size_t s = 0; s < COUNT(starts); s++) {
		for (int level = 0; level <= TIMER_LEVELS; level++) {
			for (unsigned off = 0; off < 3; off++) {
				struct probe *probe = probes_new(1);
				uint64_t delay = (UINT64_C(1) << (6 * level)) - !!level + off;

				setup(starts[s]);
				timer_arm(&wheel, &probe->timer, delay);
				run_to(starts[s] + delay - 1);
				ck_assert_uint_eq(probe->times, 0);
				run_to(starts[s] + delay + 1);
				ck_assert_uint_eq(probe->times, 1);
				ck_assert_uint_eq(probe->fired_ms, starts[s] + delay);
				free(probe);
			}
		}
	}
}
END_TEST

START_TEST(a_year_away_cascades_through_the_last_level_again)
{
	struct probe *probe = probes_new(1);
	uint64_t year = UINT64_C(365) * 24 * 3600 * 1000;
	unsigned steps = 0;

	setup(START);
	timer_arm(&wheel, &probe->timer, year);
	while (!probe->times) {
		timer_wheel_advance(&wheel, wheel.now_ms + (uint64_t)timer_wheel_timeout(&wheel));
		steps++;
	}
	ck_assert_uint_eq(probe->fired_ms, START + year);
	ck_assert_uint_lt(steps, 100);
	free(probe);
}
END_TEST

START_TEST(one_jump_over_everything_runs_all_in_order_of_their_ticks)
{
	struct probe *probes = probes_new(1000);

	setup(START);
	for (int i = 0; i < 1000; i++)
		timer_arm(&wheel, &probes[i].timer, random_delay());
	timer_wheel_advance(&wheel, START + (UINT64_C(1) << 40));
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(probes[i].fired_ms, probes[i].timer.due_ms);
	ck_assert_uint_eq(wheel.now_ms, START + (UINT64_C(1) << 40));
	free(probes);
}
END_TEST

START_TEST(time_that_stands_still_or_goes_back_changes_nothing)
{
	struct probe *probe = probes_new(1);

	setup(START);
	timer_arm(&wheel, &probe->timer, 5);
	timer_wheel_advance(&wheel, START);
	timer_wheel_advance(&wheel, START - 1000);
	ck_assert_uint_eq(wheel.now_ms, START);
	ck_assert_uint_eq(probe->times, 0);
	ck_assert_int_eq(timer_wheel_timeout(&wheel), 5);
	timer_cancel(&probe->timer);
	free(probe);
}
END_TEST

START_TEST(zero_delay_means_the_next_tick)
{
	struct probe *probe = probes_new(1);

	setup(START);
	timer_arm(&wheel, &probe->timer, 0);
	ck_assert_int_eq(timer_wheel_timeout(&wheel), 1);
	timer_wheel_advance(&wheel, START);
	ck_assert_uint_eq(probe->times, 0);
	timer_wheel_advance(&wheel, START + 1);
	ck_assert_uint_eq(probe->times, 1);
	free(probe);
}
END_TEST

START_TEST(rearming_moves_a_timer_and_cancelling_twice_is_harmless)
{
	struct probe *probe = probes_new(1);

	setup(START);
	timer_cancel(&probe->timer);
	timer_arm(&wheel, &probe->timer, 10);
	timer_arm(&wheel, &probe->timer, 5000);
	timer_wheel_advance(&wheel, START + 4999);
	ck_assert_uint_eq(probe->times, 0);
	timer_cancel(&probe->timer);
	timer_cancel(&probe->timer);
	ck_assert(!timer_is_armed(&probe->timer));
	timer_wheel_advance(&wheel, START + 100000);
	ck_assert_uint_eq(probe->times, 0);
	free(probe);
}
END_TEST

/* Timers of one tick; the first to run does something to the others. */
static struct probe *crowd;

static void on_cancel_others(struct timer *timer)
{
	on_probe(timer);
	for (int i = 0; i < 3; i++)
		timer_cancel(&crowd[i].timer);
}

START_TEST(callback_may_cancel_timers_of_its_own_tick)
{
	crowd = probes_new(3);
	setup(START);
	for (int i = 0; i < 3; i++) {
		timer_init(&crowd[i].timer, on_cancel_others);
		timer_arm(&wheel, &crowd[i].timer, 100);
	}
	timer_wheel_advance(&wheel, START + 1000);
	ck_assert_uint_eq(crowd[0].times + crowd[1].times + crowd[2].times, 1);
	ck_assert_int_eq(timer_wheel_timeout(&wheel), -1);
	free(crowd);
}
END_TEST

static void on_rearm_all(struct timer *timer)
{
	on_probe(timer);
	if (wheel.now_ms == START + 100)
		for (int i = 0; i < 3; i++)
			timer_arm(&wheel, &crowd[i].timer, 64);
}

START_TEST(callback_may_rearm_itself_and_others_of_its_tick)
{
	crowd = probes_new(3);
	setup(START);
	for (int i = 0; i < 3; i++) {
		timer_init(&crowd[i].timer, on_rearm_all);
		timer_arm(&wheel, &crowd[i].timer, 100);
	}
	timer_wheel_advance(&wheel, START + 1000);
	/* The first one moved the other two before they ran at their old tick. */
	ck_assert_uint_eq(crowd[0].times + crowd[1].times + crowd[2].times, 4);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(crowd[i].fired_ms, START + 164);
	free(crowd);
}
END_TEST

static void on_period(struct timer *timer)
{
	on_probe(timer);
	timer_arm(&wheel, timer, 1);
}

START_TEST(periodic_timer_misses_no_tick_of_a_jump)
{
	struct probe *probe = probes_new(1);

	setup(START);
	timer_init(&probe->timer, on_period);
	timer_arm(&wheel, &probe->timer, 1);
	timer_wheel_advance(&wheel, START + 10000);
	ck_assert_uint_eq(probe->times, 10000);
	timer_cancel(&probe->timer);
	free(probe);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_hundred_thousand_timers_fire_once_at_their_tick,
		random_arming_cancelling_and_jumping_agrees_with_a_model,
		timeout_is_never_later_than_the_first_timer,
		timers_at_the_borders_of_each_level_are_exact,
		a_year_away_cascades_through_the_last_level_again,
		one_jump_over_everything_runs_all_in_order_of_their_ticks,
		time_that_stands_still_or_goes_back_changes_nothing,
		zero_delay_means_the_next_tick,
		rearming_moves_a_timer_and_cancelling_twice_is_harmless,
		callback_may_cancel_timers_of_its_own_tick,
		callback_may_rearm_itself_and_others_of_its_tick,
		periodic_timer_misses_no_tick_of_a_jump,
	};

	return run_tests("timer", tests, COUNT(tests));
}
