/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table of links that live inside other structs: adding and removing allocate nothing, so a
 * change that was prepared with table_reserve() cannot fail half-way.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next; /* in the same bucket */
	uint64_t hash;
};

struct table {
	struct table_node **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	size_t count;
};

/* Every input bit reaches every output bit; `hash` may be the result for what stands before. */
uint64_t table_mix(uint64_t hash, uint64_t word);

/* Room for `more` nodes beyond those that are in. 0 or -ENOMEM. */
int table_reserve(struct table *table, size_t more);
void table_add(struct table *table, struct table_node *node, uint64_t hash);
void table_remove(struct table *table, struct table_node *node); /* it is in */

/* The nodes of this hash, in no order; NULL after the last. */
struct table_node *table_first(const struct table *table, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

void table_fini(struct table *table); /* the nodes are the caller's */
