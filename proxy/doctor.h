/* SPDX-License-Identifier: Apache-2.0
 *
 * What this host can do for a proxy, and why not: facts are gathered in one place, judged by a
 * table of rules, and told as lines with a verdict, a finding and a remedy.
 *
 * Happy path: doctor_gather() -> doctor_examine() -> doctor_print() or doctor_json().
 * Failure modes: what cannot be read is `unknown`, never a guess and never an error.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "proxy/doctor/facts.h"

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_UNKNOWN, /* nothing that could be read says so */
	DOCTOR_WARN,    /* it works, and could be better, or will not always */
	DOCTOR_FAIL,    /* it does not work here */
	DOCTOR_VERDICTS
};

extern const char *const doctor_verdict_names[DOCTOR_VERDICTS];

struct doctor_line {
	const char *name;    /* of the rule */
	char subject[16];    /* an interface; "": this host */
	const char *chapter; /* what it is about */
	enum doctor_verdict verdict;
	char reads[96]; /* where it was looked up */
	char finding[256];
	char remedy[320]; /* "" when nothing has to be done */
};

#define DOCTOR_LINES 256

struct doctor_report {
	struct doctor_line lines[DOCTOR_LINES];
	size_t count;
};

/* All rules, over these facts. Pure. */
void doctor_examine(const struct doctor_facts *facts, struct doctor_report *ret_report);

/* The worst of all lines. */
enum doctor_verdict doctor_worst(const struct doctor_report *report);

void doctor_print(const struct doctor_report *report, FILE *out);
json_t *doctor_json(const struct doctor_report *report); /* NULL without memory */
