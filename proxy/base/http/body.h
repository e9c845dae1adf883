/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a request's body, checked key by key against a table.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

enum body_kind {
	BODY_NUMBER, /* an integer within bounds: int64_t */
	BODY_TEXT,   /* printable, of a length within bounds: const char *, NULL if not given */
	BODY_BOOL,   /* bool */
	BODY_TIME,   /* RFC 3339 in UTC: uint64_t microseconds, 0 if not given */
	BODY_LIST    /* const json_t *, NULL if not given */
};

struct body_key {
	const char *name;
	enum body_kind kind;
	bool required;
	bool nullable;  /* null leaves the value as it was, and counts as given */
	bool spaceless; /* BODY_TEXT */
	int64_t min;    /* of the number, or of the text's length in bytes */
	int64_t max;
	size_t at; /* where the value goes in the caller's struct */
};

/* Read `object` into `ret_values`, which holds what is to stand where a key is missing. `place` is
 * put before a key in sentences ("targets[3]."), or "". `*ret_given` gets a bit for each key that
 * was there, null too; may be NULL. Texts are borrowed from `object`. False with the answer given.
 */
bool body_read(struct request *request, const json_t *object, const char *place,
	       const struct body_key *keys, size_t count, void *ret_values, uint32_t *ret_given);
