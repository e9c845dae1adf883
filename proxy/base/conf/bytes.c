/* SPDX-License-Identifier: Apache-2.0
 *
 * See bytes.h. Failure modes: an odd digit, a character that is none, nothing at all, too much.
 */
#include "proxy/base/conf/bytes.h"

#include <errno.h>
#include <string.h>

#define HEX_PREFIX "hex:"

static int refuse(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EINVAL;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int parse_hex(const char *digits, size_t room, uint8_t *buf, size_t *ret_size,
		     const char **ret_why)
{
	size_t count = strlen(digits);

	if (count == 0)
		return refuse("has no digits behind hex:", ret_why);
	for (size_t i = 0; i < count; i++)
		if (digit_value(digits[i]) < 0)
			return refuse("has a character that is no hexadecimal digit", ret_why);
	if (count % 2)
		return refuse("has an odd number of hexadecimal digits", ret_why);
	if (count / 2 > room)
		return refuse("is too long", ret_why);
	for (size_t i = 0; buf && i < count; i += 2)
		buf[i / 2] = (uint8_t)(digit_value(digits[i]) << 4 | digit_value(digits[i + 1]));
	*ret_size = count / 2;
	return 0;
}

int bytes_parse(const char *text, size_t room, uint8_t *buf, size_t *ret_size, const char **ret_why)
{
	size_t size = strlen(text);

	if (strncmp(text, HEX_PREFIX, strlen(HEX_PREFIX)) == 0)
		return parse_hex(text + strlen(HEX_PREFIX), room, buf, ret_size, ret_why);
	if (size == 0)
		return refuse("is empty", ret_why);
	if (size > room)
		return refuse("is too long", ret_why);
	if (buf)
		memcpy(buf, text, size);
	*ret_size = size;
	return 0;
}
