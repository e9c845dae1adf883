/* SPDX-License-Identifier: Apache-2.0
 *
 * What time does to targets. Happy path: members that wait for something are on their roster's
 * `timed` list, the roster knows when the first of them is due, and a tick before that costs one
 * comparison. A due roster is walked: words and ejections end, ramps climb, drained targets have
 * their sessions closed, removed ones are gone once empty, gone ones are forgotten.
 *
 * Failure modes: sessions that are asked to close and don't are asked again.
 */
#include "proxy/base/clock.h"
#include "proxy/events.h"
#include "proxy/registry/internal.h"
#include "proxy/registry/store.h"
#include "proxy/target.h"

/* A removed target's series end that much after its last session. */
#define FORGET_US (600 * US_PER_SEC)
/* Or sooner, where thousands come and go. */
#define GONE_MAX 1000
/* How often it is looked whether a removed target is empty. */
#define EMPTY_US (100 * US_PER_MS)
/* Sessions that did not close by their deadline are asked again after that. */
#define CLOSE_AGAIN_US (10 * US_PER_SEC)
/* A wall clock may be set, so its deadlines are looked at this often. */
#define WALL_US       (10 * US_PER_SEC)
#define RAMP_STEPS    50
#define RAMP_LEAST_US (100 * US_PER_MS)
/* Longest time between two ticks. */
#define TICK_US (60 * US_PER_SEC)

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t wall_due(uint64_t until_wall_us, uint64_t now_us)
{
	uint64_t wall_us = clock_wall_us();

	if (!until_wall_us)
		return FOREVER;
	return now_us + (until_wall_us <= wall_us ? 0 : sooner(until_wall_us - wall_us, WALL_US));
}

static uint64_t ramp_due(const struct member *member, uint64_t now_us)
{
	uint64_t whole_us = member->roster->settings.slow_start_ms * US_PER_MS;
	uint64_t step_us = whole_us / RAMP_STEPS;

	if (!member->record.ramp_start_us)
		return FOREVER;
	return sooner(member->record.ramp_start_us + whole_us,
		      now_us + (step_us > RAMP_LEAST_US ? step_us : RAMP_LEAST_US));
}

static uint64_t member_due(const struct member *member, uint64_t now_us)
{
	const struct target_record *record = &member->record;
	uint64_t due_us = wall_due(record->override.until_wall_us, now_us);

	if (record->gone_us)
		return sooner(due_us, record->gone_us + FORGET_US);
	if (record->ejected_until_us)
		due_us = sooner(due_us, record->ejected_until_us);
	if (record->ejections)
		due_us = sooner(due_us, member->decay_us);
	if (member->close_us)
		due_us = sooner(due_us, member->close_us);
	if (record->removed_us)
		due_us = sooner(due_us, now_us + EMPTY_US);
	return sooner(due_us, ramp_due(member, now_us));
}

void member_schedule(struct member *member, uint64_t now_us)
{
	uint64_t due_us = member_due(member, now_us);

	if (due_us == FOREVER) {
		list_remove(&member->timed);
		return;
	}
	if (list_empty(&member->timed))
		list_push_back(&member->roster->timed, &member->timed);
	member->roster->due_us = sooner(member->roster->due_us, due_us);
}

static void end_word(struct member *member)
{
	const struct override *override = &member->record.override;

	if (!override->until_wall_us || override->until_wall_us > clock_wall_us())
		return;
	override_tell_end(member, override, "ended: its time is over");
	override_clear(member);
	store_save(member->roster->registry->store);
}

static void tick_ejection(struct member *member, uint64_t now_us)
{
	struct target_record *record = &member->record;

	if (record->ejected_until_us && record->ejected_until_us <= now_us)
		outlier_release(member, "its time is over");
	while (record->ejections && !record->ejected_until_us && member->decay_us <= now_us) {
		record->ejections--;
		member->decay_us += member->roster->settings.outlier.ejection_ms * US_PER_MS;
	}
}

static void tick_ramp(struct member *member, uint64_t now_us)
{
	struct target_record *record = &member->record;
	uint64_t whole_us = member->roster->settings.slow_start_ms * US_PER_MS;

	if (!record->ramp_start_us)
		return;
	member->roster->changed = true;
	if (record->ramp_start_us + whole_us > now_us)
		return;
	record->ramp_start_us = 0;
	roster_touch(member);
}

