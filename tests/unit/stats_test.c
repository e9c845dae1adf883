/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over workers, and the JSON read back by a parser.
 */
#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/listener_stats.h"
#include "proxy/snapshot.h"
#include "proxy/stats.h"

#define WORKERS 3

static struct worker_counts workers[WORKERS];
static struct worker_counts *const all[WORKERS] = {&workers[0], &workers[1], &workers[2]};
static uint64_t calls[WORKERS][SYS_KINDS];

static struct config config;
static struct listener_conf listener_conf = {.name = (char *)"web"};
static struct pool_conf pool_conf = {.name = (char *)"app", .balance = BALANCE_MAGLEV};
static struct target *targets[2];
static uint32_t weights[2] = {7, 0};
static struct listener_stats *listeners[1];
static struct pool pool = {
	.conf = &pool_conf, .targets = targets, .weights = weights, .target_count = 2};
static struct snapshot snapshot = {
	.generation = 9, .config = &config, .pools = &pool, .listeners = listeners};

static struct target *target_at(const char *text)
{
	struct target *target;
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	target = target_new(text, &addr, WORKERS);
	ck_assert_ptr_nonnull(target);
	return target;
}

static void setup(void)
{
	config = (struct config){.listeners = &listener_conf,
				 .listener_count = 1,
				 .pools = &pool_conf,
				 .pool_count = 1};
	targets[0] = target_at("10.0.0.1:80");
	targets[1] = target_at("[2001:db8::2]:80");
	listeners[0] = listener_stats_new("web", WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i].sessions = 100 + i;
		workers[i].turns = 5;
		workers[i].client_received_bytes = 200000000;
		workers[i].client_sent_bytes = 800000000;
		workers[i].reasons[REASON_CLIENT_FIN] = 50;
		workers[i].sys_calls = calls[i];
		calls[i][SYS_ACCEPT] = 101;
		calls[i][SYS_IOCTL] = 1;
		targets[0]->counts[i].c.sessions = 10 * i;
		targets[0]->counts[i].c.received_bytes = 1;
		listeners[0]->counts[i].c.accepted = 4 + i;
		listeners[0]->counts[i].c.shed = 1;
		listeners[0]->counts[i].c.proxy_headers = 4;
		listeners[0]->counts[i].c.proxy_errors = 2;
		listener_stats_count_vpce(listeners[0], "vpce-08d2");
	}
	workers[1].reasons[REASON_INTERNAL] = 2;
	listeners[0]->open = 6;
}

static void teardown(void)
{
	target_put(targets[0]);
	target_put(targets[1]);
	listener_stats_put(listeners[0]);
}

static json_t *parsed(uint64_t uptime_us)
{
	struct stats_sum sum;
	char *text;
	json_t *json;

	stats_sum(all, WORKERS, &sum);
	text = stats_json(&sum, &snapshot, WORKERS, uptime_us);
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(strchr(text, '\n'));
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_ptr_nonnull(json);
	free(text);
	return json;
}

static json_int_t number(const json_t *json, const char *key)
{
	json_t *value = json_object_get(json, key);

	ck_assert_msg(json_is_integer(value), "%s", key);
	return json_integer_value(value);
}

START_TEST(buckets_of_a_histogram_double_and_the_last_has_no_bound)
{
	struct histogram histogram = {0};

	ck_assert_uint_eq(histogram_bound_us(0), 64);
	ck_assert_uint_eq(histogram_bound_us(1), 128);
	ck_assert_uint_eq(histogram_bound_us(HISTOGRAM_BUCKETS - 2), (uint64_t)64 << 26);
	ck_assert_uint_eq(histogram_bound_us(HISTOGRAM_BUCKETS - 1), 0);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		ck_assert_uint_eq(histogram_bucket(histogram_bound_us(i)), i);
		ck_assert_uint_eq(histogram_bucket(histogram_bound_us(i) + 1), i + 1);
	}
	ck_assert_uint_eq(histogram_bucket(0), 0);
	ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
	histogram_add(&histogram, 100);
	histogram_add(&histogram, 50);
	ck_assert_uint_eq(histogram.buckets[0], 1);
	ck_assert_uint_eq(histogram.buckets[1], 1);
	ck_assert_uint_eq(histogram.sum_us, 150);
}
END_TEST

START_TEST(sum_adds_every_counter_of_every_worker)
{
	struct stats_sum sum;

	stats_sum(all, WORKERS, &sum);
	ck_assert_uint_eq(sum.total.sessions, 303);
	ck_assert_uint_eq(sum.total.turns, 15);
	ck_assert_uint_eq(sum.total.reasons[REASON_CLIENT_FIN], 150);
	ck_assert_uint_eq(sum.total.reasons[REASON_INTERNAL], 2);
	ck_assert_uint_eq(sum.sys_calls[SYS_ACCEPT], 303);
	ck_assert_ptr_null(sum.total.sys_calls);
}
END_TEST

START_TEST(sum_takes_a_worker_whose_thread_has_not_begun)
{
	struct stats_sum sum;

	workers[1].sys_calls = NULL;
	stats_sum(all, WORKERS, &sum);
	ck_assert_uint_eq(sum.sys_calls[SYS_ACCEPT], 202);
}
END_TEST

