/* SPDX-License-Identifier: Apache-2.0
 *
 * What holds for a pool as a whole. Primaries serve while they can; when none can, or too few are
 * healthy, backups join them; when those cannot either, the pool panics: all targets that nobody
 * has taken out are used, or none, by choice. Pure but for the events; nothing fails.
 */
#include "proxy/events.h"
#include "proxy/registry/internal.h"

/* Those whose first check is under way have the benefit of the doubt. */
static size_t healthy(const struct roster *roster)
{
	return roster->classes[PRIMARY][CLASS_GOOD] + roster->classes[PRIMARY][CLASS_UNKNOWN];
}

static bool is_below(const struct roster *roster)
{
	return healthy(roster) * 100 <
	       roster->settings.min_healthy_percent * roster_eligible(roster, PRIMARY);
}

struct mode roster_mode(const struct roster *roster)
{
	size_t primaries = roster_usable(roster, PRIMARY);
	size_t backups = roster_usable(roster, BACKUP);
	bool anybody = roster_eligible(roster, PRIMARY) + roster_eligible(roster, BACKUP) > 0;
	struct mode mode = {.below = is_below(roster)};

	mode.any_up = roster->classes[PRIMARY][CLASS_GOOD] || roster->classes[BACKUP][CLASS_GOOD];
	mode.backup_in_use = backups && (mode.below || !primaries);
	mode.panic = anybody && !backups && (mode.below || !primaries);
	return mode;
}

bool mode_equal(const struct mode *a, const struct mode *b)
{
	return a->any_up == b->any_up && a->below == b->below &&
	       a->backup_in_use == b->backup_in_use && a->panic == b->panic;
}

static void tell_panic(const struct roster *roster)
{
	const char *use = roster->settings.panic == PANIC_REFUSE ? "sessions are refused"
								 : "all targets are used";
	const struct pool_record *record = &roster->record;
	struct events *events = roster->registry->events;

	if (!roster_usable(roster, PRIMARY))
		events_add(events, LOG_ERROR, "panic", roster->name, NULL,
			   "none of %zu targets is healthy: %s",
			   record->eligible + roster_eligible(roster, BACKUP), use);
	else
		events_add(events, LOG_ERROR, "panic", roster->name, NULL,
			   "%zu of %zu targets healthy, below min_healthy %u %%: %s",
			   record->healthy, record->eligible, roster->settings.min_healthy_percent,
			   use);
}

/* Not while primaries only wait for their first check, as at every start. */
static void tell_backup(struct roster *roster)
{
	size_t eligible = roster_eligible(roster, PRIMARY);
	bool in_use = roster->mode.backup_in_use;

	if (in_use == roster->backup_told ||
	    (in_use && eligible && roster->classes[PRIMARY][CLASS_UNKNOWN] == eligible))
		return;
	roster->backup_told = in_use;
	if (in_use)
		events_add(roster->registry->events, LOG_WARN, "backup_in_use", roster->name, NULL,
			   "%zu of %zu primary targets healthy: backups serve",
			   roster->record.healthy, eligible);
	else
		events_add(roster->registry->events, LOG_INFO, "backup_idle", roster->name, NULL,
			   "%zu of %zu primary targets healthy: backups rest",
			   roster->record.healthy, eligible);
}

void roster_tell(struct roster *roster, const struct mode *before)
{
	const struct pool_record *record = &roster->record;

	if (roster->mode.panic && !before->panic)
		tell_panic(roster);
	if (!roster->mode.panic && before->panic)
		events_add(roster->registry->events, LOG_INFO, "panic_end", roster->name, NULL,
			   "%zu of %zu targets healthy", record->healthy, record->eligible);
	tell_backup(roster);
}
