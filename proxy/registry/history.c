/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a target is in or out, in words: for people who ask, for its history and for the events.
 * Nothing fails; what does not fit is cut.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/timestamp.h"
#include "proxy/events.h"
#include "proxy/registry/internal.h"
#include "proxy/target.h"

#define REASON_TEXT 256

static const struct {
	const char *kind; /* of the event */
	enum log_level level;
} told[STANDINGS] = {
	[STANDING_REMOVED] = {"target_removed", LOG_INFO},
	[STANDING_MAINTENANCE] = {"target_maintenance", LOG_INFO},
	[STANDING_DRAINING] = {"target_draining", LOG_INFO},
	[STANDING_DOWN] = {"target_down", LOG_WARN},
	[STANDING_EJECTED] = {"target_ejected", LOG_WARN},
	[STANDING_CHECKING] = {"target_checking", LOG_INFO},
	[STANDING_IDLE_BACKUP] = {"target_idle_backup", LOG_INFO},
	[STANDING_RAMPING] = {"target_up", LOG_INFO},
	[STANDING_SERVING] = {"target_up", LOG_INFO},
};

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static void checks_reason(const struct target_record *record, bool passed, char *buf, size_t size)
{
	const struct health_conf *health =
		&member_of((struct target_record *)record)->roster->settings.health;
	unsigned rise = record->checks_needed ? record->checks_needed : health->rise;
	unsigned needed = passed ? rise : health->fall;
	unsigned count = passed ? record->checks_passed : record->checks_failed;

	snprintf(buf, size, "%s%s%u of %u checks %s", record->check_text,
		 *record->check_text ? ", " : "", least(count, needed), needed,
		 passed ? "passed" : "failed");
}

/* The first check alone brings a target up, and one that passes undoes those that failed: then
 * there is nothing to count. */
static void passed_reason(const struct target_record *record, char *buf, size_t size)
{
	const struct health_conf *health =
		&member_of((struct target_record *)record)->roster->settings.health;

	if (record->checks_passed >= health->rise)
		checks_reason(record, true, buf, size);
	else
		snprintf(buf, size, "%s%scheck passed", record->check_text,
			 *record->check_text ? ", " : "");
}

static void word_reason(const struct override *override, const char *what, char *buf, size_t size)
{
	snprintf(buf, size, "%s by %s%s%s", what, override->who, *override->why ? ": " : "",
		 override->why);
}

static void removed_reason(const struct target_record *record, char *buf, size_t size)
{
	uint32_t left = target_inflight(record->target);

	snprintf(buf, size, "no source lists it any more, sessions left: %u", left);
}

static void drain_reason(const struct target_record *record, char *buf, size_t size)
{
	if (record->override.kind == OVERRIDE_DRAIN)
		word_reason(&record->override, "drained", buf, size);
	else if (record->source_draining)
		snprintf(buf, size, "source %s drains it", record->source);
	else
		snprintf(buf, size, "its weight is 0");
}

static void ejected_reason(const struct target_record *record, char *buf, size_t size)
{
	const struct member *member = member_of((struct target_record *)record);

	snprintf(buf, size, "%u connects failed in a row, out for %.4g s", member->eject_failures,
		 (double)member->eject_us / US_PER_SEC);
}

static void healthy_reason(const struct target_record *record, char *buf, size_t size)
{
	if (record->health == HEALTH_UNCHECKED)
		snprintf(buf, size, "listed by source %s, the pool has no health check",
			 record->source);
	else if (record->health == HEALTH_GOING_DOWN)
		checks_reason(record, false, buf, size);
	else
		passed_reason(record, buf, size);
}

static void ramp_reason(const struct target_record *record, char *buf, size_t size)
{
	const struct roster *roster = member_of((struct target_record *)record)->roster;
	size_t length;

	healthy_reason(record, buf, size);
	length = strlen(buf);
	snprintf(buf + length, size - length, "; its share grows for %.3g s",
		 roster->settings.slow_start_ms / 1e3);
}

