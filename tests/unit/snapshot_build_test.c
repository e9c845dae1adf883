/* SPDX-License-Identifier: Apache-2.0
 *
 * Building snapshots: that they are what the registry plans, tier by tier, what a rebuild takes
 * over from the one before, and that each allocation may fail.
 */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup,--wrap=aligned_alloc */
#include "proxy/listener_stats.h"
#include "proxy/snapshot.h"
#include "tests/unit/plan_rig.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static unsigned fail_at, allocations;

static bool fails(void)
{
	return fail_at && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

#define LISTENERS "listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p}]\n"

static struct config_ref *load(const char *yaml)
{
	struct config_ref *ref = config_ref_new(load_valid(yaml), config_free);

	ck_assert_ptr_nonnull(ref);
	return ref;
}

/* A snapshot alone: it owns the only reference on its configuration. */
static struct snapshot *build(const char *yaml, const struct snapshot *previous)
{
	struct config_ref *config = load(yaml);
	struct snapshot *snapshot = NULL;

	ck_assert_int_eq(plan_and_build(config, previous, 2, &snapshot), 0);
	config_ref_put(config);
	return snapshot;
}

#define THREE                                                                                      \
	LISTENERS "pools: [{name: p, balance: first, targets: [\"10.0.0.1:80\", "                  \
		  "\"10.0.0.2:80\", {address: \"10.0.0.3:80\", backup: true}]}]\n"

/* The same pool again, as the test has changed its plan. */
static struct pool *rebuild(struct snapshot **snapshot)
{
	struct snapshot *next;

	ck_assert_int_eq(snapshot_build((*snapshot)->config_ref, *snapshot, &plan_rig, 2, &next),
			 0);
	snapshot_put(*snapshot);
	*snapshot = next;
	return &next->pools[0];
}

static int pick(const struct balancer *balancer)
{
	struct balance_cursor *cursor = balance_cursor_new(balancer, 0, 1, 1);
	struct balance_query query = {0};
	int index = balance_pick(cursor, &query);

	balance_cursor_free(cursor);
	return index;
}

static uint32_t refs_of(const struct target *target)
{
	return atomic_load(&target->refs);
}

START_TEST(snapshot_has_what_the_registry_plans)
{
	struct snapshot *snapshot =
		build(LISTENERS "pools:\n"
				"- {name: p, balance: first, targets: [\"10.0.0.1:80\", {address: "
				"\"10.0.0.2:80\", weight: 7, max_connections: 5}]}\n"
				"- {name: q, targets: [\"unix:/run/q.sock\"]}\n",
		      NULL);
	struct pool *pool = &snapshot->pools[0];

	ck_assert_uint_eq(snapshot->generation, 1);
	ck_assert_uint_eq(pool->target_count, 2);
	ck_assert_str_eq(pool->state->name, "p");
	ck_assert_str_eq(pool->targets[1]->name, "10.0.0.2:80");
	ck_assert_uint_eq(pool->weights[1], 7);
	ck_assert(!pool->unresolved && !pool->refuse && !pool->all_down);
	ck_assert_uint_eq(pool->local_share, 1000);
	ck_assert_uint_eq(pool->ramp_count, 0);
	ck_assert_str_eq(snapshot->pools[1].targets[0]->addr.path, "/run/q.sock");
	ck_assert_str_eq(snapshot->listeners[0]->name, "a");
	snapshot_put(snapshot);
	snapshot_put(NULL);
	plan_forget();
}
END_TEST

START_TEST(every_tier_has_a_balancer_of_its_own_over_the_same_members)
{
	struct snapshot *snapshot = build(THREE, NULL);
	struct pool *pool = &snapshot->pools[0];

	ck_assert_ptr_null(pool->tiers[TIER_REMOTE].all);
	ck_assert_int_eq(pick(pool->tiers[TIER_LOCAL].all), 0);
	ck_assert_int_eq(pick(pool->tiers[TIER_BACKUP].all), 2);
	plan_rig.pools[0].members[1].tier = TIER_REMOTE;
	plan_rig.pools[0].members[2].weight = 0;
	plan_rig.pools[0].plan.local_share = 700;
	plan_rig.pools[0].plan.refuse = plan_rig.pools[0].plan.all_down = true;
	pool = rebuild(&snapshot);
	ck_assert_int_eq(pick(pool->tiers[TIER_REMOTE].all), 1);
	ck_assert_ptr_null(pool->tiers[TIER_BACKUP].all);
	ck_assert_uint_eq(pool->tier_of[1], TIER_REMOTE);
	ck_assert_uint_eq(pool->local_share, 700);
	ck_assert(pool->refuse && pool->all_down);
	snapshot_put(snapshot);
	plan_forget();
}
END_TEST

START_TEST(ramping_member_has_a_share_and_a_balancer_to_pass_it_by)
{
	struct snapshot *snapshot = build(THREE, NULL);
	struct pool *pool;

	plan_rig.pools[0].members[0].ramp = 100;
	pool = rebuild(&snapshot);
	ck_assert_int_eq(pick(pool->tiers[TIER_LOCAL].all), 0);
	ck_assert_int_eq(pick(pool->tiers[TIER_LOCAL].steady), 1);
	ck_assert_ptr_null(pool->tiers[TIER_BACKUP].steady);
	ck_assert_uint_eq(pool->ramp_count, 1);
	ck_assert_uint_eq(pool->ramps[0].index, 0);
	ck_assert_uint_eq(pool->ramps[0].earn, RAMP_UNIT / 20 + 1); /* half, of which a tenth */
	snapshot_put(snapshot);
	plan_forget();
}
END_TEST

START_TEST(ramps_are_relative_to_the_most_advanced_member_of_the_tier)
{
	struct snapshot *snapshot = build(THREE, NULL);
	struct pool *pool;

	plan_rig.pools[0].members[0].ramp = plan_rig.pools[0].members[1].ramp = 50;
	pool = rebuild(&snapshot);
	ck_assert_uint_eq(pool->ramp_count, 0);
	ck_assert_ptr_null(pool->tiers[TIER_LOCAL].steady);
	plan_rig.pools[0].members[0].ramp = 25;
	pool = rebuild(&snapshot);
	ck_assert_uint_eq(pool->ramp_count, 1);
	ck_assert_uint_eq(pool->ramps[0].earn, RAMP_UNIT / 4 + 1); /* half, of which a half */
	ck_assert_int_eq(pick(pool->tiers[TIER_LOCAL].steady), 1);
	snapshot_put(snapshot);
	plan_forget();
}
END_TEST

START_TEST(target_that_is_gone_lives_as_long_as_the_snapshot_that_has_it)
{
	struct snapshot *one =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n", NULL);
	struct snapshot *two =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.2:80\"]}]\n", one);
	struct target *gone = one->pools[0].targets[0];

	ck_assert_uint_eq(refs_of(gone), 2); /* the registry's */
	ck_assert_uint_eq(two->generation, 2);
	snapshot_put(one);
	ck_assert_uint_eq(refs_of(gone), 1);
	snapshot_put(two);
	plan_forget();
}
END_TEST

