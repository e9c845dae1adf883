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

#define WORD_TEXT 192

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

/* "drain, weight 10 by root". */
static const char *format_word(const struct override *override, char buf[WORD_TEXT])
{
	char weight[32] = "";

	if (override->weight >= 0)
		snprintf(weight, sizeof(weight), "%sweight %d", override->kind ? ", " : "",
			 override->weight);
	snprintf(buf, WORD_TEXT, "%s%s by %s", kinds[override->kind], weight, override->who);
	return buf;
}

static void tell(struct member *member)
{
	const struct override *override = &member->record.override;
	char until[16 + TIMESTAMP_TEXT] = "", when[TIMESTAMP_TEXT];
	char word[WORD_TEXT], text[WORD_TEXT + 160];

	if (override->until_wall_us)
		snprintf(until, sizeof(until), " until %s",
			 timestamp_format(override->until_wall_us, when));
	snprintf(text, sizeof(text), "%s%s%s%s", format_word(override, word), until,
		 *override->why ? ": " : "", override->why);
	member_note(member, "override: %s", text);
	events_add(member->roster->registry->events, LOG_INFO, "override", member->roster->name,
		   member->record.target->name, "%s", text);
}

void override_tell_end(struct member *member, const struct override *word, const char *how)
{
	char text[WORD_TEXT];

	format_word(word, text);
	member_note(member, "override: %s %s", text, how);
	events_add(member->roster->registry->events, LOG_INFO, "override_end", member->roster->name,
		   member->record.target->name, "%s %s", text, how);
}

static void lift(struct member *member, const char *who)
{
	struct override word = member->record.override;
	char how[WORD_TEXT];

	snprintf(how, sizeof(how), "lifted by %s", who);
	override_clear(member);
	override_tell_end(member, &word, how);
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
		lift(member, word.who);
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
