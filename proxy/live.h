/* SPDX-License-Identifier: Apache-2.0
 *
 * Live figures for a person at a terminal: a picture redrawn in place once a second, and a summary
 * at the end. What they say comes from two samples of the counters and is a pure function of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/stats.h"

struct live;
struct snapshot;
struct target;

/* What a target had counted at some instant. */
struct live_target {
	const struct target *target; /* an identity to compare; may be gone */
	char name[48];
	struct target_counts counts;
};

/* What everything had counted at some instant. */
struct live_sample {
	uint64_t at_us; /* clock_us() */
	struct stats_sum sum;
	struct live_target *targets;
	size_t target_count;
};

/* 0 or -ENOMEM. */
int live_sample_init(struct live_sample *sample, const struct stats_sum *sum,
		     const struct snapshot *snapshot, uint64_t at_us);
void live_sample_fini(struct live_sample *sample);

struct live_screen {
	unsigned width;  /* columns; longer lines are cut */
	unsigned height; /* rows; further targets are only counted */
	bool colour;
};

/* The picture, one or more whole lines; the caller frees it. NULL without memory. */
char *live_picture(const struct live_sample *before, const struct live_sample *now,
		   const struct live_screen *screen);

/* What came of it all, in a few lines; the caller frees it. NULL without memory. */
char *live_summary(const struct live_sample *now, uint64_t uptime_us);

/* A picture on `fd`. NULL when it is not a terminal that can move its cursor, or without memory.
 * Colours unless NO_COLOR is set (no-color.org). */
struct live *live_new(int fd);

/* Draw what changed since the last call; the first one draws totals alone. Never blocks: a terminal
 * that is stopped misses pictures. */
void live_draw(struct live *live, const struct stats_sum *sum, const struct snapshot *snapshot,
	       uint64_t now_us);

/* Wipe the picture away and free; accepts NULL. */
void live_free(struct live *live);
