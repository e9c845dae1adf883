/* SPDX-License-Identifier: Apache-2.0
 *
 * Why each target takes new sessions, or not. Happy path of settling: the touched members are
 * counted anew, the counts make the pool's mode, and each touched member (each one of all, if the
 * mode changed) gets its standing and weight; what workers look at is set with it, and what changed
 * is told. Nothing here fails.
 */
#include "proxy/base/clock.h"
#include "proxy/pool_state.h"
#include "proxy/registry/internal.h"
#include "proxy/target.h"

const char *const health_status_names[HEALTH_STATUSES] = {
	[HEALTH_UNCHECKED] = "unchecked",
	[HEALTH_UNKNOWN] = "unknown",
	[HEALTH_UP] = "up",
	[HEALTH_GOING_DOWN] = "going_down",
	[HEALTH_DOWN] = "down",
	[HEALTH_GOING_UP] = "going_up",
};

const char *const standing_names[STANDINGS] = {
	[STANDING_REMOVED] = "removed",         [STANDING_MAINTENANCE] = "maintenance",
	[STANDING_DRAINING] = "draining",       [STANDING_DOWN] = "down",
	[STANDING_EJECTED] = "ejected",         [STANDING_CHECKING] = "checking",
	[STANDING_IDLE_BACKUP] = "idle_backup", [STANDING_RAMPING] = "ramping",
	[STANDING_SERVING] = "serving",
};

uint32_t member_weight(const struct member *member)
{
	const struct target_record *record = &member->record;

	return record->override.weight >= 0 ? (uint32_t)record->override.weight : record->weight;
}

static bool is_draining(const struct member *member)
{
	const struct target_record *record = &member->record;

	return record->override.kind == OVERRIDE_DRAIN || record->source_draining ||
	       !member_weight(member);
}

static bool is_down(const struct target_record *record)
{
	return record->health == HEALTH_DOWN || record->health == HEALTH_GOING_UP;
}

bool member_is_drained(const struct member *member)
{
	const struct target_record *record = &member->record;

	return record->removed_us || record->override.kind == OVERRIDE_DRAIN ||
	       (record->source_draining && record->override.kind == OVERRIDE_NONE);
}

enum member_class member_class(const struct member *member)
{
	const struct target_record *record = &member->record;

	if (record->removed_us || record->override.kind == OVERRIDE_MAINTENANCE ||
	    is_draining(member))
		return CLASS_OUT;
	if (record->unverified) /* not even in panic: its address may be somebody else's by now */
		return CLASS_OUT;
	if (is_down(record))
		return CLASS_DOWN;
	if (record->ejected_until_us)
		return CLASS_EJECTED;
	return record->health == HEALTH_UNKNOWN ? CLASS_UNKNOWN : CLASS_GOOD;
}

static enum standing standing_of(const struct member *member)
{
	const struct target_record *record = &member->record;

	if (record->removed_us)
		return STANDING_REMOVED;
	if (record->override.kind == OVERRIDE_MAINTENANCE)
		return STANDING_MAINTENANCE;
	if (is_draining(member))
		return STANDING_DRAINING;
	if (is_down(record))
		return STANDING_DOWN;
	if (record->ejected_until_us)
		return STANDING_EJECTED;
	if (record->health == HEALTH_UNKNOWN || record->unverified)
		return STANDING_CHECKING;
	if (record->backup && !member->roster->mode.backup_in_use)
		return STANDING_IDLE_BACKUP;
	return record->ramp_start_us ? STANDING_RAMPING : STANDING_SERVING;
}

size_t roster_eligible(const struct roster *roster, enum rank rank)
{
	const size_t *classes = roster->classes[rank];

	return classes[CLASS_GOOD] + classes[CLASS_UNKNOWN] + classes[CLASS_EJECTED] +
	       classes[CLASS_DOWN];
}

static bool is_anyone_good(const struct roster *roster)
{
	return roster->classes[PRIMARY][CLASS_GOOD] + roster->classes[BACKUP][CLASS_GOOD] > 0;
}

size_t roster_usable(const struct roster *roster, enum rank rank)
{
	const size_t *classes = roster->classes[rank];

	return classes[CLASS_GOOD] + (is_anyone_good(roster) ? 0 : classes[CLASS_UNKNOWN]);
}

void roster_touch(struct member *member)
{
	if (list_empty(&member->dirty))
		list_push_back(&member->roster->dirty, &member->dirty);
}

void roster_touch_all(struct roster *roster)
{
	for (size_t i = 0; i < roster->record.target_count; i++)
		roster_touch(roster_member(roster, i));
	roster->changed = true;
}

void member_classify(struct member *member)
{
	size_t(*classes)[CLASSES] = member->roster->classes;

	if (!member->fresh)
		classes[member->rank][member->in_class]--;
	member->fresh = false;
	member->in_class = member_class(member);
	member->rank = member->record.backup ? BACKUP : PRIMARY;
	classes[member->rank][member->in_class]++;
}

