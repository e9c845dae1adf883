/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of the last events, kept as the JSON that the API gives. Happy path: an event is written
 * to the log, made into JSON, and takes the oldest one's place.
 *
 * Failure modes: too long a text is cut; what would break a line or is no UTF-8 becomes a question
 * mark; without memory an event is in the log alone, and its number is missing from the ring.
 */
#include "control/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/conf/text.h"
#include "proxy/base/jot.h"
#include "proxy/base/timestamp.h"

#define TEXT_ROOM 640

struct journal {
	json_t *ring[JOURNAL_KEPT]; /* the event of number n at (n - 1) % JOURNAL_KEPT; or NULL */
	uint64_t last_id;
	void (*on_note)(void *context);
	void *context;
};

struct journal *journal_new(void)
{
	return calloc(1, sizeof(struct journal));
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	for (size_t i = 0; i < JOURNAL_KEPT; i++)
		json_decref(journal->ring[i]);
	free(journal);
}

/* Texts come from far away, and a cut may have gone through a character. Double quotes stand round
 * values in the log. */
static void make_clean(char *text)
{
	while (*text) {
		const char *next = text;

		if (!text_is_clean_code_point(text_next_code_point(&next)))
			*text++ = '?';
		else if (*text == '"')
			*text++ = '\'';
		else
			text += next - text;
	}
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static json_t *event_json(uint64_t id, enum log_level level, const char *kind, const char *pool,
			  const char *source, const char *target, const char *text)
{
	char time[TIMESTAMP_TEXT];

	return JOT({"id", json_integer((json_int_t)id)},
		   {"time", json_string(timestamp_format(clock_wall_us(), time))},
		   {"level", json_string(log_level_names[level])}, {"kind", jot_text(kind)},
		   {"pool", jot_text(pool)}, {"source", jot_text(source)},
		   {"target", jot_text(target)}, {"text", jot_text(text)});
}

void journal_note(struct journal *journal, enum log_level level, const char *kind, const char *pool,
		  const char *source, const char *target, const char *format, ...)
{
	char text[TEXT_ROOM];
	va_list args;
	json_t **slot;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	make_clean(text);
	log_event(level, kind, "%s%s%s%s%s%s%stext=\"%s\"", pool ? "pool=" : "", or_empty(pool),
		  source ? " source=" : "", or_empty(source), target ? " target=" : "",
		  or_empty(target), pool || source || target ? " " : "", text);
	if (!journal)
		return;
	slot = &journal->ring[journal->last_id++ % JOURNAL_KEPT];
	json_decref(*slot);
	*slot = event_json(journal->last_id, level, kind, pool, source, target, text);
	if (journal->on_note)
		journal->on_note(journal->context);
}

void journal_on_note(struct journal *journal, void (*on_note)(void *context), void *context)
{
	journal->on_note = on_note;
	journal->context = context;
}

/* The events after `after`, oldest first; NULL without memory. */
static json_t *list_events(const struct journal *journal, uint64_t after, unsigned limit)
{
	uint64_t lost = journal->last_id > JOURNAL_KEPT ? journal->last_id - JOURNAL_KEPT : 0;
	json_t *list = json_array();

	for (uint64_t id = after > lost ? after : lost;
	     id < journal->last_id && json_array_size(list) < limit; id++) {
		json_t *event = journal->ring[id % JOURNAL_KEPT];

		if (event && json_array_append(list, event) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *journal_read(const struct journal *journal, uint64_t after, unsigned limit)
{
	return JOT({"events", list_events(journal, after, limit)},
		   {"last_id", json_integer((json_int_t)journal->last_id)});
}

uint64_t journal_count(const struct journal *journal)
{
	return journal->last_id;
}
