/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what is to be said about lines that are not, or not quite, carried. A line's settings may be
 * inherited by many sections; the same thing is said about it once.
 */
#include "control/ctl/haproxy/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/haproxy/haproxy.h"
#include "control/ctl/utf8.h"

#define WHY_BYTES 400
#define RAW_BYTES 240
#define NOTES_MAX 4000 /* so that comments cannot outgrow what Sluice reads */

void hap_note(struct hap *hap, const struct hap_line *line, enum hap_level level,
	      const char *format, ...)
{
	char why[WHY_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(why, sizeof(why), format, list);
	va_end(list);
	for (size_t i = 0; i < hap->note_count; i++)
		if (hap->notes[i].line == line && strcmp(hap->notes[i].why, why) == 0)
			return;
	if (hap->note_count == NOTES_MAX) {
		hap->untold += level == HAP_LOST;
		return;
	}
	hap->notes = hap_grow(&hap->arena, hap->notes, hap->note_count, sizeof(*hap->notes));
	hap->notes[hap->note_count] =
		(struct hap_note){.level = level,
				  .line = line,
				  .order = hap->noted++,
				  .why = hap_copy(&hap->arena, why, strlen(why))};
	hap->note_count++;
}

void hap_notes_drop(struct hap *hap, const struct hap_section *section)
{
	size_t kept = 0;

	for (size_t i = 0; i < hap->note_count; i++)
		if (hap->notes[i].line->section != section)
			hap->notes[kept++] = hap->notes[i];
	hap->note_count = kept;
}

/* Where the bytes of `text` that make whole characters end, at or before `most`. */
static size_t cut_at(const char *text, size_t most)
{
	size_t len = strlen(text);

	if (len <= most)
		return len;
	while (most && ((unsigned char)text[most] & 0xc0) == 0x80)
		most--;
	return most;
}

static void print_line(const struct hap_line *line, const char *indent, FILE *out)
{
	char raw[RAW_BYTES + 1], file[RAW_BYTES + 1];
	size_t len = cut_at(line->raw, RAW_BYTES);

	snprintf(raw, sizeof(raw), "%.*s", (int)len, line->raw);
	snprintf(file, sizeof(file), "%.*s", (int)cut_at(line->file, RAW_BYTES), line->file);
	fprintf(out, "%s# %s:%u: %s%s\n", indent, utf8_clean(file), line->number, utf8_clean(raw),
		line->raw[len] ? " ..." : "");
}

static void print_why(const struct hap_note *note, const char *indent, FILE *out)
{
	char why[WHY_BYTES];

	snprintf(why, sizeof(why), "%.*s", (int)cut_at(note->why, WHY_BYTES - 1), note->why);
	fprintf(out, "%s#   %s: %s\n", indent, note->level == HAP_LOST ? "not carried" : "note",
		utf8_clean(why));
}

/* In a listen section, which becomes both. */
static bool is_of_listener(const struct hap_line *line)
{
	static const char *const words[] = {
		"acl",     "bind",       "clitcpka-cnt", "clitcpka-idle", "clitcpka-intvl",
		"maxconn", "rate-limit", "tcp-request",  "use_backend",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(hap_word(line, 0), words[i]) == 0)
			return true;
	return false;
}

static bool is_told_at(const struct hap_note *note, const struct hap_section *section,
		       enum hap_place place)
{
	if (note->told || note->line->section != section)
		return false;
	return place == HAP_ANYWHERE || (place == HAP_AT_LISTENER) == is_of_listener(note->line);
}

/* By line, and else in the order they came up. */
static int compare(const void *a, const void *b)
{
	const struct hap_note *x = a, *y = b;

	if (x->line->number != y->line->number)
		return x->line->number < y->line->number ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void hap_notes_sort(struct hap *hap)
{
	if (hap->note_count)
		qsort(hap->notes, hap->note_count, sizeof(*hap->notes), compare);
}

size_t hap_notes_print(struct hap *hap, const struct hap_section *section, enum hap_place place,
		       const char *indent, FILE *out)
{
	const struct hap_line *line = NULL;
	size_t printed = 0;

	for (size_t i = 0; i < hap->note_count; i++) {
		struct hap_note *note = &hap->notes[i];

		if (!is_told_at(note, section, place))
			continue;
		if (note->line != line)
			print_line(note->line, indent, out);
		print_why(note, indent, out);
		line = note->line;
		note->told = true;
		printed++;
	}
	return printed;
}

size_t hap_notes_count(const struct hap *hap, enum hap_level level)
{
	size_t count = level == HAP_LOST ? hap->untold : 0;

	for (size_t i = 0; i < hap->note_count; i++)
		count += hap->notes[i].level == level;
	return count;
}
