/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: chapter by chapter, each rule once, or once for each interface; a line for each.
 * Failure modes: more lines than there is room for are left out, the interfaces' last ones.
 */
#include "proxy/doctor.h"

#include <stdarg.h>
#include <string.h>

#include "proxy/doctor/rules.h"

const char *const doctor_verdict_names[DOCTOR_VERDICTS] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_UNKNOWN] = "unknown",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_FAIL] = "fail",
};

static const struct doctor_chapter *const chapters[] = {&doctor_kernel, &doctor_host,
							&doctor_network, &doctor_nics};

void doctor_say(struct doctor_finding *finding, enum doctor_verdict verdict, const char *format,
		...)
{
	va_list args;

	finding->verdict = verdict;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

/* `text` with the interface's name for each DEV. */
static void name_device(const char *text, const char *name, char *ret_text, size_t size)
{
	size_t used = 0;

	while (*text && used + 1 < size) {
		if (name && !strncmp(text, "DEV", 3)) {
			used += (size_t)snprintf(ret_text + used, size - used, "%s", name);
			text += 3;
		} else {
			ret_text[used++] = *text++;
		}
	}
	ret_text[used < size ? used : size - 1] = '\0';
}

static void apply(const struct doctor_chapter *chapter, const struct doctor_rule *rule,
		  const struct doctor_facts *facts, const struct doctor_nic *nic,
		  struct doctor_report *report)
{
	struct doctor_finding finding = {.verdict = DOCTOR_UNKNOWN};
	struct doctor_line *line = &report->lines[report->count];

	if (report->count == DOCTOR_LINES)
		return;
	rule->judge(facts, nic, &finding);
	*line = (struct doctor_line){
		.name = rule->name, .chapter = chapter->name, .verdict = finding.verdict};
	if (nic)
		snprintf(line->subject, sizeof(line->subject), "%s", nic->name);
	name_device(rule->reads, nic ? nic->name : NULL, line->reads, sizeof(line->reads));
	snprintf(line->finding, sizeof(line->finding), "%s",
		 finding.text[0] ? finding.text : "cannot be read here");
	if (finding.verdict == DOCTOR_WARN || finding.verdict == DOCTOR_FAIL)
		name_device(finding.remedy ? finding.remedy : rule->remedy, nic ? nic->name : NULL,
			    line->remedy, sizeof(line->remedy));
	report->count++;
}

static void apply_to_nics(const struct doctor_chapter *chapter, const struct doctor_facts *facts,
			  struct doctor_report *report)
{
	for (size_t i = 0; i < facts->nic_count; i++)
		for (size_t k = 0; k < chapter->count; k++)
			apply(chapter, &chapter->rules[k], facts, &facts->nics[i], report);
}

void doctor_examine(const struct doctor_facts *facts, struct doctor_report *ret_report)
{
	ret_report->count = 0;
	for (size_t i = 0; i < sizeof(chapters) / sizeof(chapters[0]); i++) {
		if (chapters[i]->each_nic) {
			apply_to_nics(chapters[i], facts, ret_report);
			continue;
		}
		for (size_t k = 0; k < chapters[i]->count; k++)
			apply(chapters[i], &chapters[i]->rules[k], facts, NULL, ret_report);
	}
}

enum doctor_verdict doctor_worst(const struct doctor_report *report)
{
	enum doctor_verdict worst = DOCTOR_OK;

	for (size_t i = 0; i < report->count; i++)
		if (report->lines[i].verdict > worst)
			worst = report->lines[i].verdict;
	return worst;
}
