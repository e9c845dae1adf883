/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the reading of single fields. What has another type than expected counts as unknown, since a
 * newer server may say more than we know of.
 */
#include "control/ctl/json.h"

#include "proxy/base/timestamp.h"

const char *field_text(const json_t *object, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : fallback;
}

uint64_t field_count(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = json_is_integer(value) ? json_integer_value(value)
						   : (json_int_t)json_number_value(value);

	return number > 0 ? (uint64_t)number : 0;
}

double field_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

bool field_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

bool field_known(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return value && !json_is_null(value);
}

size_t field_size(const json_t *object, const char *key)
{
	return json_array_size(json_object_get(object, key));
}

uint64_t field_wall_us(const json_t *object, const char *key)
{
	const char *text = field_text(object, key, NULL);
	uint64_t wall_us = 0;

	if (text)
		timestamp_parse(text, &wall_us);
	return wall_us;
}
