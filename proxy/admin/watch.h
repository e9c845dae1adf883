/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether main and the workers still turn their loops, and how much they do a second. Ticks of
 * about a second are counted rather than time, so that a process that was stopped for a while, or a
 * machine that slept, is not taken for a stuck one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/admin/desk.h"

#define WATCH_WORKER_TICKS 5
#define WATCH_MAIN_TICKS   15 /* main may wait for a stuck worker's answer for 10 s */

struct watch {
	const struct admin_ops *ops;
	struct worker_counts *const *counts;
	unsigned worker_count;
	struct watched {
		uint64_t turns;
		unsigned still; /* ticks without a turn */
	} * workers;
	_Atomic uint64_t beats; /* main has been at the desk */
	uint64_t beats_seen;
	unsigned main_still;
	uint64_t ticked_us; /* 0: not yet */
	struct worker_counts before;
	struct admin_rates rates;
};

int watch_init(struct watch *watch, const struct admin_ops *ops,
	       struct worker_counts *const *counts, unsigned worker_count); /* 0 or -ENOMEM */
void watch_fini(struct watch *watch);

/* Look at everybody; wake idle workers. Whoever calls it wakes main as well. */
void watch_tick(struct watch *watch, uint64_t now_us);

/* Main is alive. Any thread. */
void watch_beat(struct watch *watch);

/* True, with a sentence that says who is stuck. */
bool watch_is_stuck(const struct watch *watch, char *ret_why, size_t size);
