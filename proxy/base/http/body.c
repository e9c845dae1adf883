/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the check of a body. The happy path is: every key of the object is in the table and has the
 * kind it should, every required one is there.
 *
 * Failure modes: the first that does not fit is refused with 400 and a sentence that names it and
 * says what was expected.
 */
#include "proxy/base/http/body.h"

#include <string.h>

#include "proxy/base/http/request.h"
#include "proxy/base/timestamp.h"

/* One value on its way from the body to a struct. */
struct reading {
	struct request *request;
	const char *place;
	const struct body_key *key;
	const json_t *value;
	void *ret_value;
};

static bool refuse(const struct reading *reading, const char *expected)
{
	request_refuse(reading->request, 400, "%s%s must be %s", reading->place, reading->key->name,
		       expected);
	return false;
}

static bool read_number(const struct reading *reading)
{
	const struct body_key *key = reading->key;
	json_int_t number = json_integer_value(reading->value);

	if (!json_is_integer(reading->value) || number < key->min || number > key->max) {
		request_refuse(reading->request, 400, "%s%s must be a number from %lld to %lld",
			       reading->place, key->name, (long long)key->min, (long long)key->max);
		return false;
	}
	*(int64_t *)reading->ret_value = number;
	return true;
}

/* Control characters would end up in logs and on terminals. */
static bool is_printable(const char *text, bool spaceless)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f || (spaceless && *text == ' '))
			return false;
	return true;
}

static bool read_text(const struct reading *reading)
{
	const struct body_key *key = reading->key;
	const char *text = json_string_value(reading->value);

	if (!text)
		return refuse(reading, "a string");
	if ((int64_t)strlen(text) < key->min || (int64_t)strlen(text) > key->max) {
		request_refuse(reading->request, 400, "%s%s must have %lld to %lld bytes",
			       reading->place, key->name, (long long)key->min, (long long)key->max);
		return false;
	}
	if (!is_printable(text, key->spaceless))
		return refuse(reading, key->spaceless ? "printable, without blanks" : "printable");
	*(const char **)reading->ret_value = text;
	return true;
}

static bool read_time(const struct reading *reading)
{
	const char *text = json_string_value(reading->value);

	if (!text || timestamp_parse(text, reading->ret_value))
		return refuse(reading, "a time such as \"2026-01-02T03:04:05Z\"");
	return true;
}

static bool read_bool(const struct reading *reading)
{
	if (!json_is_boolean(reading->value))
		return refuse(reading, "true or false");
	*(bool *)reading->ret_value = json_is_true(reading->value);
	return true;
}

static bool read_list(const struct reading *reading)
{
	if (!json_is_array(reading->value))
		return refuse(reading, "a list");
	*(const json_t **)reading->ret_value = reading->value;
	return true;
}

static bool read_value(const struct reading *reading)
{
	static bool (*const readers[])(const struct reading *) = {
		[BODY_NUMBER] = read_number, [BODY_TEXT] = read_text, [BODY_BOOL] = read_bool,
		[BODY_TIME] = read_time,     [BODY_LIST] = read_list,
	};

	if (json_is_null(reading->value) && reading->key->nullable)
		return true;
	return readers[reading->key->kind](reading);
}

static const struct body_key *find_key(const struct body_key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static bool check_required(struct request *request, const char *place, const struct body_key *keys,
			   size_t count, uint32_t given)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].required && !(given & 1u << i)) {
			request_refuse(request, 400, "%s%s is missing", place, keys[i].name);
			return false;
		}
	return true;
}

bool body_read(struct request *request, const json_t *object, const char *place,
	       const struct body_key *keys, size_t count, void *ret_values, uint32_t *ret_given)
{
	uint32_t given = 0;
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)object, name, value) {
		const struct body_key *key = find_key(keys, count, name);
		struct reading reading = {.request = request,
					  .place = place,
					  .key = key,
					  .value = value,
					  .ret_value = (char *)ret_values + (key ? key->at : 0)};

		if (!key) {
			request_refuse(request, 400, "unknown key \"%s%.100s\"", place, name);
			return false;
		}
		if (!read_value(&reading))
			return false;
		given |= 1u << (key - keys);
	}
	if (!check_required(request, place, keys, count, given))
		return false;
	if (ret_given)
		*ret_given = given;
	return true;
}
