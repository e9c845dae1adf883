/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of the doctor: tables of what is read, how it is judged, and what to do about it.
 */
#pragma once

#include "proxy/doctor.h"

struct doctor_finding {
	enum doctor_verdict verdict;
	char text[256];
	const char *remedy; /* NULL: the rule's */
};

struct doctor_rule {
	const char *name;
	const char *reads; /* "DEV" stands for the interface */
	/* `nic` only for those of interfaces. Left untouched: unknown. */
	void (*judge)(const struct doctor_facts *facts, const struct doctor_nic *nic,
		      struct doctor_finding *ret);
	const char *remedy; /* "DEV" as above */
};

/* What a table is about. */
struct doctor_chapter {
	const char *name;
	const struct doctor_rule *rules;
	size_t count;
	bool each_nic;
};

extern const struct doctor_chapter doctor_kernel;  /* rules_kernel.c */
extern const struct doctor_chapter doctor_host;    /* rules_host.c */
extern const struct doctor_chapter doctor_network; /* rules_network.c */
extern const struct doctor_chapter doctor_nics;    /* rules_nic.c */

void doctor_say(struct doctor_finding *finding, enum doctor_verdict verdict, const char *format,
		...) __attribute__((format(printf, 3, 4)));