static struct snapshot *build_again(struct config_ref *config, const struct snapshot *previous)
{
	struct snapshot *snapshot = NULL;

	ck_assert_int_eq(snapshot_build(config, previous, &plan_rig, 2, &snapshot), 0);
	return snapshot;
}

START_TEST(pool_that_is_still_the_same_shares_its_balancers)
{
	struct config_ref *config = load(THREE);
	struct registry *registry = plan_for(config->config, 2);
	struct snapshot *one, *two, *three, *other;

	plan_holds = true;
	registry->pools[0].members[0].ramp = 500;
	one = build_again(config, NULL);
	two = build_again(config, one);
	ck_assert_ptr_eq(two->pools[0].tiers[TIER_LOCAL].all, one->pools[0].tiers[TIER_LOCAL].all);
	ck_assert_ptr_eq(two->pools[0].tiers[TIER_LOCAL].steady,
			 one->pools[0].tiers[TIER_LOCAL].steady);
	ck_assert_uint_eq(two->pools[0].ramp_count, 1);
	ck_assert_uint_eq(two->pools[0].ramps[0].earn, one->pools[0].ramps[0].earn);
	snapshot_put(one);
	ck_assert_int_eq(pick(two->pools[0].tiers[TIER_BACKUP].all), 2);
	plan_holds = false;
	three = build_again(config, two);
	ck_assert_ptr_ne(three->pools[0].tiers[TIER_LOCAL].all,
			 two->pools[0].tiers[TIER_LOCAL].all);
	plan_holds = true;
	other = build(THREE, two);
	ck_assert_ptr_ne(other->pools[0].tiers[TIER_LOCAL].all,
			 two->pools[0].tiers[TIER_LOCAL].all);
	plan_holds = false;
	snapshot_put(two);
	snapshot_put(three);
	snapshot_put(other);
	config_ref_put(config);
	plan_forget();
}
END_TEST

