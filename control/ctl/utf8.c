/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the widths of characters. They come from two short tables and not from wcwidth(3), which
 * knows nothing before setlocale(3) found a locale that small images do not have.
 *
 * Failure modes: a byte that is no UTF-8 counts as one column. Names in scripts outside the tables
 * are taken for narrow, and at worst misalign their own line.
 */
#include "control/ctl/utf8.h"

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/conf/text.h"

struct range {
	int32_t first, last;
};

/* Unicode's combining marks of living scripts, joiners and variation selectors. */
static const struct range zero_wide[] = {
	{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},   {0x0610, 0x061a}, {0x064b, 0x065f},
	{0x093c, 0x093c}, {0x0941, 0x0948}, {0x0e31, 0x0e31},   {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e},
	{0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},   {0x20d0, 0x20ff}, {0x3099, 0x309a},
	{0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
};

/* East Asian Width W and F, and emoji. */
static const struct range two_wide[] = {
	{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2e80, 0x303e},   {0x3041, 0x33ff},
	{0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},
	{0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
	{0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
	{0x20000, 0x3fffd},
};

static bool is_in(int32_t code, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count && ranges[i].first <= code; i++)
		if (code <= ranges[i].last)
			return true;
	return false;
}

static unsigned columns_of(int32_t code)
{
	if (is_in(code, zero_wide, sizeof(zero_wide) / sizeof(zero_wide[0])))
		return 0;
	return is_in(code, two_wide, sizeof(two_wide) / sizeof(two_wide[0])) ? 2 : 1;
}

/* The columns of the character at `*text`, which moves behind it. */
static unsigned next_columns(const char **text)
{
	int32_t code = text_next_code_point(text);

	if (code >= 0)
		return columns_of(code);
	(*text)++;
	return 1;
}

unsigned utf8_columns(const char *text)
{
	unsigned columns = 0;

	while (*text)
		columns += next_columns(&text);
	return columns;
}

size_t utf8_fitting(const char *text, unsigned columns)
{
	const char *at = text, *end = text;

	for (unsigned used = 0; *at; end = at) {
		used += next_columns(&at);
		if (used > columns)
			break;
	}
	return (size_t)(end - text);
}

char *utf8_clean(char *text)
{
	for (char *at = text; *at;) {
		const char *behind = at;
		int32_t code = text_next_code_point(&behind);
		bool bad = !text_is_clean_code_point(code) || (code >= 0x202a && code <= 0x202e) ||
			   (code >= 0x2066 && code <= 0x2069);

		for (char *end = bad && code < 0 ? at + 1 : (char *)behind; at < end; at++)
			if (bad)
				*at = '?';
	}
	return text;
}
