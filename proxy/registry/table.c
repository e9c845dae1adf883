/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash table: chained buckets, at most one node per bucket on average. Happy path: reserve,
 * then add; lookups compare the stored hash before the caller looks closer. The only failure is
 * memory, in table_reserve(), which leaves the table as it was.
 */
#include "proxy/registry/table.h"

#include <errno.h>
#include <stdlib.h>

#include "proxy/base/panic.h"

#define BUCKETS_MIN 16

uint64_t table_mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) + UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
	return hash ^ (hash >> 31);
}

static struct table_node **bucket_of(const struct table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

static void push(struct table *table, struct table_node *node)
{
	struct table_node **bucket = bucket_of(table, node->hash);

	node->next = *bucket;
	*bucket = node;
}

int table_reserve(struct table *table, size_t more)
{
	struct table grown = {.bucket_count = BUCKETS_MIN, .count = table->count};

	if (table->count + more <= table->bucket_count)
		return 0;
	while (grown.bucket_count < table->count + more)
		grown.bucket_count *= 2;
	grown.buckets = calloc(grown.bucket_count, sizeof(struct table_node *));
	if (!grown.buckets)
		return -ENOMEM;
	for (size_t i = 0; i < table->bucket_count; i++)
		while (table->buckets[i]) {
			struct table_node *node = table->buckets[i];

			table->buckets[i] = node->next;
			push(&grown, node);
		}
	free(table->buckets);
	*table = grown;
	return 0;
}

void table_add(struct table *table, struct table_node *node, uint64_t hash)
{
	must(table->bucket_count > 0);
	node->hash = hash;
	push(table, node);
	table->count++;
}

void table_remove(struct table *table, struct table_node *node)
{
	struct table_node **at = bucket_of(table, node->hash);

	while (*at != node) {
		must(*at != NULL);
		at = &(*at)->next;
	}
	*at = node->next;
	table->count--;
}

static struct table_node *skip_others(struct table_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct table_node *table_first(const struct table *table, uint64_t hash)
{
	return table->bucket_count ? skip_others(*bucket_of(table, hash), hash) : NULL;
}

struct table_node *table_next(const struct table_node *node)
{
	return skip_others(node->next, node->hash);
}

void table_fini(struct table *table)
{
	free(table->buckets);
	*table = (struct table){0};
}
