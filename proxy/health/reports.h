/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports on their way from the checker's thread to main's. Each target has room for one, so there
 * is always room: what main has not taken when the next one comes is replaced by it, in its place.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "proxy/base/list.h"
#include "proxy/registry.h"

struct reports {
	pthread_mutex_t lock;
	struct list waiting; /* struct report_slot::link, oldest first */
	int wake_fd;         /* borrowed; eventfd(2), written when there are some */
};

/* Embedded in whatever is reported on. */
struct report_slot {
	struct list link; /* struct reports::waiting */
	struct health_report report;
};

void reports_init(struct reports *reports, int wake_fd);
void reports_fini(struct reports *reports);

void report_slot_init(struct report_slot *slot);

/* Copies `report`. Any thread. */
void reports_push(struct reports *reports, struct report_slot *slot,
		  const struct health_report *report);

/* The slot is about to be freed. */
void reports_drop(struct reports *reports, struct report_slot *slot);

/* Up to `max`, oldest first; returns how many. When some are left, `wake_fd` is written again. */
size_t reports_take(struct reports *reports, struct health_report *ret_reports, size_t max);
