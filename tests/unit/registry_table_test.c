/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash table: growing, hashes that collide, and a set of a thousand targets in its time.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime */
#include "proxy/registry/table.h"
#include "tests/unit/registry_rig.h"

#define NODES 1000

static struct table table;
static struct table_node nodes[NODES];

static void setup(void)
{
	rig_setup();
	table = (struct table){0};
}

static void teardown(void)
{
	table_fini(&table);
	rig_shut();
}

static unsigned count_of(uint64_t hash)
{
	unsigned count = 0;

	for (struct table_node *node = table_first(&table, hash); node; node = table_next(node))
		count++;
	return count;
}

START_TEST(empty_table_has_nothing)
{
	ck_assert_ptr_null(table_first(&table, 0));
	ck_assert_int_eq(table_reserve(&table, 0), 0);
	ck_assert_ptr_null(table_first(&table, 7));
}
END_TEST

START_TEST(nodes_survive_growing_and_leave_one_by_one)
{
	for (uint64_t i = 0; i < NODES; i++) {
		ck_assert_int_eq(table_reserve(&table, 1), 0);
		table_add(&table, &nodes[i], table_mix(0, i));
	}
	ck_assert_uint_eq(table.count, NODES);
	for (uint64_t i = 0; i < NODES; i += 2)
		table_remove(&table, &nodes[i]);
	for (uint64_t i = 0; i < NODES; i++)
		ck_assert_ptr_eq(table_first(&table, table_mix(0, i)), i % 2 ? &nodes[i] : NULL);
	ck_assert_uint_eq(table.count, NODES / 2);
}
END_TEST

START_TEST(equal_hashes_are_all_found_and_others_of_the_bucket_are_not)
{
	ck_assert_int_eq(table_reserve(&table, 8), 0);
	for (unsigned i = 0; i < 8; i++)
		table_add(&table, &nodes[i], i % 2 ? 5 : 5 + 1024);
	ck_assert_uint_eq(count_of(5), 4);
	ck_assert_uint_eq(count_of(5 + 1024), 4);
	ck_assert_uint_eq(count_of(5 + 2048), 0);
	table_remove(&table, &nodes[3]);
	ck_assert_uint_eq(count_of(5), 3);
}
END_TEST

START_TEST(chains_stay_short_with_ten_thousand_targets)
{
	size_t longest = 0;

	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(put_range("control", 1, 1000 * (i + 1)), PUT_APPLIED);
	ck_assert_uint_eq(pool_a()->target_count, 10000);
	ck_assert_int_eq(table_reserve(&table, 10000), 0);
	for (uint64_t i = 0; i < NODES; i++)
		table_add(&table, &nodes[i], table_mix(0, i * 65536));
	for (size_t i = 0; i < table.bucket_count; i++) {
		size_t length = 0;

		for (struct table_node *node = table.buckets[i]; node; node = node->next)
			length++;
		longest = length > longest ? length : longest;
	}
	ck_assert_uint_le(longest, 5);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		empty_table_has_nothing,
		nodes_survive_growing_and_leave_one_by_one,
		equal_hashes_are_all_found_and_others_of_the_bucket_are_not,
		chains_stay_short_with_ten_thousand_targets,
	};

	return run_rigged("registry_table", tests, COUNT(tests), setup, teardown);
}
