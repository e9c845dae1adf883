/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened, newest last: one event per target change with its cause, and everything an
 * operator would ask about later. Each goes to the operational log at once; the last JOURNAL_KEPT
 * are kept for the API.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "proxy/base/log.h"

#define JOURNAL_KEPT 1000

struct journal;

struct journal *journal_new(void); /* NULL without memory */
void journal_free(struct journal *journal);

/* `pool`, `source`, `target` may be NULL. `journal` NULL: only logged. */
void journal_note(struct journal *journal, enum log_level level, const char *kind, const char *pool,
		  const char *source, const char *target, const char *format, ...)
	__attribute__((format(printf, 7, 8)));

/* Told after each event, from within journal_note(); one at a time, NULL: nobody. */
void journal_on_note(struct journal *journal, void (*on_note)(void *context), void *context);

/* {"events": [...], "last_id": n}: those after `after`, `limit` at most. NULL without memory. */
json_t *journal_read(const struct journal *journal, uint64_t after, unsigned limit);
uint64_t journal_count(const struct journal *journal); /* ever */
