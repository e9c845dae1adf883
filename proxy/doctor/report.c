/* SPDX-License-Identifier: Apache-2.0
 *
 * A report for people and for programs: the same lines, the same words.
 */
#include <string.h>

#include "proxy/base/jot.h"
#include "proxy/base/version.h"
#include "proxy/doctor.h"

static void print_line(const struct doctor_line *line, FILE *out)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s%s", line->subject, line->subject[0] ? " " : "",
		 line->name);
	fprintf(out, "  %-8s %-24s %s\n", doctor_verdict_names[line->verdict], name, line->finding);
	if (line->remedy[0])
		fprintf(out, "  %-8s %-24s -> %s\n", "", "", line->remedy);
}

void doctor_print(const struct doctor_report *report, FILE *out)
{
	const char *chapter = "";

	for (size_t i = 0; i < report->count; i++) {
		if (strcmp(chapter, report->lines[i].chapter) != 0) {
			chapter = report->lines[i].chapter;
			fprintf(out, "%s%s\n", i ? "\n" : "", chapter);
		}
		print_line(&report->lines[i], out);
	}
}

static json_t *line_json(const void *of, size_t index)
{
	const struct doctor_line *line = &((const struct doctor_report *)of)->lines[index];

	return JOT({"chapter", jot_text(line->chapter)}, {"name", jot_text(line->name)},
		   {"interface", jot_text(line->subject[0] ? line->subject : NULL)},
		   {"verdict", jot_text(doctor_verdict_names[line->verdict])},
		   {"finding", jot_text(line->finding)},
		   {"remedy", jot_text(line->remedy[0] ? line->remedy : NULL)},
		   {"reads", jot_text(line->reads)});
}

json_t *doctor_json(const struct doctor_report *report)
{
	return JOT({"version", jot_text(SLUICE_VERSION)},
		   {"verdict", jot_text(doctor_verdict_names[doctor_worst(report)])},
		   {"lines", jot_array(report->count, line_json, report)});
}