static void tick_drain(struct member *member, uint64_t now_us)
{
	const struct registry_hooks *hooks = &member->roster->registry->hooks;
	uint32_t spread_ms = member->roster->settings.drain_spread_ms;
	struct target *target = member->record.target;

	if (!member->close_us || member->close_us > now_us)
		return;
	member->close_us = now_us + spread_ms * US_PER_MS + CLOSE_AGAIN_US;
	if (!target_inflight(target) || !hooks->close_sessions)
		return;
	events_add(member->roster->registry->events, LOG_INFO, "drain_deadline",
		   member->roster->name, target->name, "%u sessions are closed within %u ms",
		   target_inflight(target), spread_ms);
	hooks->close_sessions(hooks->context, target, spread_ms, REASON_TARGET_REMOVED);
}

static void forget(struct member *member)
{
	member->dead = true;
	member->roster->gone_count--;
	member->roster->any_dead = true;
}

static void tick_removed(struct member *member, uint64_t now_us)
{
	struct target_record *record = &member->record;
	struct roster *roster = member->roster;

	if (!record->removed_us)
		return;
	if (!record->gone_us) {
		if (target_inflight(record->target))
			return;
		record->gone_us = now_us;
		roster->gone_count++;
		roster->changed = true;
		member->close_us = 0;
		member_note(member, "gone: its last session has ended");
		list_remove(&member->timed);
		list_push_back(&roster->timed, &member->timed);
	} else if (record->gone_us + FORGET_US <= now_us) {
		forget(member);
	}
}

/* Those that went first stand in front of those that went later. */
static void limit_gone(struct roster *roster)
{
	list_for_each (link, &roster->timed) {
		struct member *member = container_of(link, struct member, timed);

		if (roster->gone_count <= GONE_MAX)
			return;
		if (member->record.gone_us && !member->dead)
			forget(member);
	}
}

/* Take the dead out, in one walk over the array. */
static void bury(struct roster *roster)
{
	struct target_record **targets = roster->record.targets;
	size_t kept = 0;

	for (size_t i = 0; i < roster->record.target_count; i++) {
		struct member *member = member_of(targets[i]);

		if (!member->dead) {
			targets[kept++] = targets[i];
			continue;
		}
		roster->classes[member->rank][member->in_class]--;
		member_free(member);
	}
	roster->record.target_count = kept;
	roster->any_dead = false;
}

static void tick_roster(struct roster *roster, uint64_t now_us)
{
	roster->due_us = FOREVER;
	list_for_each_safe (link, &roster->timed) {
		struct member *member = container_of(link, struct member, timed);

		end_word(member);
		tick_ejection(member, now_us);
		tick_ramp(member, now_us);
		tick_drain(member, now_us);
		tick_removed(member, now_us);
		if (!member->dead)
			member_schedule(member, now_us);
	}
	limit_gone(roster);
	if (roster->any_dead)
		bury(roster);
	roster_settle(roster, now_us);
}

/* A pool that left stays until the last session on its targets has ended. */
static void tick_leaving(struct registry *registry, uint64_t now_us)
{
	list_for_each_safe (link, &registry->leaving) {
		struct roster *roster = container_of(link, struct roster, link);

		if (roster->due_us <= now_us)
			tick_roster(roster, now_us);
		if (roster->gone_count == roster->record.target_count)
			roster_free(roster);
	}
}

uint64_t registry_tick(struct registry *registry, uint64_t now_us)
{
	uint64_t due_us = now_us + TICK_US;

	for (size_t i = 0; i < registry->roster_count; i++) {
		if (registry->rosters[i]->due_us <= now_us)
			tick_roster(registry->rosters[i], now_us);
		due_us = sooner(due_us, registry->rosters[i]->due_us);
	}
	tick_leaving(registry, now_us);
	list_for_each (link, &registry->leaving)
		due_us = sooner(due_us, container_of(link, struct roster, link)->due_us);
	due_us = sooner(due_us, store_due(registry->store));
	if (store_due(registry->store) <= now_us)
		store_flush(registry->store);
	return due_us > now_us ? due_us - now_us : 0;
}
