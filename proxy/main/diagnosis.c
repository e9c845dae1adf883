/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: gather, add what the configuration says, examine, print. Failure modes: no memory for
 * the report, which is told on stderr and is a failure.
 */
#include "proxy/main/diagnosis.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/units.h"
#include "proxy/base/jot.h"
#include "proxy/doctor.h"
#include "proxy/model.h"

#define MS_PER_SEC 1000

static int64_t default_keepalive_s(void)
{
	const struct schema_key *tcp = schema_find(&schema_root, "tcp");
	const struct schema_key *keepalive = schema_find(tcp->map, "keepalive");
	const char *why;
	uint64_t ms = 0;

	units_duration(schema_find(keepalive->map, "idle")->fallback, &ms, &why);
	return (int64_t)ms / MS_PER_SEC;
}

/* Off beats any time. */
static void take_keepalive(const struct tcp_conf *tcp, int64_t *longest_s)
{
	int64_t seconds = tcp->keepalive_idle_ms / MS_PER_SEC;

	if (*longest_s == FACT_UNKNOWN || !seconds || (*longest_s && seconds > *longest_s))
		*longest_s = seconds;
}

static int64_t keepalive_s(const struct config *config)
{
	int64_t longest_s = FACT_UNKNOWN;

	if (!config)
		return default_keepalive_s();
	for (size_t i = 0; i < config->listener_count; i++)
		take_keepalive(&config->listeners[i].tcp, &longest_s);
	for (size_t i = 0; i < config->pool_count; i++)
		take_keepalive(&config->pools[i].tcp, &longest_s);
	return longest_s;
}

static bool print_json(const struct doctor_report *report)
{
	json_t *json = doctor_json(report);
	char *text = jot_dump(json);

	if (text)
		puts(text);
	free(text);
	json_decref(json);
	return text != NULL;
}

bool diagnosis_print(const struct config *config, bool json)
{
	struct doctor_facts *facts = malloc(sizeof(*facts));
	struct doctor_report *report = malloc(sizeof(*report));
	bool failed = true;

	if (facts && report) {
		doctor_gather("", facts);
		doctor_try(facts);
		facts->keepalive_s = keepalive_s(config);
		doctor_examine(facts, report);
		failed = doctor_worst(report) == DOCTOR_FAIL;
		if (!json)
			doctor_print(report, stdout);
		else if (!print_json(report))
			failed = true;
	} else {
		fputs("sluice: no memory\n", stderr);
	}
	free(facts);
	free(report);
	return failed;
}
