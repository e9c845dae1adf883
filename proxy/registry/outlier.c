/* SPDX-License-Identifier: Apache-2.0
 *
 * Ejecting targets that sessions cannot connect to. Happy path: workers count failures in a row,
 * whoever reaches the pool's limit is ejected for a time that doubles with each ejection; then it
 * comes back, and the count of ejections falls by one for each first ejection time without another.
 *
 * Failure modes: too many are ejected already, or it is the last that could be used. It stays then,
 * and is looked at again when the next failure is reported. When the pool shrinks, or those that
 * were left fail their checks, ejections are taken back until both rules hold again.
 */
#include "proxy/base/clock.h"
#include "proxy/events.h"
#include "proxy/registry/internal.h"
#include "proxy/target.h"

static size_t ejected(const struct roster *roster)
{
	return roster->classes[PRIMARY][CLASS_EJECTED] + roster->classes[BACKUP][CLASS_EJECTED];
}

static size_t usable(const struct roster *roster)
{
	return roster_usable(roster, PRIMARY) + roster_usable(roster, BACKUP);
}

/* Rounded up. */
static size_t most_ejected(const struct roster *roster)
{
	size_t eligible = roster_eligible(roster, PRIMARY) + roster_eligible(roster, BACKUP);

	if (!roster->settings.outlier.failures)
		return 0;
	return (eligible * roster->settings.outlier.max_ejected_percent + 99) / 100;
}

static uint64_t ejection_us(const struct outlier_conf *conf, uint32_t ejections)
{
	uint64_t longest_ms = conf->ejection_max_ms > conf->ejection_ms ? conf->ejection_max_ms
									: conf->ejection_ms;
	uint64_t ms = conf->ejection_ms;

	for (; ejections && ms < longest_ms; ejections--)
		ms *= 2;
	return (ms < longest_ms ? ms : longest_ms) * US_PER_MS;
}

static void eject(struct member *member, uint32_t failures, uint64_t now_us)
{
	const struct outlier_conf *conf = &member->roster->settings.outlier;
	struct target_record *record = &member->record;
	uint64_t time_us = ejection_us(conf, record->ejections);

	record->ejected_until_us = now_us + time_us;
	record->ejections++;
	member->eject_failures = failures;
	member->eject_us = time_us;
	member->decay_us = record->ejected_until_us + conf->ejection_ms * US_PER_MS;
	atomic_store(&record->target->failures, 0);
	roster_touch(member);
	member_classify(member);
	member_schedule(member, now_us);
}

static bool may_eject(const struct member *member)
{
	const struct roster *roster = member->roster;

	return (member->in_class == CLASS_GOOD || member->in_class == CLASS_UNKNOWN) &&
	       !roster->mode.panic && ejected(roster) < most_ejected(roster) && usable(roster) > 1;
}

static void look_at(struct roster *roster, uint64_t now_us)
{
	uint32_t limit = roster->settings.outlier.failures;

	for (size_t i = 0; limit && i < roster->record.target_count; i++) {
		struct member *member = roster_member(roster, i);
		uint32_t failures = atomic_load(&member->record.target->failures);

		if (failures >= limit && may_eject(member))
			eject(member, failures, now_us);
	}
	roster_settle(roster, now_us);
}

void registry_outliers(struct registry *registry)
{
	uint64_t now_us = clock_us();

	for (size_t i = 0; i < registry->roster_count; i++)
		look_at(registry->rosters[i], now_us);
}

void outlier_release(struct member *member, const char *why)
{
	member->record.ejected_until_us = 0;
	atomic_store(&member->record.target->failures, 0);
	member_note(member, "no longer ejected: %s", why);
	roster_touch(member);
	member_classify(member);
}

/* Of those that only their ejection keeps out, the one that would come back first. */
static struct member *next_to_return(struct roster *roster)
{
	struct member *next = NULL;

	list_for_each (link, &roster->timed) {
		struct member *member = container_of(link, struct member, timed);

		if (member->in_class == CLASS_EJECTED &&
		    (!next || member->record.ejected_until_us < next->record.ejected_until_us))
			next = member;
	}
	return next;
}

void outlier_trim(struct roster *roster)
{
	while (ejected(roster) > most_ejected(roster) || (ejected(roster) && !usable(roster))) {
		struct member *member = next_to_return(roster);

		outlier_release(member,
				usable(roster) ? "too many are ejected" : "nobody else is left");
	}
}
