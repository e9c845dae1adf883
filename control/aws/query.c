/* SPDX-License-Identifier: Apache-2.0
 *
 * Walking the input down to its leaves, with the name so far in one buffer.
 */
#include "control/aws/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "control/aws/secret.h"

struct form {
	struct secret_text text;
	char name[QUERY_NAME];
	unsigned depth;
	bool is_ec2;
};

static int add_value(struct form *form, const json_t *value);

/* A space is '+', as other clients write it too: simulators sign what they would have written. */
static void add_encoded(struct form *form, const char *text, size_t size)
{
	const char *end = text + size;

	for (;;) {
		const char *space = memchr(text, ' ', (size_t)(end - text));

		secret_add_encoded(&form->text, text, (size_t)((space ?: end) - text), "");
		if (!space)
			return;
		secret_add(&form->text, "+", 1);
		text = space + 1;
	}
}

static void add_pair(struct form *form, const char *value, size_t size)
{
	if (form->text.size)
		secret_add(&form->text, "&", 1);
	add_encoded(form, form->name, strlen(form->name));
	secret_add(&form->text, "=", 1);
	add_encoded(form, value, size);
}

static int add_number(struct form *form, int64_t number)
{
	char digits[24];

	add_pair(form, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, number));
	return 0;
}

/* What stands below one more part of the name. */
static int add_below(struct form *form, const char *part, const json_t *value)
{
	size_t end = strlen(form->name);
	size_t room = sizeof(form->name) - end;
	int size = snprintf(form->name + end, room, "%s%s", end ? "." : "", part);
	int err = -EINVAL;

	if (size > 0 && (size_t)size < room && form->depth < QUERY_DEPTH) {
		form->depth++;
		err = add_value(form, value);
		form->depth--;
	}
	form->name[end] = '\0';
	return err;
}

static int add_list(struct form *form, const json_t *list)
{
	size_t i;
	json_t *value;
	int err = 0;

	json_array_foreach (list, i, value) {
		char part[32];

		snprintf(part, sizeof(part), "%s%zu", form->is_ec2 ? "" : "member.", i + 1);
		err = err ?: add_below(form, part, value);
	}
	return err;
}

static int add_object(struct form *form, const json_t *object)
{
	const char *key;
	json_t *value;
	int err = 0;

	/* jansson's iteration wants no const, and changes nothing. */
	json_object_foreach ((json_t *)object, key, value) {
		err = err ?: add_below(form, key, value);
	}
	return err;
}

static int add_value(struct form *form, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return add_object(form, value);
	case JSON_ARRAY:
		return add_list(form, value);
	case JSON_STRING:
		add_pair(form, json_string_value(value), json_string_length(value));
		return 0;
	case JSON_INTEGER:
		return add_number(form, json_integer_value(value));
	case JSON_TRUE:
		add_pair(form, "true", 4);
		return 0;
	case JSON_FALSE:
		add_pair(form, "false", 5);
		return 0;
	case JSON_NULL:
		return 0;
	default:
		return -EINVAL; /* no API of ours takes a fraction */
	}
}

int query_encode(const char *action, const char *version, bool is_ec2, const json_t *input,
		 char **ret_form)
{
	struct form form = {.is_ec2 = is_ec2};
	char *text;
	int err;

	secret_add_format(&form.text, "Action=%s&Version=%s", action, version);
	err = json_is_object(input) ? add_object(&form, input) : -EINVAL;
	if (err) {
		secret_discard(&form.text);
		return err;
	}
	text = secret_take(&form.text);
	if (!text)
		return -ENOMEM;
	*ret_form = text;
	return 0;
}
