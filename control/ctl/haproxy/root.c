/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in sluice.yaml in front of its listeners: global settings, and the flow log, which is
 * one for all.
 */
#include "control/ctl/haproxy/convert.h"

static void write_number(struct hap *hap, struct hap_yaml *yaml, const char *key,
			 const struct hap_value *value)
{
	if (value->number)
		hap_yaml_number(yaml, key,
				hap_fit(hap, &schema_root, key, value->number, value->line));
}

static void write_user(struct hap *hap, struct hap_yaml *yaml)
{
	const struct hap_text *user = &hap->global.user;

	if (user->line && hap_fits_text(&schema_root, "user", user->text))
		hap_yaml_text(yaml, "user", user->text);
	else if (user->line)
		hap_note(hap, user->line, HAP_LOST, "that cannot be a user's name");
}

/* Whether any frontend logs sessions, and whether it leaves the good ones out. */
static void write_log(struct hap *hap, struct hap_yaml *yaml)
{
	const struct hap_line *all = NULL, *errors = NULL;

	for (size_t i = 0; i < hap->section_count; i++) {
		const struct hap_section *section = hap->sections[i];
		const struct hap_line *quiet = section->options[HAP_DONTLOG_NORMAL].line;

		if (!hap_is_carried(section) || section->kind == HAP_BACKEND ||
		    !section->options[HAP_TCPLOG].line)
			continue;
		if (quiet)
			errors = quiet;
		else
			all = section->options[HAP_TCPLOG].line;
	}
	if (!all && !errors)
		return;
	if (all && errors)
		hap_note(hap, errors, HAP_LOST, "Sluice has one flow log for all listeners");
	hap_yaml_open(yaml, "log");
	hap_yaml_text(yaml, "format", "text");
	if (!all)
		hap_yaml_text(yaml, "only", "errors");
	hap_yaml_close(yaml);
}

void hap_write_root(struct hap *hap, struct hap_yaml *yaml)
{
	const struct hap_value *stop = &hap->global.hard_stop;

	write_number(hap, yaml, "workers", &hap->global.nbthread);
	write_user(hap, yaml);
	write_number(hap, yaml, "max_connections", &hap->global.maxconn);
	if (stop->line)
		hap_yaml_time(
			yaml, "drain_timeout",
			hap_fit(hap, &schema_root, "drain_timeout", stop->number, stop->line));
	write_log(hap, yaml);
}
