/* SPDX-License-Identifier: Apache-2.0
 *
 * The SDKs' configuration files, line by line.
 *
 * Happy path: `[section]` begins a section, `key = value` is kept with it. A section that comes
 * again goes on. Lines that begin with a blank after an empty value are a nested table, which
 * nothing here reads. Failure modes: a line that is none of these (also one that is indented by
 * mistake), a NUL, a value before any section, memory. What a line says is in no error: it may be a
 * secret.
 */
#include "control/aws/ini.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/aws/secret.h"

#define MAX_SECTIONS 4096

struct value {
	struct value *next;
	size_t section; /* place in ini::sections */
	char *key;
	char *text;
};

struct ini {
	char **sections;
	size_t section_count;
	struct value *first;
	struct value *last;
};

/* A line, or a part of one, still in the file's text. */
struct span {
	const char *text;
	size_t size;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span span)
{
	while (span.size && is_blank(span.text[0])) {
		span.text++;
		span.size--;
	}
	while (span.size && is_blank(span.text[span.size - 1]))
		span.size--;
	return span;
}

/* A comment begins with # or ;, in a line with something else only after a blank. */
static struct span without_comment(struct span span)
{
	for (size_t i = 0; i < span.size; i++)
		if ((span.text[i] == '#' || span.text[i] == ';') &&
		    (i == 0 || is_blank(span.text[i - 1])))
			span.size = i;
	return trim(span);
}

static size_t find_section(const struct ini *ini, const char *name, size_t size)
{
	size_t i = 0;

	while (i < ini->section_count &&
	       (strlen(ini->sections[i]) != size || memcmp(ini->sections[i], name, size) != 0))
		i++;
	return i;
}

static int begin_section(struct ini *ini, struct span line, size_t *section)
{
	const char *end = memchr(line.text, ']', line.size);
	struct span name = {line.text + 1, end ? (size_t)(end - line.text) - 1 : 0};
	char **grown;

	name = trim(name);
	if (!end || !name.size)
		return -EINVAL;
	*section = find_section(ini, name.text, name.size);
	if (*section < ini->section_count)
		return 0;
	if (ini->section_count == MAX_SECTIONS)
		return -EINVAL;
	grown = reallocarray(ini->sections, ini->section_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ini->sections = grown;
	grown[*section] = secret_cut(name.text, name.size);
	if (!grown[*section])
		return -ENOMEM;
	ini->section_count++;
	return 0;
}

static void free_value(struct value *value)
{
	secret_free(value->key);
	secret_free(value->text);
	free(value);
}

static int add_value(struct ini *ini, size_t section, struct span line)
{
	const char *equals = memchr(line.text, '=', line.size);
	struct span key = {line.text, equals ? (size_t)(equals - line.text) : 0};
	struct span text;
	struct value *value;

	key = trim(key);
	if (!equals || !key.size || section >= ini->section_count)
		return -EINVAL;
	text.text = equals + 1;
	text.size = line.size - (size_t)(text.text - line.text);
	text = without_comment(text);
	value = calloc(1, sizeof(*value));
	if (!value)
		return -ENOMEM;
	value->section = section;
	value->key = secret_cut(key.text, key.size);
	value->text = secret_cut(text.text, text.size);
	if (!value->key || !value->text) {
		free_value(value);
		return -ENOMEM;
	}
	if (ini->last)
		ini->last->next = value;
	else
		ini->first = value;
	ini->last = value;
	return 0;
}

/* `section` is the one in which the line stands, the count of sections before the first. */
static int read_line(struct ini *ini, struct span line, size_t *section)
{
	bool indented = line.size && is_blank(line.text[0]);
	struct span what = without_comment(line);

	if (memchr(line.text, '\0', line.size))
		return -EINVAL;
	if (!what.size)
		return 0;
	if (indented && ini->last && ini->last->section == *section)
		return *ini->last->text ? -EINVAL : 0;
	if (what.text[0] == '[')
		return begin_section(ini, what, section);
	return add_value(ini, *section, trim(line));
}

int ini_parse(const char *text, size_t size, struct ini **ret_ini, unsigned *ret_line)
{
	struct ini *ini = calloc(1, sizeof(*ini));
	size_t at = 0, section = SIZE_MAX;
	unsigned number = 0;
	int ret = 0;

	if (!ini)
		return -ENOMEM;
	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) /* as some editors begin a file */
		at = 3;
	while (ret == 0 && at < size) {
		const char *end = memchr(text + at, '\n', size - at);
		struct span line = {text + at, end ? (size_t)(end - text) - at : size - at};

		number++;
		at += line.size + 1;
		ret = read_line(ini, line, &section);
	}
	if (ret == 0) {
		*ret_ini = ini;
		return 0;
	}
	ini_free(ini);
	if (ret == -EINVAL)
		*ret_line = number;
	return ret;
}

void ini_free(struct ini *ini)
{
	struct value *next;

	if (!ini)
		return;
	for (struct value *value = ini->first; value; value = next) {
		next = value->next;
		free_value(value);
	}
	for (size_t i = 0; i < ini->section_count; i++)
		free(ini->sections[i]);
	free(ini->sections);
	free(ini);
}

const char *ini_get(const struct ini *ini, const char *section, const char *key)
{
	size_t place = find_section(ini, section, strlen(section));
	const char *found = NULL;

	for (const struct value *value = ini->first; value; value = value->next)
		if (value->section == place && !strcasecmp(value->key, key))
			found = value->text;
	return found;
}

bool ini_has(const struct ini *ini, const char *section)
{
	return find_section(ini, section, strlen(section)) < ini->section_count;
}

void ini_each(const struct ini *ini,
	      void (*on_value)(void *context, const char *section, const char *key,
			       const char *value),
	      void *context)
{
	for (const struct value *value = ini->first; value; value = value->next)
		on_value(context, ini->sections[value->section], value->key, value->text);
}
