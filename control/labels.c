/* SPDX-License-Identifier: Apache-2.0
 *
 * Tags and attributes to a target's properties. See control/labels.h for its ways.
 */
#include "control/labels.h"

#include <string.h>

#include "control/aws/aws.h"
#include "control/notes.h"
#include "control/target_set.h"
#include "proxy/base/conf/discover_rules.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/text.h"
#include "proxy/base/conf/units.h"

#define ZONE_MAX 63 /* bytes, as in the admin API */

/* 0 where this kind has no such key. */
static uint64_t number_of(const struct schema_map *map, const struct node *conf, const char *key)
{
	return schema_find(map, key) ? schema_number(map, conf, key) : 0;
}

void labels_open(const char *kind, const struct node *conf, const char *key,
		 struct labels *ret_labels)
{
	const struct schema_map *map = discover_source_map(kind);
	const struct node *names = node_get(conf, key);

	*ret_labels = (struct labels){
		.otherwise = {.port = (uint16_t)number_of(map, conf, "port"),
			      .weight = (uint32_t)number_of(map, conf, "weight"),
			      .backup = number_of(map, conf, "backup")},
		.port = node_get_text(names, "port"),
		.weight = node_get_text(names, "weight"),
		.zone = node_get_text(names, "zone"),
		.backup = node_get_text(names, "backup"),
	};
}

/* NULL when it is not asked for, absent or empty. */
static const char *value_of(const json_t *from, const char *name)
{
	const char *text = NULL;

	if (name)
		text = json_is_array(from) ? aws_tag(from, name) : aws_text(from, name);
	return text && *text ? text : NULL;
}

static uint64_t read_number(const json_t *from, const char *name, const char *who, uint64_t min,
			    uint64_t max, uint64_t otherwise, struct notes *notes)
{
	const char *text = value_of(from, name), *why;
	uint64_t value;

	if (!text)
		return otherwise;
	if (units_integer(text, &value, &why) == 0 && value >= min && value <= max)
		return value;
	notes_add(notes, "%.60s says %.40s \"%.20s\", which is no number from %u to %u", who, name,
		  text, (unsigned)min, (unsigned)max);
	return otherwise;
}

static bool read_bool(const json_t *from, const char *name, const char *who, bool otherwise,
		      struct notes *notes)
{
	const char *text = value_of(from, name), *why;
	uint64_t value;

	if (!text)
		return otherwise;
	if (units_bool(text, &value, &why) == 0)
		return value;
	notes_add(notes, "%.60s says %.40s \"%.20s\", which is neither true nor false", who, name,
		  text);
	return otherwise;
}

static const char *read_zone(const json_t *from, const char *name, const char *who,
			     struct notes *notes)
{
	const char *text = value_of(from, name);

	if (!text || (strlen(text) <= ZONE_MAX && !strchr(text, ' ') && text_is_clean(text)))
		return text;
	notes_add(notes, "%.60s says %.40s \"%.20s\", which is no zone", who, name, text);
	return NULL;
}

struct said labels_read(const struct labels *labels, const char *who, const json_t *from,
			struct notes *notes)
{
	const struct said *otherwise = &labels->otherwise;
	const char *zone = read_zone(from, labels->zone, who, notes);

	return (struct said){
		.port = (uint16_t)read_number(from, labels->port, who, 1, UINT16_MAX,
					      otherwise->port, notes),
		.weight = (uint32_t)read_number(from, labels->weight, who, 0, FOUND_WEIGHT_MAX,
						otherwise->weight, notes),
		.zone = zone ? zone : otherwise->zone,
		.backup = read_bool(from, labels->backup, who, otherwise->backup, notes),
	};
}
