/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of the last events. The happy path is: events_add() formats into the oldest slot, writes
 * the same as a line of the operational log, and tells whoever waits; a reader walks by id, so one
 * that was too slow goes on with the oldest event that is left.
 *
 * Failure modes: none but the memory of events_new(). Too long a text is cut, before the character
 * that does not fit whole; what would break a line or drive a terminal becomes a question mark.
 */
#include "proxy/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/panic.h"

struct events {
	struct event *ring;
	size_t capacity;
	uint64_t last_id;
	void (*on_add)(void *context);
	void *context;
	struct {
		char name[sizeof(((struct event *)0)->kind)];
		uint64_t count;
	} kinds[EVENT_KINDS_MAX + 1];
	size_t kind_count;
};

struct events *events_new(size_t capacity)
{
	struct events *events = calloc(1, sizeof(*events));

	must(capacity > 0);
	if (!events)
		return NULL;
	events->capacity = capacity;
	events->ring = calloc(capacity, sizeof(*events->ring));
	if (!events->ring) {
		free(events);
		return NULL;
	}
	return events;
}

void events_free(struct events *events)
{
	if (!events)
		return;
	free(events->ring);
	free(events);
}

/* A cut may have gone through a character of several bytes: drop its beginning. */
static void drop_half_character(char *text, size_t len)
{
	size_t tail = 0; /* continuation bytes at the end */
	unsigned char lead;
	size_t want;

	while (tail < len && tail < 3 && ((unsigned char)text[len - 1 - tail] & 0xc0) == 0x80)
		tail++;
	if (tail == len)
		return;
	lead = (unsigned char)text[len - 1 - tail];
	want = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (tail < want)
		text[len - 1 - tail] = '\0';
}

static void make_harmless(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void copy_text(char *to, size_t size, const char *from)
{
	int len = snprintf(to, size, "%s", from ? from : "");

	if (len >= (int)size)
		drop_half_character(to, size - 1);
	make_harmless(to);
}

/* The log's values are quoted with ", so a text has to do without. */
static void write_log(const struct event *event)
{
	char text[sizeof(event->text)];

	memcpy(text, event->text, sizeof(text));
	for (char *at = text; *at; at++)
		if (*at == '"')
			*at = '\'';
	if (*event->target)
		log_event(event->level, event->kind, "pool=%s target=%s text=\"%s\"", event->pool,
			  event->target, text);
	else if (*event->pool)
		log_event(event->level, event->kind, "pool=%s text=\"%s\"", event->pool, text);
	else
		log_event(event->level, event->kind, "text=\"%s\"", text);
}

static void count_kind(struct events *events, const char *kind)
{
	size_t i = 0;

	while (i < events->kind_count && strcmp(events->kinds[i].name, kind))
		i++;
	if (i == events->kind_count) {
		i = i < EVENT_KINDS_MAX ? i : EVENT_KINDS_MAX;
		copy_text(events->kinds[i].name, sizeof(events->kinds[i].name),
			  i < EVENT_KINDS_MAX ? kind : "other");
		events->kind_count = i + 1;
	}
	events->kinds[i].count++;
}

void events_add(struct events *events, enum log_level level, const char *kind, const char *pool,
		const char *target, const char *format, ...)
{
	struct event *event = &events->ring[events->last_id % events->capacity];
	va_list args;
	int len;

	event->id = ++events->last_id;
	event->wall_us = clock_wall_us();
	event->level = level;
	copy_text(event->kind, sizeof(event->kind), kind);
	count_kind(events, event->kind);
	copy_text(event->pool, sizeof(event->pool), pool);
	copy_text(event->target, sizeof(event->target), target);
	va_start(args, format);
	len = vsnprintf(event->text, sizeof(event->text), format, args);
	va_end(args);
	if (len >= (int)sizeof(event->text))
		drop_half_character(event->text, sizeof(event->text) - 1);
	make_harmless(event->text);
	write_log(event);
	if (events->on_add)
		events->on_add(events->context);
}

void events_on_add(struct events *events, void (*on_add)(void *context), void *context)
{
	events->on_add = on_add;
	events->context = context;
}

uint64_t events_last_id(const struct events *events)
{
	return events->last_id;
}

const struct event *events_next(const struct events *events, uint64_t after)
{
	uint64_t lost = events->last_id > events->capacity ? events->last_id - events->capacity : 0;
	uint64_t before = after > lost ? after : lost;

	if (before >= events->last_id)
		return NULL;
	return &events->ring[before % events->capacity];
}

const char *events_kind(const struct events *events, size_t index, uint64_t *ret_count)
{
	if (index >= events->kind_count)
		return NULL;
	*ret_count = events->kinds[index].count;
	return events->kinds[index].name;
}
