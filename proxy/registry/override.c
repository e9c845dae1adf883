/* SPDX-License-Identifier: Apache-2.0
 *
 * An operator's word on a target. Happy path: it is kept by the target's identity first, then laid
 * on the record, and the file is written; a target that comes later finds the word that was kept.
 * Failure modes: no memory changes nothing; a file that cannot be written is the operator's error,
 * but the word holds until exit.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/timestamp.h"
#include "proxy/events.h"
#include "proxy/registry/internal.h"
#include "proxy/registry/store.h"
#include "proxy/target.h"

static const char *const kinds[OVERRIDE_KINDS] = {
	[OVERRIDE_NONE] = "",
	[OVERRIDE_DRAIN] = "drain",
	[OVERRIDE_MAINTENANCE] = "maintenance",
};

static struct word *word_of(const struct member *member)
{
	return shelf_find(member->roster->shelf, member->record.id, &member->identity.addr);
}

static void lay(struct member *member, const struct override *override)
{
	member->record.override = *override;
	roster_touch(member);
}

void override_clear(struct member *member)
{
	static const struct override none = {.weight = -1};
	struct word *word = word_of(member);

	if (word)
		shelf_drop(member->roster->shelf, word);
	lay(member, &none);
}

void override_recall(struct member *member)
{
	const struct word *word = word_of(member);
	uint64_t now = clock_wall_us();

	if (word && (!word->override.until_wall_us || word->override.until_wall_us > now))
		member->record.override = word->override;
}

static void tell(struct member *member)
{
	const struct override *override = &member->record.override;
	char weight[32] = "", until[16 + TIMESTAMP_TEXT] = "", when[TIMESTAMP_TEXT];
	char text[320];

	if (override->weight >= 0)
		snprintf(weight, sizeof(weight), "%sweight %d", override->kind ? ", " : "",
			 override->weight);
	if (override->until_wall_us)
		snprintf(until, sizeof(until), " until %s",
			 timestamp_format(override->until_wall_us, when));
	snprintf(text, sizeof(text), "%s%s by %s%s%s%s", kinds[override->kind], weight,
		 override->who, until, *override->why ? ": " : "", override->why);
	member_note(member, "override: %s", text);
	events_add(member->roster->registry->events, LOG_INFO, "override", member->roster->name,
		   member->record.target->name, "%s", text);
}

static void tell_lifted(struct member *member, const char *who)
{
	member_note(member, "override lifted by %s", who);
	events_add(member->roster->registry->events, LOG_INFO, "override", member->roster->name,
		   member->record.target->name, "lifted by %s", who);
}

int registry_override(struct registry *registry, struct target_record *record,
		      const struct override *override)
{
	struct member *member = member_of(record);
	struct override word = *override;
	int err;

	if (word.kind == OVERRIDE_NONE && word.weight < 0) {
		if (!record->override.since_wall_us)
			return 0;
		override_clear(member);
		tell_lifted(member, word.who);
	} else {
		if (!word.since_wall_us)
			word.since_wall_us = clock_wall_us();
		err = shelf_keep(member->roster->shelf, record->id, &member->identity.addr, &word);
		if (err)
			return err;
		lay(member, &word);
		tell(member);
	}
	roster_settle(member->roster, clock_us());
	return store_save(registry->store);
}
