/* SPDX-License-Identifier: Apache-2.0
 *
 * One scalar against one row of the schema: is it right, what number is it, and if it is wrong,
 * what would have been right.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/conf/schema.h"

#define VALUE_EXPECTED_MAX 512

/* 0, with the value of a number kind (0 for texts); or -EINVAL, `ret_why` following "which ...". */
int value_parse(const struct schema_key *key, const char *text, uint64_t *ret_number,
		const char **ret_why);

/* "auto or a whole number from 1 to 1024". Collections too. Returns `buf`. */
const char *value_expected(const struct schema_key *key, char *buf, size_t size);

/* Whether `text` is one of "a|b|c", and then which, from 0. */
bool value_list_find(const char *list, const char *text, uint64_t *ret_index);

/* Write "a|b|c" as "a, b or c". Returns `buf`. */
const char *value_list_words(const char *list, char *buf, size_t size);
