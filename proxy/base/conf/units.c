/* SPDX-License-Identifier: Apache-2.0
 *
 * Each parser is: the digits, then the unit looked up in a small table, then one checked product.
 * Failure modes are words, not numbers, since they end up in front of a person.
 */
#include "proxy/base/conf/units.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
};

static const struct unit sizes[] = {
	{"", 1},
	{"B", 1},
	{"KiB", UINT64_C(1) << 10},
	{"MiB", UINT64_C(1) << 20},
	{"GiB", UINT64_C(1) << 30},
	{"TiB", UINT64_C(1) << 40},
	{"KB", UINT64_C(1000)},
	{"MB", UINT64_C(1000) * 1000},
	{"GB", UINT64_C(1000) * 1000 * 1000},
	{"TB", UINT64_C(1000) * 1000 * 1000 * 1000},
};

static int refuse(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Read the digits that `text` begins with; `ret_rest` is what follows them. */
static int read_digits(const char *text, uint64_t *ret_value, const char **ret_rest,
		       const char **ret_why)
{
	uint64_t value = 0;

	if (*text == '\0')
		return refuse("is empty", ret_why);
	if (*text == '-' && is_digit(text[1]))
		return refuse("is negative", ret_why);
	if (!is_digit(*text))
		return refuse("is not a number", ret_why);
	if (*text == '0' && is_digit(text[1]))
		return refuse("has a leading zero", ret_why);
	for (; is_digit(*text); text++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return refuse("is too large", ret_why);
	if ((*text == '.' || *text == ',') && is_digit(text[1]))
		return refuse("is not a whole number", ret_why);
	*ret_value = value;
	*ret_rest = text;
	return 0;
}

static int apply_unit(uint64_t value, const char *name, const struct unit *units, size_t count,
		      uint64_t *ret_value, const char **ret_why)
{
	uint64_t product;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].factor, &product))
			return refuse("is too large", ret_why);
		*ret_value = product;
		return 0;
	}
	return refuse(*name ? "has an unknown unit" : "has no unit", ret_why);
}

int units_integer(const char *text, uint64_t *ret_value, const char **ret_why)
{
	const char *rest;
	uint64_t value;
	int err = read_digits(text, &value, &rest, ret_why);

	if (err < 0)
		return err;
	if (*rest)
		return refuse("is not a plain number", ret_why);
	*ret_value = value;
	return 0;
}

int units_duration(const char *text, uint64_t *ret_ms, const char **ret_why)
{
	const char *rest;
	uint64_t value;
	int err = read_digits(text, &value, &rest, ret_why);

	if (err < 0)
		return err;
	if (value == 0 && *rest == '\0') {
		*ret_ms = 0;
		return 0;
	}
	return apply_unit(value, rest, durations, sizeof(durations) / sizeof(durations[0]), ret_ms,
			  ret_why);
}

int units_size(const char *text, uint64_t *ret_bytes, const char **ret_why)
{
	const char *rest;
	uint64_t value;
	int err = read_digits(text, &value, &rest, ret_why);

	if (err < 0)
		return err;
	return apply_unit(value, rest, sizes, sizeof(sizes) / sizeof(sizes[0]), ret_bytes, ret_why);
}

int units_percent(const char *text, uint64_t *ret_percent, const char **ret_why)
{
	const char *rest;
	uint64_t value;
	int err = read_digits(text, &value, &rest, ret_why);

	if (err < 0)
		return err;
	if (*rest == '\0')
		return refuse("has no % sign", ret_why);
	if (strcmp(rest, "%") != 0)
		return refuse("has an unknown unit", ret_why);
	*ret_percent = value;
	return 0;
}

int units_range(const char *text, uint64_t *ret_range, const char **ret_why)
{
	const char *rest;
	uint64_t first, last;
	int err = read_digits(text, &first, &rest, ret_why);

	last = first;
	if (err == 0 && strcmp(rest, "-") == 0)
		return refuse("is a range without an end", ret_why);
	if (err == 0 && *rest == '-')
		err = read_digits(rest + 1, &last, &rest, ret_why);
	if (err < 0)
		return err;
	if (*rest)
		return refuse("is not a plain number or two", ret_why);
	if (last > UINT32_MAX)
		return refuse("is too large", ret_why);
	if (last < first)
		return refuse("is a range that ends before it begins", ret_why);
	*ret_range = first << 32 | last;
	return 0;
}

int units_bool(const char *text, uint64_t *ret_bool, const char **ret_why)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return refuse(*text ? "is neither true nor false" : "is empty", ret_why);
	*ret_bool = text[0] == 't';
	return 0;
}

int units_mode(const char *text, uint64_t *ret_mode, const char **ret_why)
{
	const char *digits = text;
	uint64_t mode = 0;

	if (strncmp(digits, "0o", 2) == 0)
		digits += 2;
	else if (digits[0] == '0' && digits[1])
		digits++;
	if (*digits == '\0')
		return refuse(*text ? "is not an octal number" : "is empty", ret_why);
	if (*digits == '-')
		return refuse("is negative", ret_why);
	for (const char *p = digits; *p; p++) {
		if (*p < '0' || *p > '7')
			return refuse("is not an octal number", ret_why);
		if (p - digits >= 4)
			return refuse("is too large", ret_why);
		mode = mode * 8 + (uint64_t)(*p - '0');
	}
	*ret_mode = mode;
	return 0;
}
