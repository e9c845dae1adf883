/* SPDX-License-Identifier: Apache-2.0
 *
 * A target as the checker knows it, and tables of them by key. A table is made whole on the thread
 * that calls health_set(), subjects and all, so that taking it over allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/health.h"
#include "proxy/health/check.h"
#include "proxy/health/reports.h"
#include "proxy/health/rise_fall.h"
#include "proxy/health/settings.h"

struct checker;

struct subject {
	struct subject *next; /* of the same bucket */
	struct checker *checker;
	uint64_t key;
	uint32_t life; /* struct health_job::life */
	struct settings *settings;
	struct addr addr; /* with the port to check */
	char *path;       /* what `addr` points to if it is AF_UNIX, else NULL */
	enum proxy_send proxy;
	struct rise_fall count;
	struct timer due;     /* the next check */
	struct list link;     /* struct checker::line, or a list of those that begin */
	struct check check;   /* under way unless IDLE */
	struct loop_task end; /* to be freed when the turn is over */
	struct report_slot slot;
	struct health_report said; /* the last report */
	bool has_said;
	uint32_t unsaid; /* verdicts since then */
};

struct subject_table {
	struct subject **buckets; /* NULL: empty */
	size_t mask;
	size_t count;
};

/* Every job that asks for a check. 0 or -ENOMEM. */
int subject_table_init(struct subject_table *table, const struct health_job *jobs, size_t count);

/* Frees the subjects too, which must not have been started. */
void subject_table_fini(struct subject_table *table);

/* Take one out of the table; NULL if it is not in. */
struct subject *subject_table_take(struct subject_table *table, uint64_t key);

/* Any one, taken out; NULL when the table is empty. Once begun, nothing else works any more. */
struct subject *subject_table_pop(struct subject_table *table);

/* Whether the two are to be checked for the same. */
bool subject_differs(const struct subject *a, const struct subject *b);

/* `fresh` is the same target, newly described: swap what they are to be checked for. `subject` has
 * no check under way. */
void subject_take_over(struct subject *subject, struct subject *fresh);

void subject_free(struct subject *subject);
