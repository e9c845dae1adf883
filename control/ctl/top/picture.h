/* SPDX-License-Identifier: Apache-2.0
 *
 * What `top` shows: a pure function of two samples, the rates before them, and how they are looked
 * at.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "control/ctl/screen.h"
#include "control/ctl/top/sample.h"

#define TOP_HISTORY 60

enum top_rate { TOP_SESSIONS, TOP_TO_CLIENTS, TOP_TO_BACKENDS, TOP_RATES };

/* Rates between the samples so far, the oldest first. */
struct top_history {
	uint64_t rates[TOP_RATES][TOP_HISTORY];
	size_t count;
};

enum top_sort { TOP_AS_CONFIGURED, TOP_BY_RATE, TOP_BY_OPEN, TOP_BY_BYTES, TOP_SORTS };

struct top_view {
	enum top_sort sort;
	size_t offset; /* of the first target shown */
	bool held;
	const char *trouble; /* why there is no newer sample; NULL: there is */
};

/* Add what happened between two samples. */
void top_history_add(struct top_history *history, const struct top_sample *before,
		     const struct top_sample *now);

/* Whole lines, at most screen->height of them; the caller frees. NULL without memory. */
char *top_picture(const struct top_sample *before, const struct top_sample *now,
		  const struct top_history *history, const struct top_view *view,
		  const struct screen *screen);

/* The last `columns` values, each as one character; the greatest is the highest. Returns `buf` of
 * TOP_SPARK bytes. */
#define TOP_SPARK (TOP_HISTORY * 3 + 1)
const char *top_spark(const uint64_t *values, size_t count, size_t columns, bool utf8, char *buf);

/* `part` of `whole` as a bar of at most TOP_BAR columns. Returns `buf` of TOP_BAR_TEXT bytes. */
#define TOP_BAR      10
#define TOP_BAR_TEXT (TOP_BAR * 3 + 1)
const char *top_bar(uint64_t part, uint64_t whole, bool utf8, char *buf);
