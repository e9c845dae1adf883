/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of the API's answers, whose unknown values are null or not there at all. All accept a NULL
 * object.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string, borrowed from `object`; `fallback` if it is none. */
const char *field_text(const json_t *object, const char *key, const char *fallback);

/* A whole number that is not negative; 0 if it is none. */
uint64_t field_count(const json_t *object, const char *key);

/* Any number; 0 if it is none. */
double field_number(const json_t *object, const char *key);

bool field_true(const json_t *object, const char *key);

/* Neither null nor missing. */
bool field_known(const json_t *object, const char *key);

/* The members of the array `key`; 0 if it is none. */
size_t field_size(const json_t *object, const char *key);

/* A time; 0 if it is none. */
uint64_t field_wall_us(const json_t *object, const char *key);
