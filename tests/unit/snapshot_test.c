/* SPDX-License-Identifier: Apache-2.0
 *
 * Who keeps a snapshot and its configuration, and that both go with the last reference. A leak
 * checker sees what would stay.
 */
/* link: -Wl,--wrap=malloc */
#include "proxy/snapshot.h"
#include "tests/unit/plan_rig.h"

#define YAML                                                                                       \
	"listeners: [{name: a, bind: \"127.0.0.1:80\", pool: p}]\n"                                \
	"pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static bool no_memory;

void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

static unsigned freed;

static void count_and_free(struct config *config)
{
	freed++;
	config_free(config);
}

static struct config_ref *open_config(void)
{
	struct config_ref *ref = config_ref_new(load_valid(YAML), count_and_free);

	ck_assert_ptr_nonnull(ref);
	return ref;
}

static struct snapshot *build(struct config_ref *config, const struct snapshot *previous)
{
	struct snapshot *snapshot;

	ck_assert_int_eq(plan_and_build(config, previous, 1, &snapshot), 0);
	return snapshot;
}

START_TEST(configuration_goes_with_its_last_snapshot)
{
	struct config_ref *config = open_config();
	struct snapshot *one = build(config, NULL), *two = build(config, one);

	config_ref_put(config);
	snapshot_put(one);
	ck_assert_uint_eq(freed, 0);
	ck_assert_str_eq(two->config->pools[0].name, "p");
	snapshot_put(two);
	ck_assert_uint_eq(freed, 1);
}
END_TEST

START_TEST(configuration_that_nobody_built_from_goes_by_itself)
{
	config_ref_put(open_config());
	ck_assert_uint_eq(freed, 1);
	config_ref_put(NULL);
}
END_TEST

START_TEST(snapshot_goes_with_its_last_reference)
{
	struct config_ref *config = open_config();
	struct snapshot *snapshot = build(config, NULL);

	config_ref_put(config);
	snapshot_get(snapshot);
	snapshot_put(snapshot);
	ck_assert_uint_eq(freed, 0);
	snapshot_put(snapshot);
	ck_assert_uint_eq(freed, 1);
	snapshot_put(NULL);
}
END_TEST

START_TEST(snapshot_lets_go_of_its_targets)
{
	struct config_ref *config = open_config();
	struct snapshot *snapshot = build(config, NULL);
	struct target *target = snapshot->pools[0].targets[0];

	ck_assert_uint_eq(target->refs, 2); /* the registry's */
	ck_assert_uint_eq(target->pool->refs, 3);
	snapshot_put(snapshot);
	config_ref_put(config);
	ck_assert_uint_eq(target->refs, 1);
	ck_assert_uint_eq(target->pool->refs, 2);
}
END_TEST

START_TEST(without_memory_the_configuration_stays_with_the_caller)
{
	struct config *config = load_valid(YAML);
	struct config_ref *ref;

	no_memory = true;
	ref = config_ref_new(config, count_and_free);
	no_memory = false;
	ck_assert_ptr_null(ref);
	ck_assert_uint_eq(freed, 0);
	config_free(config);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		configuration_goes_with_its_last_snapshot,
		configuration_that_nobody_built_from_goes_by_itself,
		snapshot_goes_with_its_last_reference,
		snapshot_lets_go_of_its_targets,
		without_memory_the_configuration_stays_with_the_caller,
	};

	return run_tests("snapshot", tests, COUNT(tests));
}
