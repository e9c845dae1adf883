/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports between two threads: oldest first, the newest of each target, and never a lost wake-up.
 */
#include <sys/eventfd.h>

#include "proxy/health/reports.h"
#include "tests/unit/core_rig.h"

static struct reports reports;
static struct report_slot slots[3];
static struct health_report taken[3];

static void prepare(void)
{
	reports_init(&reports, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	for (size_t i = 0; i < COUNT(slots); i++)
		report_slot_init(&slots[i]);
}

static void push(size_t slot, uint32_t failed)
{
	reports_push(&reports, &slots[slot],
		     &(struct health_report){.key = slot, .failed = failed});
}

static bool was_woken(void)
{
	eventfd_t count;

	return !eventfd_read(reports.wake_fd, &count);
}

static void finish(void)
{
	close(reports.wake_fd);
	reports_fini(&reports);
}

START_TEST(reports_come_oldest_first)
{
	prepare();
	push(2, 1);
	push(0, 1);
	push(1, 1);
	ck_assert(was_woken());
	ck_assert_uint_eq(reports_take(&reports, taken, 3), 3);
	ck_assert_uint_eq(taken[0].key, 2);
	ck_assert_uint_eq(taken[1].key, 0);
	ck_assert_uint_eq(taken[2].key, 1);
	ck_assert_uint_eq(reports_take(&reports, taken, 3), 0);
	ck_assert(!was_woken());
	finish();
}
END_TEST

START_TEST(newer_report_of_a_target_replaces_the_untaken_one)
{
	prepare();
	push(0, 1);
	push(1, 1);
	push(0, 2);
	ck_assert_uint_eq(reports_take(&reports, taken, 3), 2);
	ck_assert_uint_eq(taken[0].key, 0);
	ck_assert_uint_eq(taken[0].failed, 2);
	push(0, 3);
	ck_assert_uint_eq(reports_take(&reports, taken, 3), 1);
	ck_assert_uint_eq(taken[0].failed, 3);
	finish();
}
END_TEST

START_TEST(what_is_left_wakes_again)
{
	prepare();
	push(0, 1);
	push(1, 1);
	ck_assert(was_woken());
	ck_assert_uint_eq(reports_take(&reports, taken, 1), 1);
	ck_assert(was_woken());
	ck_assert_uint_eq(reports_take(&reports, taken, 1), 1);
	ck_assert_uint_eq(taken[0].key, 1);
	ck_assert(!was_woken());
	finish();
}
END_TEST

START_TEST(dropped_slot_is_never_taken)
{
	prepare();
	push(0, 1);
	push(1, 1);
	reports_drop(&reports, &slots[0]);
	reports_drop(&reports, &slots[2]);
	ck_assert_uint_eq(reports_take(&reports, taken, 3), 1);
	ck_assert_uint_eq(taken[0].key, 1);
	finish();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reports_come_oldest_first,
		newer_report_of_a_target_replaces_the_untaken_one,
		what_is_left_wakes_again,
		dropped_slot_is_never_taken,
	};

	return run_tests("health_reports", tests, COUNT(tests));
}
