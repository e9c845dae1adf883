/* SPDX-License-Identifier: Apache-2.0
 *
 * See quantity.h. Failure modes: no digit, an unknown unit, more than fits.
 */
#include "control/ctl/haproxy/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static int read_digits(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	for (; isdigit((unsigned char)**text); (*text)++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(**text - '0'), &number))
			return -EINVAL;
	*ret_number = number;
	return 0;
}

int hap_number(const char *text, uint64_t *ret_number)
{
	uint64_t number;
	int err = read_digits(&text, &number);

	if (err < 0 || *text)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

int hap_time(const char *text, uint64_t unit_ms, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	uint64_t number;

	if (read_digits(&text, &number) < 0)
		return -EINVAL;
	if (strcmp(text, "us") == 0) {
		*ret_ms = number / 1000 + (number % 1000 != 0);
		return 0;
	}
	bool known = *text == '\0';

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].name) != 0)
			continue;
		unit_ms = units[i].ms;
		known = true;
	}
	if (!known || __builtin_mul_overflow(number, unit_ms, &number))
		return -EINVAL;
	*ret_ms = number;
	return 0;
}