START_TEST(json_has_totals_reasons_and_calls)
{
	json_t *json = parsed(12500000);
	const json_t *reasons = json_object_get(json, "reasons");

	ck_assert_str_eq(json_string_value(json_object_get(json, "event")), "counters");
	ck_assert_double_eq_tol(json_real_value(json_object_get(json, "uptime_s")), 12.5, 1e-6);
	ck_assert_int_eq(number(json, "generation"), 9);
	ck_assert_int_eq(number(json, "workers"), WORKERS);
	ck_assert_int_eq(number(json, "sessions"), 303);
	ck_assert_int_eq(number(json, "turns"), 15);
	ck_assert_int_eq(number(json, "client_sent_bytes"), 2400000000);
	ck_assert_uint_eq(json_object_size(reasons), 2);
	ck_assert_int_eq(number(reasons, "client_fin"), 150);
	ck_assert_int_eq(number(reasons, "internal"), 2);
	ck_assert_int_eq(number(json_object_get(json, "syscalls"), "accept4"), 303);
	ck_assert_double_eq_tol(json_real_value(json_object_get(json, "syscalls_per_session")),
				306 / 303.0, 1e-4);
	ck_assert_double_eq_tol(json_real_value(json_object_get(json, "syscalls_per_gb")), 102.0,
				1e-3);
	json_decref(json);
}
END_TEST

START_TEST(json_has_each_listener_and_target)
{
	json_t *json = parsed(1);
	const json_t *listener = json_array_get(json_object_get(json, "listeners"), 0);
	const json_t *spread = json_object_get(listener, "accepted_by_worker");
	const json_t *app = json_array_get(json_object_get(json, "pools"), 0);
	const json_t *first = json_array_get(json_object_get(app, "targets"), 0);
	const json_t *second = json_array_get(json_object_get(app, "targets"), 1);

	ck_assert_str_eq(json_string_value(json_object_get(listener, "name")), "web");
	ck_assert_int_eq(number(listener, "accepted"), 15);
	ck_assert_int_eq(number(listener, "shed"), 3);
	ck_assert_int_eq(number(listener, "proxy_headers"), 12);
	ck_assert_int_eq(number(listener, "proxy_errors"), 6);
	ck_assert_int_eq(number(json_object_get(listener, "vpce"), "vpce-08d2"), 3);
	ck_assert_int_eq(number(listener, "open"), 6);
	ck_assert_uint_eq(json_array_size(spread), WORKERS);
	ck_assert_int_eq(json_integer_value(json_array_get(spread, 2)), 6);
	ck_assert_str_eq(json_string_value(json_object_get(app, "balance")), "maglev");
	ck_assert_str_eq(json_string_value(json_object_get(first, "address")), "10.0.0.1:80");
	ck_assert_int_eq(number(first, "weight"), 7);
	ck_assert_int_eq(number(first, "sessions"), 30);
	ck_assert_int_eq(number(first, "received_bytes"), 3);
	ck_assert_str_eq(json_string_value(json_object_get(second, "name")), "[2001:db8::2]:80");
	ck_assert_int_eq(number(second, "sessions"), 0);
	json_decref(json);
}
END_TEST

START_TEST(json_of_an_idle_proxy_divides_by_nothing)
{
	json_t *json;

	memset(workers, 0, sizeof(workers));
	json = parsed(1);
	ck_assert(json_is_null(json_object_get(json, "syscalls_per_session")));
	ck_assert(json_is_null(json_object_get(json, "syscalls_per_gb")));
	json_decref(json);
}
END_TEST

START_TEST(name_that_is_not_utf8_costs_only_itself)
{
	json_t *json;

	free(targets[1]->name);
	targets[1]->name = strdup("unix:/\xff");
	json = parsed(1);
	json_decref(json);
}
END_TEST

static unsigned until_failure;

static void *failing_malloc(size_t size)
{
	return until_failure && !--until_failure ? NULL : malloc(size);
}

START_TEST(json_is_whole_or_not_at_all_when_an_allocation_fails)
{
	struct stats_sum sum;
	char *want, *text;
	unsigned nth = 0, none = 0;

	stats_sum(all, WORKERS, &sum);
	want = stats_json(&sum, &snapshot, WORKERS, 1);
	json_set_alloc_funcs(failing_malloc, free);
	do {
		until_failure = ++nth;
		text = stats_json(&sum, &snapshot, WORKERS, 1);
		if (text)
			ck_assert_str_eq(text, want);
		else
			none++;
		free(text);
	} while (!until_failure);
	json_set_alloc_funcs(malloc, free);
	ck_assert_uint_gt(none, 100);
	free(want);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *cases = tcase_create("stats");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, buckets_of_a_histogram_double_and_the_last_has_no_bound);
	tcase_add_test(cases, sum_adds_every_counter_of_every_worker);
	tcase_add_test(cases, sum_takes_a_worker_whose_thread_has_not_begun);
	tcase_add_test(cases, json_has_totals_reasons_and_calls);
	tcase_add_test(cases, json_has_each_listener_and_target);
	tcase_add_test(cases, json_of_an_idle_proxy_divides_by_nothing);
	tcase_add_test(cases, name_that_is_not_utf8_costs_only_itself);
	tcase_add_test(cases, json_is_whole_or_not_at_all_when_an_allocation_fails);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
