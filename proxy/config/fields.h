/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a completed tree: a mapping together with its part of the schema. Every key is there
 * unless it has no default, and every value is known to parse. For config/build*.c alone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct addr_block;
struct bytes_conf;
struct node;
struct schema_map;

struct fields {
	const struct schema_map *map;
	const struct node *node;
};

/* 0 for a key that is not there. */
uint64_t fields_number(const struct fields *fields, const char *key);

/* Whatever becomes a uint32_t has a bound in the schema that fits. */
uint32_t fields_number32(const struct fields *fields, const char *key);

/* A copy of an optional text or of its bytes, which the caller frees; untouched where none is
 * written. 0 or -ENOMEM. */
int fields_text(const struct fields *fields, const char *key, char **ret_text);
int fields_bytes(const struct fields *fields, const char *key, struct bytes_conf *ret_bytes);

/* A mapping within the mapping. */
struct fields fields_part(const struct fields *fields, const char *name);

/* A list's length (0 for none), its i-th item as a mapping, or as a text. */
size_t fields_items(const struct fields *fields, const char *name);
struct fields fields_item(const struct fields *fields, const char *name, size_t i);
const char *fields_item_text(const struct fields *fields, const char *name, size_t i);

/* A copy of a list of address blocks, which the caller frees; untouched where it is empty. 0 or
 * -ENOMEM. */
int fields_blocks(const struct fields *fields, const char *name, struct addr_block **ret_blocks,
		  size_t *ret_count);
