/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the registry share: a registry of one or more pools whose time is the test's,
 * and short ways to say what sources, checks and sessions do.
 *
 * Each test that includes it links with --wrap=log_event,--wrap=clock_gettime.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/events.h"
#include "proxy/pool_state.h"
#include "proxy/registry.h"
#include "proxy/target.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WALL_SEC     UINT64_C(1800000000) /* how far the wall clock is ahead: 2027-01-15 08:00:00 */

int __wrap_clock_gettime(clockid_t id, struct timespec *now);
void __wrap_log_event(enum log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static uint64_t rig_now_us;
static unsigned rig_changes, rig_closes;
static const struct target *rig_closed;
static uint32_t rig_spread_ms;
static enum reason rig_close_reason;
static struct events *rig_events;
static struct registry *rig;
static struct pool_conf rig_pools[4];
static struct config rig_config = {.pools = rig_pools, .pool_count = 1};

/* Time is the test's. */
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	*now = (struct timespec){.tv_sec = (time_t)(rig_now_us / US_PER_SEC),
				 .tv_nsec = (long)(rig_now_us % US_PER_SEC * 1000)};
	if (id == CLOCK_REALTIME)
		now->tv_sec += WALL_SEC;
	return 0;
}

/* Thousands of events are asserted on, and read by nobody. */
void __wrap_log_event(enum log_level level, const char *event, const char *format, ...)
{
}

static inline void rig_on_changed(void *context)
{
	rig_changes++;
}

static inline void rig_on_close(void *context, struct target *target, uint32_t spread_ms,
				enum reason reason)
{
	rig_closes++;
	rig_closed = target;
	rig_spread_ms = spread_ms;
	rig_close_reason = reason;
}

static inline void rig_open(const char *state_directory)
{
	struct registry_hooks hooks = {.changed = rig_on_changed, .close_sessions = rig_on_close};

	rig = NULL;
	rig_events = events_new(4096);
	ck_assert_ptr_nonnull(rig_events);
	ck_assert_int_eq(registry_new(2, rig_events, &hooks, state_directory, &rig), 0);
}

static inline void rig_shut(void)
{
	registry_free(rig);
	events_free(rig_events);
	rig = NULL;
	rig_events = NULL;
}

static inline void rig_configure(void)
{
	ck_assert_int_eq(registry_configure(rig, &rig_config), 0);
}

/* Pools a, b, c, d with what most tests want: nothing that time changes by itself. */
static inline void rig_defaults(void)
{
	static char *const names[] = {"a", "b", "c", "d"};

	rig_now_us = 1000 * US_PER_SEC;
	rig_changes = rig_closes = 0;
	rig_closed = NULL;
	rig_config.pool_count = 1;
	for (size_t i = 0; i < COUNT(names); i++)
		rig_pools[i] = (struct pool_conf){
			.name = names[i],
			.health = {.interval_ms = 2000, .rise = 2, .fall = 3},
			.outlier = {.failures = 5,
				    .ejection_ms = 30000,
				    .ejection_max_ms = 300000,
				    .max_ejected_percent = 10},
			.zone_aware = true,
			.drain_timeout_ms = 300000,
			.drain_spread_ms = 30000,
		};
}

static inline void rig_setup(void)
{
	rig_defaults();
	rig_open(NULL);
	rig_configure();
}

/* "10.0.0.N:80", weight 100. */
static inline struct target_spec spec_of(unsigned n)
{
	struct target_spec spec = {.weight = 100, .addr = {.family = AF_INET, .port = 80}};

	spec.addr.v4.s_addr = htonl(0x0a000000 + n);
	return spec;
}

/* A set of targets FIRST .. FIRST + COUNT - 1 for pool a. */
static inline int put_range(const char *source, unsigned first, unsigned count)
{
	struct target_spec *specs = calloc(count + 1, sizeof(*specs));
	uint64_t generation;
	int result;

	for (unsigned i = 0; i < count; i++)
		specs[i] = spec_of(first + i);
	result = registry_put(rig, "a", source, 0, specs, count, &generation);
	free(specs);
	return result;
}

static inline struct target_record *find(const char *text)
{
	struct target_record *record = NULL;

	ck_assert_int_eq(registry_find(rig, NULL, text, &record), 0);
	return record;
}

static inline struct target_record *nth(unsigned n)
{
	char text[32];

	snprintf(text, sizeof(text), "10.0.0.%u:80", n);
	return find(text);
}

static inline struct pool_record *pool_a(void)
{
	return registry_pool(rig, "a");
}

static inline void check_says(struct target_record *record, enum health_status status,
			      const char *text)
{
	bool good = status == HEALTH_UP || status == HEALTH_GOING_UP;
	struct health_report report = {.key = record->key,
				       .status = status,
				       .passed = good ? 2 : 0,
				       .failed = good ? 0 : 3,
				       .took_us = 1000};

	snprintf(report.text, sizeof(report.text), "%s", text);
	registry_health(rig, &report);
}

static inline void say(struct target_record *record, enum override_kind kind, int32_t weight)
{
	struct override override = {
		.kind = kind, .weight = weight, .who = "uid 0 (root)", .why = "a test"};

	ck_assert_int_eq(registry_override(rig, record, &override), 0);
}

static inline uint64_t tick(void)
{
	return registry_tick(rig, rig_now_us);
}

/* Let time pass, with all the ticks the registry asks for. */
static inline void pass_us(uint64_t us)
{
	uint64_t end = rig_now_us + us;
	uint64_t wait = tick();

	while (rig_now_us + wait < end) {
		rig_now_us += wait ? wait : 1;
		wait = tick();
	}
	rig_now_us = end;
	tick();
}

static inline struct pool_plan plan_of(size_t index)
{
	struct pool_plan plan;

	ck_assert_int_eq(registry_plan(rig, index, &plan), 0);
	return plan;
}

/* The plan's part on one target; it must be listed. */
static inline struct plan_member planned(const struct target_record *record)
{
	struct plan_member found = {0};
	struct pool_plan plan = plan_of(0);

	for (size_t i = 0; i < plan.count; i++)
		if (plan.members[i].target == record->target)
			found = plan.members[i];
	pool_plan_fini(&plan);
	ck_assert_ptr_nonnull(found.target);
	return found;
}

/* How many events of this kind there are. */
static inline unsigned events_of(const char *kind)
{
	const struct event *event = events_next(rig_events, 0);
	unsigned count = 0;

	for (; event; event = events_next(rig_events, event->id))
		count += !strcmp(event->kind, kind);
	return count;
}

/* The text of the last event of this kind, "" if there is none. */
static inline const char *event_text(const char *kind)
{
	const struct event *event = events_next(rig_events, 0);
	const char *text = "";

	for (; event; event = events_next(rig_events, event->id))
		if (!strcmp(event->kind, kind))
			text = event->text;
	return text;
}

static inline void expect_standing(struct target_record *record, enum standing standing)
{
	ck_assert_str_eq(standing_names[record->standing], standing_names[standing]);
	ck_assert_int_eq(atomic_load(&record->target->closed), !record->effective_weight);
}

static inline int run_rigged(const char *name, const TTest *const *tests, size_t count,
			     void (*setup)(void), void (*teardown)(void))
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