static void classify_touched(struct roster *roster)
{
	list_for_each (link, &roster->dirty)
		member_classify(container_of(link, struct member, dirty));
}

static bool is_usable(const struct member *member)
{
	return member->in_class == CLASS_GOOD ||
	       (member->in_class == CLASS_UNKNOWN && !member->roster->mode.any_up);
}

/* Who begins to serve begins with a small share. */
static void settle_ramp(struct member *member, uint64_t now_us)
{
	bool usable = is_usable(member);

	if (usable && !member->usable && member->roster->settings.slow_start_ms)
		member->record.ramp_start_us = now_us;
	if (!usable || !member->roster->settings.slow_start_ms)
		member->record.ramp_start_us = 0;
	member->usable = usable;
}

static void settle_drain(struct member *member, uint64_t now_us)
{
	struct target_record *record = &member->record;
	uint64_t timeout_us = member->roster->settings.drain_timeout_ms * US_PER_MS;

	if (!member_is_drained(member)) {
		record->drain_until_us = 0;
		member->close_us = 0;
	} else if (!record->drain_until_us && timeout_us) {
		record->drain_until_us = now_us + timeout_us;
		member->close_us = record->drain_until_us;
	}
}

static void settle_weight(struct member *member)
{
	const struct roster *roster = member->roster;
	struct target_record *record = &member->record;
	bool refuse = roster->mode.panic && roster->settings.panic == PANIC_REFUSE;
	bool open = roster->mode.panic && !refuse && member->in_class != CLASS_OUT;
	uint32_t weight = (member->usable && !refuse) || open ? member_weight(member) : 0;

	record->in_panic = open && !member->usable;
	member->roster->changed |= weight != record->effective_weight;
	record->effective_weight = weight;
}

/* Whether zones decide who is chosen or not: what crosses them costs money. */
static bool is_cross_zone(const struct member *member)
{
	const struct registry *registry = member->roster->registry;
	const char *zone = member->record.zone;

	return registry->zone && zone && !registry_is_own_zone(registry, zone);
}

/* What workers look at. Whoever waits for a slot gets those that this makes free. */
static void settle_target(const struct member *member)
{
	struct pool_state *state = member->roster->record.state;
	struct target *target = member->record.target;
	uint32_t rate = member->roster->settings.connect_rate;

	atomic_store(&target->max_connections, member->record.max_connections);
	atomic_store(&target->connect_gap_us,
		     rate ? (uint32_t)((US_PER_SEC + rate - 1) / rate) : 0);
	atomic_store(&target->closed, !member->record.effective_weight);
	if (member->record.effective_weight)
		atomic_store(&target->shut, false);
	atomic_store(&target->cross_zone, is_cross_zone(member));
	while (pool_state_is_awaited(state) && pool_state_offer(state, target))
		;
}

static void settle_one(struct member *member, uint64_t now_us)
{
	struct target_record *record = &member->record;
	enum standing before = record->standing;

	settle_ramp(member, now_us);
	settle_drain(member, now_us);
	settle_weight(member);
	settle_target(member);
	record->standing = standing_of(member);
	if (record->standing != before) {
		record->standing_wall_us = clock_wall_us();
		member_tell(member, before);
		member->roster->changed = true;
	}
	member_schedule(member, now_us);
}

/* What readers are told of the pool as a whole. */
static void publish(struct roster *roster)
{
	struct pool_record *record = &roster->record;
	const struct mode *mode = &roster->mode;

	record->eligible = roster_eligible(roster, PRIMARY);
	record->healthy = roster->classes[PRIMARY][CLASS_GOOD];
	record->usable = roster_usable(roster, PRIMARY) + roster_usable(roster, BACKUP);
	if (mode->panic)
		record->usable = roster->settings.panic == PANIC_REFUSE
					 ? 0
					 : record->eligible + roster_eligible(roster, BACKUP);
	record->panic = mode->panic;
	record->backup_in_use = mode->backup_in_use;
}

void roster_settle(struct roster *roster, uint64_t now_us)
{
	struct registry *registry = roster->registry;
	struct mode before = roster->mode;
	struct list *link;

	classify_touched(roster);
	outlier_trim(roster);
	roster->mode = roster_mode(roster);
	if (!mode_equal(&roster->mode, &before))
		roster_touch_all(roster);
	while ((link = list_pop_front(&roster->dirty)))
		settle_one(container_of(link, struct member, dirty), now_us);
	publish(roster);
	roster_tell(roster, &before);
	if (!roster->changed)
		return;
	roster->changed = false;
	roster->record.changes++;
	if (registry->hooks.changed)
		registry->hooks.changed(registry->hooks.context);
}
