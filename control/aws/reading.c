/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading answers: whatever is absent, or of another type than expected, is "nothing".
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/aws.h"

const char *aws_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && *text ? text : NULL;
}

/* One for all, which nobody changes and which lives as long as the process. */
static const json_t *empty_list(void)
{
	static json_t *empty;

	if (!empty)
		empty = json_array();
	return empty;
}

static bool is_blank(const char *text)
{
	return text && text[strspn(text, " \t\r\n")] == '\0';
}

const json_t *aws_list(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_array(value))
		return value;
	return is_blank(json_string_value(value)) ? empty_list() : NULL;
}

const json_t *aws_object(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_object(value) ? value : NULL;
}

bool aws_number(const json_t *object, const char *key, int64_t *ret_number)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	long long number;
	char *end;

	if (json_is_integer(value)) {
		*ret_number = json_integer_value(value);
		return true;
	}
	if (!text || !(isdigit((unsigned char)*text) || *text == '-'))
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || *end || end == text)
		return false;
	*ret_number = number;
	return true;
}

bool aws_true(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);

	return json_is_true(value) || (text && !strcmp(text, "true"));
}

static const char *either(const json_t *object, const char *one, const char *two)
{
	const char *text = json_string_value(json_object_get(object, one));

	return text ?: json_string_value(json_object_get(object, two));
}

const char *aws_tag(const json_t *tags, const char *name)
{
	size_t i;
	json_t *tag;

	json_array_foreach (tags, i, tag) {
		const char *key = either(tag, "key", "Key");

		if (key && !strcmp(key, name))
			return either(tag, "value", "Value");
	}
	return NULL;
}