START_TEST(shared_pool_may_find_no_memory)
{
	struct config_ref *config = load(THREE);
	struct registry *registry = plan_for(config->config, 2);
	struct snapshot *one, *two = NULL;
	unsigned failures = 0;

	plan_holds = true;
	registry->pools[0].members[0].ramp = 500;
	one = build_again(config, NULL);
	for (int err = -ENOMEM; err; failures += err ? 1 : 0) {
		allocations = 0;
		fail_at = failures + 1;
		err = snapshot_build(config, one, registry, 2, &two);
		fail_at = 0;
		ck_assert(!err || err == -ENOMEM);
	}
	ck_assert_uint_ge(failures, 7);
	ck_assert_uint_eq(refs_of(one->pools[0].targets[0]), 3);
	plan_holds = false;
	snapshot_put(one);
	snapshot_put(two);
	config_ref_put(config);
	plan_forget();
}
END_TEST

START_TEST(listener_keeps_its_counts_under_the_same_name_and_address)
{
	struct snapshot *one =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n", NULL);
	struct snapshot *two = build(
		"listeners: [{name: b, bind: \"127.0.0.1:81\", pool: p}, {name: a, bind: "
		"\"127.0.0.1:80\", pool: p}]\npools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n",
		one);
	struct snapshot *three = build("listeners: [{name: a, bind: \"127.0.0.1:82\", pool: p}]\n"
				       "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n",
				       two);

	ck_assert_ptr_eq(two->listeners[1], one->listeners[0]);
	ck_assert_ptr_ne(two->listeners[0], one->listeners[0]);
	ck_assert_ptr_ne(three->listeners[0], two->listeners[1]);
	snapshot_put(one);
	snapshot_put(two);
	snapshot_put(three);
	plan_forget();
}
END_TEST

START_TEST(pool_is_unresolved_only_while_it_has_names_and_no_address)
{
	struct snapshot *down =
		build(LISTENERS "pools: [{name: p, targets: [\"x.test:80\"]}]\n", NULL);
	struct snapshot *half = build(
		LISTENERS "pools: [{name: p, targets: [\"x.test:80\", \"10.0.0.1:80\"]}]\n", down);

	ck_assert(down->pools[0].unresolved);
	ck_assert_uint_eq(down->pools[0].target_count, 0);
	ck_assert(!half->pools[0].unresolved);
	ck_assert_uint_eq(half->pools[0].target_count, 1);
	snapshot_put(down);
	snapshot_put(half);
	plan_forget();
}
END_TEST

START_TEST(every_allocation_may_fail_and_leaves_the_previous_one_as_it_was)
{
	const char *yaml = LISTENERS "pools:\n"
				     "- {name: p, balance: maglev, targets: [\"10.0.0.1:80\", "
				     "\"10.0.0.2:80\"]}\n- {name: q, targets: "
				     "[\"unix:/run/q.sock\"]}\n";
	struct snapshot *previous =
		build(LISTENERS "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n", NULL);
	struct config_ref *config = load(yaml);
	struct registry *registry = plan_for(config->config, 2);
	struct snapshot *snapshot = NULL;
	unsigned failures = 0;
	int err;

	registry->pools[0].members[0].ramp = 500;
	do {
		allocations = 0;
		fail_at = failures + 1;
		err = snapshot_build(config, previous, registry, 2, &snapshot);
		fail_at = 0;
		if (err) {
			failures++;
			ck_assert_int_eq(err, -ENOMEM);
			ck_assert_ptr_null(snapshot);
			ck_assert_uint_eq(config->refs, 1);
			ck_assert_uint_eq(refs_of(previous->pools[0].targets[0]), 2);
			ck_assert_uint_eq(previous->pools[0].state->refs, 4);
			ck_assert_uint_eq(previous->listeners[0]->refs, 1);
		}
	} while (err);
	ck_assert_uint_gt(failures, 10);
	plan_fails = true;
	ck_assert_int_eq(snapshot_build(config, previous, registry, 2, &snapshot), -ENOMEM);
	snapshot_put(previous);
	snapshot_put(snapshot);
	config_ref_put(config);
	plan_forget();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		snapshot_has_what_the_registry_plans,
		every_tier_has_a_balancer_of_its_own_over_the_same_members,
		ramping_member_has_a_share_and_a_balancer_to_pass_it_by,
		ramps_are_relative_to_the_most_advanced_member_of_the_tier,
		target_that_is_gone_lives_as_long_as_the_snapshot_that_has_it,
		pool_that_is_still_the_same_shares_its_balancers,
		shared_pool_may_find_no_memory,
		listener_keeps_its_counts_under_the_same_name_and_address,
		pool_is_unresolved_only_while_it_has_names_and_no_address,
		every_allocation_may_fail_and_leaves_the_previous_one_as_it_was,
	};

	return run_tests("snapshot_build", tests, COUNT(tests));
}
