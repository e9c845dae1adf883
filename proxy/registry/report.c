/* SPDX-License-Identifier: Apache-2.0
 *
 * What health checks report. Happy path: the target of the key takes over the check's verdict, its
 * roster settles, and sessions are closed on one that went down if the pool wants that. One that
 * comes up again is no longer ejected for what sessions met before: that was the same failure, and
 * its checks are the newer word. A report on a target that has left meanwhile, or whose pool has no
 * checks any more, is ignored.
 */
#include <stdio.h>

#include "proxy/base/clock.h"
#include "proxy/registry/internal.h"

static struct member *member_by_key(const struct registry *registry, uint64_t key)
{
	struct table_node *node = table_first(&registry->by_key, table_mix(0, key));

	for (; node; node = table_next(node)) {
		struct member *member = container_of(node, struct member, by_key);

		if (member->record.key == key)
			return member;
	}
	return NULL;
}

static bool is_down(enum health_status status)
{
	return status == HEALTH_DOWN || status == HEALTH_GOING_UP;
}

static void close_down(const struct member *member)
{
	const struct registry_hooks *hooks = &member->roster->registry->hooks;

	if (member->roster->settings.on_down == ON_DOWN_CLOSE && hooks->close_sessions)
		hooks->close_sessions(hooks->context, member->record.target, 0, REASON_TARGET_DOWN);
}

void registry_health(struct registry *registry, const struct health_report *report)
{
	struct member *member = member_by_key(registry, report->key);
	struct target_record *record;
	bool was_down;

	if (!member || member->record.removed_us ||
	    member->roster->settings.health.kind == HEALTH_OFF)
		return;
	record = &member->record;
	was_down = is_down(record->health);
	record->health = report->status;
	record->checks_passed = report->passed;
	record->checks_failed = report->failed;
	record->checks_needed = report->needed;
	record->checked_wall_us = clock_wall_us();
	record->check_us = report->took_us;
	snprintf(record->check_text, sizeof(record->check_text), "%s", report->text);
	if (was_down && !is_down(record->health) && record->ejected_until_us)
		outlier_release(member, "its checks pass again");
	if (report->passed)
		member_verify(member, "a check passed");
	roster_touch(member);
	roster_settle(member->roster, clock_us());
	if (!was_down && is_down(record->health))
		close_down(member);
}
