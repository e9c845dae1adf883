/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the watch over main and the workers, tick by tick.
 */
#include "proxy/admin/watch.h"
#include "proxy/base/clock.h"
#include "tests/unit/admin_rig.h"

static struct watch watch;
static struct admin_ops ops;
static char why[64];

static void setup(void)
{
	rig_setup();
	ops = rig_ops();
	ck_assert_int_eq(watch_init(&watch, &ops, rig_all, RIG_WORKERS), 0);
}

static void teardown(void)
{
	watch_fini(&watch);
	rig_teardown();
}

/* Ticks in which main and, where it is wanted, each worker turn. */
static void tick(unsigned count, bool main_turns, bool first_turns, bool second_turns)
{
	while (count--) {
		if (main_turns)
			watch_beat(&watch);
		rig_counts[0].turns += first_turns;
		rig_counts[1].turns += second_turns;
		watch_tick(&watch, watch.ticked_us + US_PER_SEC);
	}
}

START_TEST(who_turns_is_not_stuck_and_not_woken)
{
	tick(100, true, true, true);
	ck_assert(!watch_is_stuck(&watch, why, sizeof(why)));
	ck_assert_uint_eq(rig_main.woken, 0);
}
END_TEST

START_TEST(an_idle_worker_is_woken)
{
	tick(1, true, true, true);
	tick(3, true, true, false);
	ck_assert_uint_eq(rig_main.woken, 3);
	ck_assert(!watch_is_stuck(&watch, why, sizeof(why)));
}
END_TEST

START_TEST(a_worker_that_does_not_wake_is_stuck_until_it_turns)
{
	tick(1, true, true, true);
	tick(WATCH_WORKER_TICKS, true, true, false);
	ck_assert(!watch_is_stuck(&watch, why, sizeof(why)));
	tick(1, true, true, false);
	ck_assert(watch_is_stuck(&watch, why, sizeof(why)));
	ck_assert_str_eq(why, "worker 1 is stuck");
	tick(1, true, true, true);
	ck_assert(!watch_is_stuck(&watch, why, sizeof(why)));
}
END_TEST

START_TEST(main_that_does_not_come_is_stuck)
{
	tick(1, true, true, true);
	tick(WATCH_MAIN_TICKS, false, true, true);
	ck_assert(!watch_is_stuck(&watch, why, sizeof(why)));
	tick(1, false, true, true);
	ck_assert(watch_is_stuck(&watch, why, sizeof(why)));
	ck_assert_str_eq(why, "the main thread is stuck");
}
END_TEST

START_TEST(rates_are_per_second)
{
	tick(1, true, true, true);
	rig_counts[0].sessions = 10;
	rig_counts[1].client_sent_bytes = 3000;
	watch_tick(&watch, watch.ticked_us + 2 * US_PER_SEC);
	ck_assert_uint_eq(watch.rates.sessions, 5);
	ck_assert_uint_eq(watch.rates.client_sent_bytes, 1500);
	ck_assert_uint_eq(watch.rates.client_received_bytes, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		who_turns_is_not_stuck_and_not_woken,
		an_idle_worker_is_woken,
		a_worker_that_does_not_wake_is_stuck_until_it_turns,
		main_that_does_not_come_is_stuck,
		rates_are_per_second,
	};

	return run_rigged("admin_watch", tests, COUNT(tests), setup, teardown);
}
