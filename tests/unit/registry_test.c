/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry under configurations that come and go, and without memory: each allocation of each
 * operation fails once, and nothing has changed then.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime,--wrap=malloc,--wrap=calloc,--wrap=strdup */
/* link: -Wl,--wrap=reallocarray,--wrap=aligned_alloc */
#include "tests/unit/registry_rig.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static unsigned fail_at, allocations;

static bool is_failing(void)
{
	return fail_at && ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return is_failing() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_failing() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
	return is_failing() ? NULL : __real_strdup(text);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return is_failing() ? NULL : __real_reallocarray(old, count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return is_failing() ? NULL : __real_aligned_alloc(alignment, size);
}

static int put_in(const char *pool, unsigned first)
{
	struct target_spec spec = spec_of(first);
	uint64_t generation;

	return registry_put(rig, pool, "config", 0, &spec, 1, &generation);
}

START_TEST(pools_follow_the_order_of_the_configuration)
{
	struct target_record *kept;
	struct pool_conf swapped;
	struct pool_plan plan;

	rig_config.pool_count = 3;
	rig_configure();
	put_in("a", 1);
	put_in("b", 2);
	kept = nth(2);
	swapped = rig_pools[0];
	rig_pools[0] = rig_pools[1];
	rig_pools[1] = swapped;
	rig_configure();
	ck_assert_uint_eq(registry_pool_count(rig), 3);
	ck_assert_ptr_eq(registry_pool_at(rig, 0), registry_pool(rig, "b"));
	ck_assert_ptr_eq(registry_pool_at(rig, 0)->conf, &rig_pools[0]);
	ck_assert_ptr_eq(nth(2), kept);
	plan = plan_of(0);
	ck_assert_ptr_eq(plan.state, registry_pool(rig, "b")->state);
	pool_plan_fini(&plan);
	ck_assert_ptr_null(registry_pool(rig, "x"));
}
END_TEST

START_TEST(pool_that_leaves_drains_and_is_gone_when_empty)
{
	struct target *target;

	rig_config.pool_count = 2;
	rig_configure();
	put_in("b", 2);
	target = nth(2)->target;
	target_get(target);
	ck_assert(target_reserve(target));
	rig_config.pool_count = 1;
	rig_configure();
	ck_assert_ptr_null(registry_pool(rig, "b"));
	ck_assert(target_is_closed(target));
	pass_us(301 * US_PER_SEC);
	ck_assert_uint_eq(rig_closes, 1);
	ck_assert_ptr_eq(rig_closed, target);
	target_release(target);
	ck_assert_uint_eq(target->refs, 2);
	pass_us(US_PER_SEC);
	ck_assert_uint_eq(target->refs, 1);
	target_put(target);
}
END_TEST

START_TEST(pool_that_returns_in_time_has_its_targets_again)
{
	struct target_record *record;

	rig_config.pool_count = 2;
	rig_configure();
	put_in("b", 2);
	record = nth(2);
	ck_assert(target_reserve(record->target));
	rig_config.pool_count = 1;
	rig_configure();
	pass_us(US_PER_SEC);
	rig_config.pool_count = 2;
	rig_configure();
	expect_standing(record, STANDING_REMOVED);
	put_in("b", 2);
	ck_assert_ptr_eq(nth(2), record);
	expect_standing(record, STANDING_SERVING);
	target_release(record->target);
}
END_TEST

START_TEST(target_that_was_gone_and_returned_is_not_counted_as_gone)
{
	struct target *target;

	rig_config.pool_count = 2;
	rig_configure();
	put_in("b", 2);
	target = nth(2)->target;
	target_get(target);
	put_in("b", 3);
	pass_us(US_PER_SEC);
	ck_assert_uint_gt(nth(2)->gone_us, 0);
	put_in("b", 2);
	ck_assert(target_reserve(target));
	rig_config.pool_count = 1;
	rig_configure();
	/* The other one is gone, this one is not: the pool waits for it. */
	pass_us(US_PER_SEC);
	ck_assert_uint_eq(target->refs, 2);
	target_release(target);
	pass_us(US_PER_SEC);
	ck_assert_uint_eq(target->refs, 1);
	target_put(target);
}
END_TEST

START_TEST(pool_whose_last_target_is_gone_already_leaves_at_once)
{
	rig_config.pool_count = 2;
	rig_configure();
	rig_config.pool_count = 1;
	rig_configure();
	tick();
	ck_assert_uint_eq(tick(), 60 * US_PER_SEC);
}
END_TEST

/* Fail each allocation of `act` in turn until none is left to fail; it says -ENOMEM every time. */
static void exhaust(int (*act)(void), void (*check_unchanged)(void))
{
	unsigned at = 1;
	int err;

	do {
		fail_at = at++;
		allocations = 0;
		err = act();
		fail_at = 0;
		if (err != -ENOMEM)
			break;
		check_unchanged();
	} while (at < 10000);
	ck_assert_int_ge(err, 0);
	ck_assert_uint_gt(at, 2);
}

static int put_many(void)
{
	struct target_spec specs[20];
	uint64_t generation;

	for (unsigned i = 0; i < 20; i++) {
		specs[i] = spec_of(i + 2);
		specs[i].id = "same";
		specs[i].zone = "z";
	}
	return registry_put(rig, "a", "control", 1, specs, 20, &generation);
}

static void has_one(void)
{
	ck_assert_uint_eq(pool_a()->target_count, 1);
	ck_assert_uint_eq(pool_a()->source_count, 1);
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert_int_eq(nth(1)->override.kind, OVERRIDE_NONE);
}

START_TEST(set_without_memory_changes_nothing)
{
	put_range("config", 1, 1);
	exhaust(put_many, has_one);
	ck_assert_uint_eq(pool_a()->target_count, 21);
}
END_TEST

static int add_one(void)
{
	struct target_spec spec = spec_of(2);

	return registry_add(rig, "a", &spec);
}

START_TEST(addition_without_memory_changes_nothing)
{
	put_range("config", 1, 1);
	exhaust(add_one, has_one);
	ck_assert_uint_eq(pool_a()->target_count, 2);
}
END_TEST

static int drop_control(void)
{
	return registry_drop_source(rig, "a", "control");
}

static void has_control(void)
{
	ck_assert_uint_eq(pool_a()->source_count, 1);
	ck_assert_uint_eq(pool_a()->usable, 1);
}

START_TEST(source_that_cannot_be_dropped_stays)
{
	put_range("control", 1, 1);
	exhaust(drop_control, has_control);
	ck_assert_uint_eq(pool_a()->usable, 0);
}
END_TEST

static struct target_record *first;

static int override_one(void)
{
	struct override word = {.kind = OVERRIDE_DRAIN, .weight = -1, .who = "root"};

	return registry_override(rig, first, &word);
}

START_TEST(word_without_memory_changes_nothing)
{
	put_range("config", 1, 1);
	first = nth(1);
	exhaust(override_one, has_one);
	expect_standing(nth(1), STANDING_DRAINING);
}
END_TEST

static int configure_more(void)
{
	rig_config.pool_count = 4;
	return registry_configure(rig, &rig_config);
}

static void has_one_pool(void)
{
	ck_assert_uint_eq(registry_pool_count(rig), 1);
	has_one();
}

START_TEST(configuration_without_memory_changes_nothing)
{
	put_range("config", 1, 1);
	exhaust(configure_more, has_one_pool);
	ck_assert_uint_eq(registry_pool_count(rig), 4);
}
END_TEST

static int plan_once(void)
{
	struct pool_plan plan;
	int err = registry_plan(rig, 0, &plan);

	if (!err)
		pool_plan_fini(&plan);
	return err;
}

START_TEST(plan_and_zone_say_so_without_memory)
{
	put_range("config", 1, 1);
	exhaust(plan_once, has_one);
	fail_at = 1;
	allocations = 0;
	ck_assert_int_eq(registry_set_zone(rig, "z"), -ENOMEM);
	fail_at = 0;
	ck_assert_ptr_null(registry_zone(rig));
}
END_TEST

static int open_another(void)
{
	struct registry_hooks hooks = {0};
	struct registry *other;
	int err = registry_new(1, rig_events, &hooks, "/nonexistent/state", &other);

	if (!err)
		registry_free(other);
	return err;
}

static void nothing(void)
{
}

START_TEST(registry_is_made_whole_or_not_at_all)
{
	exhaust(open_another, nothing);
	registry_free(NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		pools_follow_the_order_of_the_configuration,
		pool_that_leaves_drains_and_is_gone_when_empty,
		pool_that_returns_in_time_has_its_targets_again,
		target_that_was_gone_and_returned_is_not_counted_as_gone,
		pool_whose_last_target_is_gone_already_leaves_at_once,
		set_without_memory_changes_nothing,
		addition_without_memory_changes_nothing,
		source_that_cannot_be_dropped_stays,
		word_without_memory_changes_nothing,
		configuration_without_memory_changes_nothing,
		plan_and_zone_say_so_without_memory,
		registry_is_made_whole_or_not_at_all,
	};

	return run_rigged("registry", tests, COUNT(tests), rig_setup, rig_shut);
}
