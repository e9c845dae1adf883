/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened lately, for "why is this target out?": a ring of the last events, numbered. Owned
 * and used by main's thread alone. Each event also goes to the operational log.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/log.h"

struct events;

struct event {
	uint64_t id; /* 1, 2, 3 ... */
	uint64_t wall_us;
	enum log_level level;
	char kind[32]; /* "target_down", "target_up", "panic", "drain", "override", "reload" ... */
	char pool[32]; /* "" if it concerns none */
	char target[128]; /* its name; "" if it concerns none */
	char text[256]; /* a sentence a person understands: "connect refused, 3 of 3 checks failed"
			 */
};

/* Keeps the last `capacity` events. NULL without memory. */
struct events *events_new(size_t capacity);
void events_free(struct events *events); /* accepts NULL */

/* `pool` and `target` may be NULL. Too long a text is cut. */
void events_add(struct events *events, enum log_level level, const char *kind, const char *pool,
		const char *target, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Called after each addition, if set. */
void events_on_add(struct events *events, void (*on_add)(void *context), void *context);

uint64_t events_last_id(const struct events *events);

/* The oldest one kept whose id is above `after`; NULL if there is none. Valid until the next
 * addition. */
const struct event *events_next(const struct events *events, uint64_t after);

#define EVENT_KINDS_MAX 64 /* further ones are counted together */

/* The `index`-th kind seen so far and how often it was added, from 0 on; NULL past the last one.
 * All that found no room are "other". */
const char *events_kind(const struct events *events, size_t index, uint64_t *ret_count);
