/* SPDX-License-Identifier: Apache-2.0
 *
 * Values within the schema's bounds, and `tcp:`, which listeners and pools have alike.
 */
#include <inttypes.h>

#include "control/ctl/haproxy/convert.h"
#include "proxy/base/conf/keys.h"
#include "proxy/base/conf/value.h"
#include "proxy/base/panic.h"

uint64_t hap_fit(struct hap *hap, const struct schema_map *map, const char *key, uint64_t number,
		 const struct hap_line *line)
{
	const struct schema_key *row = schema_find(map, key);
	uint64_t fitting = number;

	must(row);
	if (fitting < row->min)
		fitting = row->min;
	if (row->max && fitting > row->max)
		fitting = row->max;
	if (row->kind == SCHEMA_SECONDS)
		fitting = (fitting + 999) / 1000 * 1000;
	if (fitting != number && line)
		hap_note(hap, line, HAP_LOST, "%s cannot be %" PRIu64 "%s; it is %" PRIu64 " now",
			 key, number,
			 row->kind == SCHEMA_DURATION || row->kind == SCHEMA_SECONDS ? " ms" : "",
			 fitting);
	return fitting;
}

bool hap_fits_text(const struct schema_map *map, const char *key, const char *text)
{
	const struct schema_key *row = schema_find(map, key);
	const char *why;
	uint64_t number;

	must(row);
	return value_parse(row, text, &number, &why) == 0;
}

static void write_keepalive(struct hap *hap, struct hap_yaml *yaml, const struct hap_value *probes)
{
	static const char *const keys[HAP_PROBES] = {"idle", "interval", "count"};
	const struct schema_map *map = schema_find(&schema_leg, "keepalive")->map;

	hap_yaml_open(yaml, "keepalive");
	for (size_t i = 0; i < HAP_PROBES; i++) {
		if (!probes[i].line)
			continue;
		uint64_t number = hap_fit(hap, map, keys[i], probes[i].number, probes[i].line);

		if (i == HAP_PROBE_COUNT)
			hap_yaml_number(yaml, keys[i], number);
		else
			hap_yaml_time(yaml, keys[i], number);
	}
	hap_yaml_close(yaml);
}

static uint64_t fit_value(struct hap *hap, const char *key, const struct hap_value *value)
{
	return hap_fit(hap, &schema_leg, key, value->number, value->line);
}

void hap_write_tcp(struct hap *hap, struct hap_yaml *yaml, const struct hap_tcp *tcp)
{
	bool probed = tcp->probes[0].line || tcp->probes[1].line || tcp->probes[2].line;

	if (!probed && !tcp->user_timeout.line && !tcp->mss.line && !tcp->fast_open)
		return;
	hap_yaml_open(yaml, "tcp");
	if (probed)
		write_keepalive(hap, yaml, tcp->probes);
	if (tcp->user_timeout.line)
		hap_yaml_time(yaml, "user_timeout",
			      fit_value(hap, "user_timeout", &tcp->user_timeout));
	if (tcp->mss.line)
		hap_yaml_number(yaml, "mss", fit_value(hap, "mss", &tcp->mss));
	if (tcp->fast_open)
		hap_yaml_text(yaml, "fast_open", "true");
	hap_yaml_close(yaml);
}
