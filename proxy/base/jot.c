/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON. Happy path: values are made, put into objects and arrays, and dumped.
 * Failure modes: memory is short, then there is no JSON at all rather than half of it; a text is
 * not UTF-8, then it is replaced by "?".
 */
#include "proxy/base/jot.h"

#include <stdbool.h>
#include <stdlib.h>

json_t *jot_object(const struct jot_pair *pairs, size_t count)
{
	json_t *object = json_object();
	bool failed = false;

	for (size_t i = 0; i < count; i++)
		failed |= json_object_set_new(object, pairs[i].name, pairs[i].value) < 0;
	if (!failed)
		return object;
	json_decref(object);
	return NULL;
}

json_t *jot_with(json_t *object, json_t *more)
{
	bool whole = object && more && !json_object_update(object, more);

	json_decref(more);
	if (whole)
		return object;
	json_decref(object);
	return NULL;
}

json_t *jot_array(size_t count, json_t *(*make)(const void *of, size_t index), const void *of)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, make(of, i)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

json_t *jot_counts(const char *const *names, const uint64_t *counts, size_t count)
{
	json_t *object = json_object();

	for (size_t i = 0; i < count; i++)
		if (counts[i] && json_object_set_new(object, names[i],
						     json_integer((json_int_t)counts[i])) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

static bool is_ascii(const char *text)
{
	while (*text && (unsigned char)*text < 0x80)
		text++;
	return !*text;
}

json_t *jot_text(const char *text)
{
	json_t *value = text ? json_string(text) : json_null();

	return value || is_ascii(text) ? value : json_string("?");
}

json_t *jot_ratio(uint64_t count, double per)
{
	return per > 0 ? json_real((double)count / per) : json_null();
}

/* json_dumps(3) of Jansson 2.14 leaves a key out when it cannot grow its buffer just then, so the
 * buffer has its full size from the start. */
char *jot_dump(const json_t *root)
{
	size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(6);
	size_t len = root ? json_dumpb(root, NULL, 0, flags) : 0;
	char *text = len ? malloc(len + 1) : NULL;

	if (!text)
		return NULL;
	text[len] = '\0';
	if (json_dumpb(root, text, len, flags) == len)
		return text;
	free(text);
	return NULL;
}
