/* SPDX-License-Identifier: Apache-2.0
 *
 * See names.h.
 */
#include "control/ctl/haproxy/names.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 31

static char allowed(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')
		return c;
	return '-';
}

static bool is_given(const struct hap_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->given[i], name) == 0)
			return true;
	return false;
}

/* What is left of `wanted` in front of what no name begins with. */
static const char *skip_marks(const char *wanted)
{
	while (*wanted && strchr("_.-", allowed(*wanted)))
		wanted++;
	return wanted;
}

const char *hap_name(struct hap_arena *arena, struct hap_names *names, const char *wanted)
{
	char base[NAME_BYTES + 1] = "x", name[NAME_BYTES + 1];
	size_t len = 0;

	for (wanted = skip_marks(wanted); len < NAME_BYTES && wanted[len]; len++)
		base[len] = allowed(wanted[len]);
	snprintf(name, sizeof(name), "%s", base);
	for (unsigned i = 2; is_given(names, name); i++) {
		char mark[12];
		int mark_len = snprintf(mark, sizeof(mark), "-%u", i);

		snprintf(name, sizeof(name), "%.*s%s", NAME_BYTES - mark_len, base, mark);
	}
	names->given = hap_grow(arena, names->given, names->count, sizeof(char *));
	return names->given[names->count++] = hap_copy(arena, name, strlen(name));
}
