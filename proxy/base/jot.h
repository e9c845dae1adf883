/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON down with Jansson, so that memory running short shows once, at the end, and never as
 * half of an answer: whatever is given NULL gives NULL.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct jot_pair {
	const char *name;
	json_t *value; /* NULL when memory was short */
};

/* Takes the values over, whatever comes of it. NULL if one of them is. */
json_t *jot_object(const struct jot_pair *pairs, size_t count);

#define JOT(...)                                                                                   \
	jot_object((struct jot_pair[]){__VA_ARGS__},                                               \
		   sizeof((struct jot_pair[]){__VA_ARGS__}) / sizeof(struct jot_pair))

/* Both taken over: `object` with what `more` has beside or instead. NULL if one of them is. */
json_t *jot_with(json_t *object, json_t *more);

/* An array of what `make` gives for each of `count` things; NULL if one of them failed. */
json_t *jot_array(size_t count, json_t *(*make)(const void *of, size_t index), const void *of);

/* An object of those counts that are not 0. */
json_t *jot_counts(const char *const *names, const uint64_t *counts, size_t count);

/* What is not UTF-8 (the path of a Unix socket may be anything) becomes "?", NULL becomes null. */
json_t *jot_text(const char *text);

/* null where there is nothing to divide by. */
json_t *jot_ratio(uint64_t count, double per);

/* On one line; the caller frees it. NULL without memory, or if `root` is NULL. */
char *jot_dump(const json_t *root);
