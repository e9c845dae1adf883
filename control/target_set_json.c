/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of targets as JSON, in the admin API's words: what is pushed, and what the last-known-good
 * file has. See control/target_set.h.
 *
 * Happy path: every item is read key by key, added, and the set is sealed. Failure modes: a key
 * that is not known, a value of another type or out of bounds, two items that contradict each
 * other: a sentence that names the place, and no set at all.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/target_set.h"
#include "proxy/base/jot.h"

static json_t *target_json(const void *of, size_t index)
{
	const struct found_target *target = target_set_at(of, index);

	return JOT({"id", jot_text(target->id)}, {"address", jot_text(target->address)},
		   {"weight", json_integer(target->weight)}, {"zone", jot_text(target->zone)},
		   {"backup", json_boolean(target->backup)},
		   {"max_connections", json_integer(target->max_connections)},
		   {"draining", json_boolean(target->draining)});
}

json_t *target_set_to_json(const struct target_set *set)
{
	return jot_array(target_set_count(set), target_json, set);
}

/* Where a sentence about what is wrong goes. */
struct reading {
	size_t index;
	char *problem;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct reading *reading,
							 const char *format, ...)
{
	char what[128];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(reading->problem, reading->size, "targets[%zu]: %s", reading->index, what);
	return false;
}

static bool read_text(const struct reading *reading, const char *key, const json_t *value,
		      const char **ret_text)
{
	if (!json_is_string(value) && !json_is_null(value))
		return refuse(reading, "%s must be a text", key);
	/* Jansson keeps a U+0000, which C would read as the end of the text. */
	if (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value))
		return refuse(reading, "%s has a NUL in it", key);
	*ret_text = json_string_value(value);
	return true;
}

static bool read_number(const struct reading *reading, const char *key, const json_t *value,
			uint32_t max, uint32_t *ret_number)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || number > max)
		return refuse(reading, "%s must be a whole number from 0 to %u", key, max);
	*ret_number = (uint32_t)number;
	return true;
}

static bool read_bool(const struct reading *reading, const char *key, const json_t *value,
		      bool *ret_bool)
{
	if (!json_is_boolean(value))
		return refuse(reading, "%s must be true or false", key);
	*ret_bool = json_is_true(value);
	return true;
}

static bool read_key(const struct reading *reading, const char *key, const json_t *value,
		     struct found_target *target)
{
	if (!strcmp(key, "id"))
		return read_text(reading, key, value, &target->id);
	if (!strcmp(key, "address"))
		return read_text(reading, key, value, &target->address);
	if (!strcmp(key, "zone"))
		return read_text(reading, key, value, &target->zone);
	if (!strcmp(key, "weight"))
		return read_number(reading, key, value, FOUND_WEIGHT_MAX, &target->weight);
	if (!strcmp(key, "max_connections"))
		return read_number(reading, key, value, UINT32_MAX, &target->max_connections);
	if (!strcmp(key, "backup"))
		return read_bool(reading, key, value, &target->backup);
	if (!strcmp(key, "draining"))
		return read_bool(reading, key, value, &target->draining);
	return refuse(reading, "\"%.32s\" is not known", key);
}

static bool read_target(const struct reading *reading, json_t *object, struct found_target *target)
{
	const char *key;
	json_t *value;

	*target = (struct found_target){.weight = FOUND_WEIGHT};
	if (!json_is_object(object))
		return refuse(reading, "not an object");
	json_object_foreach (object, key, value)
		if (!read_key(reading, key, value, target))
			return false;
	return target->address || refuse(reading, "has no address");
}

static int add_all(struct target_set *set, const json_t *array, char *ret_problem, size_t size)
{
	struct reading reading = {.problem = ret_problem, .size = size};
	struct found_target target;
	const struct found_target *twice;
	json_t *item;

	json_array_foreach (array, reading.index, item) {
		int err = read_target(&reading, item, &target) ? target_set_add(set, &target)
							       : -EPROTO;

		if (err == -EINVAL)
			refuse(&reading, "its address, id, zone or weight is not one a target can "
					 "have");
		if (err)
			return err == -EPROTO ? -EINVAL : err;
	}
	if (!target_set_seal(set, &twice))
		return 0;
	snprintf(ret_problem, size, "%s is there twice, with different properties", twice->address);
	return -EINVAL;
}

int target_set_from_json(const json_t *array, struct target_set **ret_set, char *ret_problem,
			 size_t size)
{
	struct target_set *set;
	int err;

	if (!json_is_array(array)) {
		snprintf(ret_problem, size, "the targets are not a list");
		return -EINVAL;
	}
	set = target_set_new();
	err = set ? add_all(set, array, ret_problem, size) : -ENOMEM;
	if (err) {
		target_set_free(set);
		return err;
	}
	*ret_set = set;
	return 0;
}
