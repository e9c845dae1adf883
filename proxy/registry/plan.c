/* SPDX-License-Identifier: Apache-2.0
 *
 * What a snapshot of a pool is made of. Happy path: every target that has not gone is listed with
 * its weight, its tier, and how far its ramp has come; ramps are relative to the furthest of their
 * tier, so that a tier of beginners refuses nobody. Own-zone targets take what their healthy part
 * can carry, with 40 % in reserve. The only failure is memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/registry/internal.h"

#define WHOLE          1000
#define RAMP_LEAST     20   /* thousandths: it begins somewhere */
#define LOCAL_OVERLOAD 1400 /* thousandths of its fair share that a target can carry */

static bool is_eligible(const struct member *member)
{
	return member->in_class != CLASS_OUT;
}

static bool is_local(const struct member *member)
{
	return member->record.zone &&
	       registry_is_own_zone(member->roster->registry, member->record.zone);
}

/* Zones matter where some target, healthy or not, is in ours. */
static bool has_zones(const struct roster *roster)
{
	if (!roster->registry->zone || !roster->settings.zone_aware)
		return false;
	for (size_t i = 0; i < roster->record.target_count; i++) {
		const struct member *member = roster_member(roster, i);

		if (is_eligible(member) && member->rank == PRIMARY && is_local(member))
			return true;
	}
	return false;
}

static uint16_t ramp_of(const struct member *member, uint64_t now_us)
{
	uint64_t whole_us = member->roster->settings.slow_start_ms * US_PER_MS;
	uint64_t start_us = member->record.ramp_start_us;
	uint64_t done;

	if (!start_us || !whole_us || now_us >= start_us + whole_us)
		return WHOLE;
	done = now_us > start_us ? (now_us - start_us) * WHOLE / whole_us : 0;
	return (uint16_t)(done < RAMP_LEAST ? RAMP_LEAST : done);
}

/* Backups join the primaries where those still serve: they shall take load off them. */
static enum tier tier_of(const struct member *member, bool zones)
{
	const struct roster *roster = member->roster;

	if (member->rank == BACKUP &&
	    !(roster->mode.backup_in_use && roster_usable(roster, PRIMARY)))
		return TIER_BACKUP;
	return zones && !is_local(member) ? TIER_REMOTE : TIER_LOCAL;
}

/* Multiply so that the largest of these tiers becomes the whole. */
static void make_relative(struct pool_plan *plan, unsigned tiers)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_member *member = &plan->members[i];

		if (member->weight && tiers & 1U << member->tier && member->ramp > largest)
			largest = member->ramp;
	}
	for (size_t i = 0; largest && i < plan->count; i++) {
		struct plan_member *member = &plan->members[i];

		if (member->weight && tiers & 1U << member->tier)
			member->ramp = (uint16_t)(member->ramp * WHOLE / largest);
	}
}

/* What share of sessions our own zone can carry: its capacity now against that of a whole zone. */
static uint16_t local_share(const struct roster *roster, const struct pool_plan *plan)
{
	uint64_t capacity = 0, all = 0, remote = 0;
	uint64_t share;

	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_member *member = &plan->members[i];

		if (member->tier == TIER_LOCAL)
			capacity += (uint64_t)member->weight * member->ramp;
		remote += member->tier == TIER_REMOTE && member->weight;
	}
	for (size_t i = 0; i < roster->record.target_count; i++) {
		const struct member *member = roster_member(roster, i);

		if (is_eligible(member) && tier_of(member, true) == TIER_LOCAL)
			all += member_weight(member);
	}
	if (!remote)
		return WHOLE;
	share = all ? capacity * LOCAL_OVERLOAD / WHOLE / all : 0;
	return (uint16_t)(share < WHOLE ? share : WHOLE);
}

static void list_members(const struct roster *roster, struct pool_plan *plan, bool zones)
{
	uint64_t now_us = clock_us();

	for (size_t i = 0; i < roster->record.target_count; i++) {
		const struct member *member = roster_member(roster, i);

		/* Removed ones stand at the end, so it is they who make room. */
		if (member->record.gone_us || plan->count == ROSTER_TARGETS_MAX)
			continue;
		plan->members[plan->count++] = (struct plan_member){
			.target = member->record.target,
			.weight = member->record.effective_weight,
			.ramp = ramp_of(member, now_us),
			.tier = (uint8_t)tier_of(member, zones),
		};
	}
}

int registry_plan(struct registry *registry, size_t index, struct pool_plan *ret_plan)
{
	struct roster *roster = registry->rosters[index];
	struct pool_plan plan = {.state = roster->record.state, .local_share = WHOLE};
	bool zones = has_zones(roster);

	plan.members = calloc(roster->record.target_count + 1, sizeof(*plan.members));
	if (!plan.members)
		return -ENOMEM;
	roster_sort(roster);
	list_members(roster, &plan, zones);
	/* Shares of zones are weighed by ramps over all of them, sessions in each by its own. */
	make_relative(&plan, 1U << TIER_LOCAL | 1U << TIER_REMOTE);
	if (zones)
		plan.local_share = local_share(roster, &plan);
	for (int tier = 0; tier < TIERS; tier++)
		make_relative(&plan, 1U << tier);
	plan.refuse = roster->mode.panic && roster->settings.panic == PANIC_REFUSE;
	plan.all_down = roster->mode.panic && !roster_usable(roster, PRIMARY);
	*ret_plan = plan;
	return 0;
}

uint64_t registry_plan_version(const struct registry *registry, size_t index)
{
	return registry->rosters[index]->record.changes;
}

void pool_plan_fini(struct pool_plan *plan)
{
	free(plan->members);
	*plan = (struct pool_plan){0};
}
