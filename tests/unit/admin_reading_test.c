/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of what is only looked at: status, pools, explanations, events, readiness.
 */
#include "proxy/base/clock.h"
#include "tests/unit/admin_rig.h"

START_TEST(status_has_the_process_its_workers_and_listeners)
{
	json_t *status, *item;

	rig_counts[1].sessions = 3;
	rig_counts[1].reasons[REASON_CLIENT_FIN] = 2;
	rig_main.facts.not_ready = "because";
	rig_main.facts.drain_deadline_wall_us = 1800000000 * US_PER_SEC;
	status = rig_answer("GET", "/v1/status", NULL, 200);
	ck_assert_uint_eq(rig_main.looked, 1);
	ck_assert_str_eq(text_of(status, "version"), "1.2.3");
	ck_assert_int_eq(number_of(status, "pid"), getpid());
	ck_assert_str_eq(text_of(status, "drain_deadline"), "2027-01-15T08:00:00.000Z");
	ck_assert(json_is_null(json_object_get(status, "config_file")));
	ck_assert(json_is_false(json_object_get(status, "ready")));
	ck_assert_str_eq(text_of(status, "not_ready_reason"), "because");
	item = json_array_get(json_object_get(status, "workers"), 1);
	ck_assert_int_eq(number_of(item, "sessions"), 3);
	ck_assert_int_eq(number_of(item, "cpu"), 1);
	item = json_array_get(json_object_get(status, "listeners"), 0);
	ck_assert_str_eq(text_of(item, "bind"), "127.0.0.1:80");
	ck_assert_str_eq(text_of(item, "pool"), "web");
	ck_assert_int_eq(number_of(item, "queue_depth"), 3);
	ck_assert(json_is_null(json_object_get(item, "queue_overflows")));
	item = json_object_get(json_object_get(status, "totals"), "reasons");
	ck_assert_int_eq(number_of(item, reason_names[REASON_CLIENT_FIN]), 2);
	json_decref(status);
}
END_TEST

START_TEST(a_listeners_state_is_said)
{
	json_t *status;

	rig_main.listener = (struct admin_listener){.paused = true};
	status = rig_answer("GET", "/v1/status", NULL, 200);
	ck_assert_str_eq(text_of(json_array_get(json_object_get(status, "listeners"), 0), "state"),
			 "paused");
	json_decref(status);
}
END_TEST

START_TEST(pools_are_summed_up)
{
	json_t *answer = rig_answer("GET", "/v1/pools", NULL, 200);
	const json_t *pools = json_object_get(answer, "pools");
	const json_t *web = json_array_get(pools, 0);

	ck_assert_uint_eq(json_array_size(pools), 2);
	ck_assert_str_eq(text_of(web, "name"), "web");
	ck_assert_str_eq(text_of(web, "balance"), "round_robin");
	ck_assert_int_eq(number_of(web, "targets"), 2);
	ck_assert_int_eq(number_of(web, "usable"), 2);
	ck_assert_str_eq(text_of(json_array_get(json_object_get(web, "sources"), 0), "name"),
			 "config");
	json_decref(answer);
}
END_TEST

START_TEST(a_pool_has_its_members)
{
	json_t *pool = rig_answer("GET", "/v1/pools/web", NULL, 200);
	const json_t *members = json_object_get(pool, "members");

	ck_assert_uint_eq(json_array_size(members), 2);
	ck_assert_str_eq(text_of(json_array_get(members, 1), "zone"), "z2");
	json_decref(pool);
	rig_refused("GET", "/v1/pools/nowhere", NULL, 404, "no pool \"nowhere\"");
}
END_TEST

START_TEST(cross_zone_bytes_are_told_where_both_zones_are_known)
{
	struct target_record *record;
	json_t *target;

	ck_assert_int_eq(registry_find(rig_registry, "web", "10.0.0.2:80", &record), 0);
	record->target->counts[0].c.cross_zone_bytes = 5;
	record->target->counts[1].c.cross_zone_bytes = 6;
	target = rig_answer("GET", "/v1/targets/10.0.0.2:80/explain", NULL, 200);
	ck_assert(json_is_null(json_object_get(target, "cross_zone_bytes")));
	json_decref(target);
	ck_assert_int_eq(registry_set_zone(rig_registry, "z1"), 0);
	target = rig_answer("GET", "/v1/targets/10.0.0.2:80/explain", NULL, 200);
	ck_assert_int_eq(number_of(target, "cross_zone_bytes"), 11);
	json_decref(target);
}
END_TEST

START_TEST(an_explanation_has_its_history_newest_first)
{
	json_t *target;
	const json_t *history;

	json_decref(
		rig_answer("PATCH", "/v1/targets/10.0.0.2:80", "{\"override\":\"drain\"}", 200));
	target = rig_answer("GET", "/v1/targets/10.0.0.2:80/explain", NULL, 200);
	history = json_object_get(target, "history");
	ck_assert_uint_ge(json_array_size(history), 2);
	ck_assert_ptr_nonnull(strstr(text_of(json_array_get(history, 0), "text"), "drain"));
	ck_assert(json_is_false(json_object_get(json_object_get(target, "pool_state"), "panic")));
	json_decref(target);
}
END_TEST

START_TEST(events_come_in_pages)
{
	json_t *page = rig_answer("GET", "/v1/events?limit=3", NULL, 200);
	const json_t *first = json_array_get(json_object_get(page, "events"), 0);

	ck_assert_uint_eq(json_array_size(json_object_get(page, "events")), 3);
	ck_assert_int_eq(number_of(page, "last_id"), 3);
	ck_assert_int_eq(number_of(first, "id"), 1);
	ck_assert_str_eq(text_of(first, "kind"), "target_added");
	ck_assert_str_eq(text_of(first, "pool"), "web");
	json_decref(page);
	page = rig_answer("GET", "/v1/events?after=3&limit=3", NULL, 200);
	ck_assert_uint_eq(json_array_size(json_object_get(page, "events")), 1);
	ck_assert_int_eq(number_of(page, "last_id"), 4);
	json_decref(page);
}
END_TEST

START_TEST(pages_are_served_whole)
{
	struct request *page = rig_ask("GET", "/", NULL);
	struct request *api = rig_ask("GET", "/openapi.json", NULL);
	json_t *paths = json_loads(api->text, 0, NULL);

	ck_assert_ptr_nonnull(strstr(page->text, "</html>"));
	ck_assert_ptr_nonnull(json_object_get(paths, "paths"));
	json_decref(paths);
	request_free(page);
	request_free(api);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		status_has_the_process_its_workers_and_listeners,
		a_listeners_state_is_said,
		pools_are_summed_up,
		a_pool_has_its_members,
		cross_zone_bytes_are_told_where_both_zones_are_known,
		an_explanation_has_its_history_newest_first,
		events_come_in_pages,
		pages_are_served_whole,
	};

	return run_rigged("admin_reading", tests, COUNT(tests), rig_setup, rig_teardown);
}