static void give_reason(const struct target_record *record, char *buf, size_t size)
{
	switch (record->standing) {
	case STANDING_REMOVED:
		removed_reason(record, buf, size);
		break;
	case STANDING_MAINTENANCE:
		word_reason(&record->override, "put in maintenance", buf, size);
		break;
	case STANDING_DRAINING:
		drain_reason(record, buf, size);
		break;
	case STANDING_DOWN:
		checks_reason(record, record->health == HEALTH_GOING_UP, buf, size);
		break;
	case STANDING_EJECTED:
		ejected_reason(record, buf, size);
		break;
	case STANDING_CHECKING:
		snprintf(buf, size, "%sits first check is under way",
			 record->unverified ? "known from before, serves once a check passes: "
					    : "");
		break;
	case STANDING_IDLE_BACKUP:
		snprintf(buf, size, "a backup, while others serve");
		break;
	case STANDING_RAMPING:
		ramp_reason(record, buf, size);
		break;
	default:
		healthy_reason(record, buf, size);
	}
}

static struct target_moment *next_moment(struct target_record *record)
{
	struct target_moment *moment = &record->history[record->moments++ % TARGET_HISTORY];

	moment->wall_us = clock_wall_us();
	return moment;
}

void member_note(struct member *member, const char *format, ...)
{
	struct target_moment *moment = next_moment(&member->record);
	va_list args;

	va_start(args, format);
	vsnprintf(moment->text, sizeof(moment->text), format, args);
	va_end(args);
}

/* Coming and going in crowds is told by the crowd's event. */
static bool is_quiet(const struct member *member, enum standing before)
{
	bool came = before == STANDINGS || before == STANDING_REMOVED;

	return member->roster->quiet && (came || member->record.standing == STANDING_REMOVED);
}

void member_tell(struct member *member, enum standing before)
{
	const struct target_record *record = &member->record;
	const char *kind = told[record->standing].kind;
	enum log_level level = told[record->standing].level;
	char reason[REASON_TEXT];

	give_reason(record, reason, sizeof(reason));
	member_note(member, "%s%s: %s", before == STANDINGS ? "added, " : "",
		    standing_names[record->standing], reason);
	if (is_quiet(member, before))
		return;
	if (before == STANDINGS || before == STANDING_REMOVED) {
		kind = "target_added";
		level = LOG_INFO;
	} else if (before == STANDING_RAMPING && record->standing == STANDING_SERVING) {
		kind = "target_ramped";
	}
	events_add(member->roster->registry->events, level, kind, member->roster->name,
		   record->target->name, "%s: %s", standing_names[record->standing], reason);
}

/* "12:03:04 UTC", with the date in front if it was another day. */
static const char *format_since(uint64_t wall_us, char buf[TIMESTAMP_TEXT])
{
	const size_t date = strlen("2026-01-02T"), time = strlen("12:03:04");
	char now[TIMESTAMP_TEXT];

	timestamp_format(clock_wall_us(), now);
	timestamp_format(wall_us, buf);
	strcpy(buf + date + time, " UTC");
	if (!strncmp(buf, now, date))
		return buf + date;
	buf[date - 1] = ' ';
	return buf;
}

static const char *panic_clause(const struct target_record *record)
{
	if (record->in_panic)
		return "; used all the same, the pool is in panic";
	if (record->pool->panic && record->standing > STANDING_DRAINING &&
	    !record->effective_weight)
		return "; the pool is in panic and refuses";
	return "";
}

int registry_explain(const struct target_record *record, char *buf, size_t size)
{
	char reason[REASON_TEXT], since[TIMESTAMP_TEXT];

	give_reason(record, reason, sizeof(reason));
	return snprintf(buf, size, "%s since %s: %s%s", standing_names[record->standing],
			format_since(record->standing_wall_us, since), reason,
			panic_clause(record));
}
