/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's view: its references, and the budget that keeps retries from multiplying load.
 */
/* link: -Wl,--wrap=calloc */
#include "proxy/base/clock.h"
#include "proxy/view.h"
#include "tests/unit/plan_rig.h"

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static unsigned fail_at, allocations;

void *__wrap_calloc(size_t count, size_t size)
{
	return fail_at && ++allocations == fail_at ? NULL : __real_calloc(count, size);
}

static struct snapshot *snapshot;
static struct view *view;

static void open_snapshot(const char *yaml)
{
	struct config_ref *config = config_ref_new(load_valid(yaml), config_free);

	ck_assert_int_eq(plan_and_build(config, NULL, 4, &snapshot), 0);
	config_ref_put(config);
}

static struct pool_view *open_view(const char *budget)
{
	char yaml[512];

	snprintf(yaml, sizeof(yaml),
		 "listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p}]\n"
		 "pools: [{name: p, retry_budget: %s, targets: [\"10.0.0.1:80\"]}]\n",
		 budget);
	open_snapshot(yaml);
	view = view_new(snapshot, 1, 4, 7);
	ck_assert_ptr_nonnull(view);
	return &view->pools[0];
}

static void close_view(void)
{
	view_put(view);
	snapshot_put(snapshot);
	plan_forget();
}

START_TEST(view_holds_its_snapshot_until_the_last_reference_goes)
{
	open_view("20%");
	ck_assert_uint_eq(snapshot->refs, 2);
	view_get(view);
	view_get(view);
	view_put(view);
	view_put(view);
	ck_assert_uint_eq(snapshot->refs, 2);
	ck_assert_ptr_eq(view->pools[0].pool, &snapshot->pools[0]);
	view_put(view);
	ck_assert_uint_eq(snapshot->refs, 1);
	view_put(NULL);
	snapshot_put(snapshot);
}
END_TEST

START_TEST(workers_begin_their_sources_at_different_places)
{
	ck_assert_uint_eq(open_view("20%")->next_source, 1);
	close_view();
}
END_TEST

START_TEST(budget_begins_with_ten_retries)
{
	struct pool_view *pool = open_view("20%");

	pool->budget_refilled_us = 1;
	for (int i = 0; i < 10; i++)
		ck_assert(pool_view_spend(pool, 1));
	ck_assert(!pool_view_spend(pool, 1));
	close_view();
}
END_TEST

static void spend_all(struct pool_view *pool, uint64_t now_us)
{
	pool->budget_refilled_us = now_us;
	while (pool_view_spend(pool, now_us))
		;
}

START_TEST(sessions_earn_their_share_of_a_retry)
{
	struct pool_view *pool = open_view("20%");

	spend_all(pool, 1);
	for (int i = 0; i < 4; i++)
		pool_view_earn(pool);
	ck_assert(!pool_view_spend(pool, 1));
	pool_view_earn(pool);
	ck_assert(pool_view_spend(pool, 1));
	ck_assert(!pool_view_spend(pool, 1));
	close_view();
}
END_TEST

START_TEST(savings_are_bounded)
{
	struct pool_view *pool = open_view("100%");
	unsigned spent = 0;

	for (int i = 0; i < 100000; i++)
		pool_view_earn(pool);
	pool->budget_refilled_us = 1;
	while (pool_view_spend(pool, 1))
		spent++;
	ck_assert_uint_eq(spent, 100);
	close_view();
}
END_TEST

START_TEST(one_retry_a_second_is_always_granted_and_no_second_one)
{
	struct pool_view *pool = open_view("0%");
	uint64_t now = 100 * US_PER_SEC;

	spend_all(pool, now);
	ck_assert(!pool_view_spend(pool, now + US_PER_SEC - 1));
	now += US_PER_SEC;
	ck_assert(pool_view_spend(pool, now));
	ck_assert(!pool_view_spend(pool, now));
	now += 60 * US_PER_SEC; /* a long pause saves nothing up */
	ck_assert(pool_view_spend(pool, now));
	ck_assert(!pool_view_spend(pool, now));
	close_view();
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	unsigned failures = 0;

	open_snapshot("listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p}]\n"
		      "pools:\n- {name: p, targets: [\"10.0.0.1:80\"]}\n"
		      "- {name: q, targets: [\"10.0.0.1:80\"]}\n");
	do {
		allocations = 0;
		fail_at = failures + 1;
		view = view_new(snapshot, 0, 1, 7);
		fail_at = 0;
		if (!view) {
			failures++;
			ck_assert_uint_eq(snapshot->refs, 1);
		}
	} while (!view);
	ck_assert_uint_ge(failures, 3);
	close_view();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		view_holds_its_snapshot_until_the_last_reference_goes,
		workers_begin_their_sources_at_different_places,
		budget_begins_with_ten_retries,
		sessions_earn_their_share_of_a_retry,
		savings_are_bounded,
		one_retry_a_second_is_always_granted_and_no_second_one,
		every_allocation_may_fail,
	};

	return run_tests("view", tests, COUNT(tests));
}
