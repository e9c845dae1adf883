/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of admission share: admission.c has its life, doors.c makes what the guard wants
 * of a configuration and entries, entries.c keeps those.
 */
#pragma once

#include "proxy/admission.h"

struct admission {
	struct guard *guard;
	const struct config *config;
	struct admission_entry *entries;
	size_t entry_count;
	char slots[GUARD_LISTENERS][32]; /* whose counters; "": nobody's */
};

struct doors {
	struct guard_door *doors;
	struct guard_entry *entries; /* which they point into */
	size_t count;
};

/* doors.c: 0 or -ENOMEM. `admission` may be NULL, for a look only. */
int doors_make(const struct admission *admission, const struct config *config,
	       struct doors *ret_doors);
void doors_free(struct doors *doors);

/* The slot of a listener's counters, 0 if it has none. */
uint32_t doors_slot(const struct admission *admission, const char *listener);

/* admission.c: what the configuration and the entries say is in force. 0 or -errno. */
int admission_enforce(struct admission *admission, char *ret_problem);
