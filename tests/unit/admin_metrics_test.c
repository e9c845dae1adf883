/* SPDX-License-Identifier: Apache-2.0
 *
 * What /metrics says of everything that can be set up without traffic; tests/net/test_metrics.py
 * has the traffic.
 */
/* link: -Wl,--wrap=clock_gettime */
#include "proxy/base/clock.h"
#include "proxy/listener_stats.h"
#include "proxy/pool_state.h"
#include "tests/unit/admin_rig.h"

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

static time_t ahead_s; /* of the real time */

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);

	ts->tv_sec += ahead_s;
	return r;
}

static char *metrics;

static void scrape(void)
{
	struct request *request = rig_ask("GET", "/metrics", NULL);

	ck_assert_int_eq(request->status, 200);
	ck_assert_str_eq(request->type, "text/plain; version=0.0.4; charset=utf-8");
	free(metrics);
	metrics = request->text;
	request->text = NULL;
	request_free(request);
}

static bool said(const char *line)
{
	size_t size = strlen(line);

	for (const char *at = metrics; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, line, size))
			return true;
	}
	return false;
}

#define SAYS(line)       ck_assert_msg(said(line "\n"), "not said: %s", line)
#define SAYS_NOT(prefix) ck_assert_msg(!said(prefix), "said: %s", prefix)

static void setup(void)
{
	ahead_s = 0;
	rig_setup();
}

static void teardown(void)
{
	free(metrics);
	metrics = NULL;
	rig_teardown();
}

static struct target_record *record_of(const char *name)
{
	struct target_record *record;

	ck_assert_int_eq(registry_find(rig_registry, NULL, name, &record), 0);
	return record;
}

START_TEST(process_says_what_it_is_and_does)
{
	rig_main.facts.started_wall_us = 1500 * US_PER_SEC;
	rig_main.facts.max_connections = 44;
	rig_main.facts.source_ports = 28232;
	rig_main.facts.phase = "sessions";
	rig_main.facts.not_ready = "draining";
	scrape();
	ck_assert_uint_eq(rig_main.looked, 1);
	SAYS("sluice_build_info{version=\"1.2.3\"} 1");
	SAYS("sluice_start_time_seconds 1500");
	SAYS("sluice_phase{phase=\"serving\"} 0");
	SAYS("sluice_phase{phase=\"sessions\"} 1");
	SAYS("sluice_ready 0");
	SAYS("sluice_sessions_limit 44");
	SAYS("sluice_source_ports 28232");
	SAYS("sluice_config_last_reload_successful 1");
	SAYS("sluice_events_total{kind=\"target_added\"} 4");
	rig_main.facts.reload_failed = true;
	rig_main.facts.not_ready = NULL;
	scrape();
	SAYS("sluice_ready 1");
	SAYS("sluice_config_last_reload_successful 0");
}
END_TEST

START_TEST(workers_are_summed_up_and_told_apart)
{
	rig_counts[0].sessions = 3;
	rig_counts[1].sessions = 5;
	rig_counts[1].log_dropped = 2;
	rig_counts[0].turns = 9;
	rig_counts[0].client_sent_bytes = 1500000000;
	rig_counts[1].client_received_bytes = 500000000;
	rig_counts[1].reasons[REASON_QUEUE_FULL] = 4;
	rig_calls[0][SYS_RECV] = 6;
	rig_calls[1][SYS_RECV] = 10;
	scrape();
	SAYS("sluice_sessions_total 8");
	SAYS("sluice_flow_log_dropped_total 2");
	SAYS("sluice_sessions_ended_total{reason=\"queue_full\"} 4");
	SAYS("sluice_worker_sessions_total{worker=\"1\"} 5");
	SAYS("sluice_worker_turns_total{worker=\"0\"} 9");
	SAYS("sluice_syscalls_total{call=\"recv\"} 16");
	SAYS("sluice_syscalls_per_session 2");
	SAYS("sluice_syscalls_per_gigabyte 8");
}
END_TEST

START_TEST(histograms_are_cumulative_and_in_seconds)
{
	histogram_add(&rig_counts[0].connect_time, 60);
	histogram_add(&rig_counts[1].connect_time, 100);
	histogram_add(&rig_counts[1].connect_time, UINT64_C(5000) * US_PER_SEC);
	histogram_add(&rig_counts[1].session_time, 64);
	scrape();
	SAYS("# TYPE sluice_connect_duration_seconds histogram");
	SAYS("sluice_connect_duration_seconds_bucket{le=\"6.4e-05\"} 1");
	SAYS("sluice_connect_duration_seconds_bucket{le=\"0.000128\"} 2");
	SAYS("sluice_connect_duration_seconds_bucket{le=\"4294.967296\"} 2");
	SAYS("sluice_connect_duration_seconds_bucket{le=\"+Inf\"} 3");
	SAYS("sluice_connect_duration_seconds_sum 5000.00016");
	SAYS("sluice_connect_duration_seconds_count 3");
	SAYS("sluice_session_duration_seconds_count 1");
	SAYS("sluice_first_byte_duration_seconds_count 0");
}
END_TEST

START_TEST(listeners_say_how_evenly_workers_accept)
{
	struct listener_stats *stats = rig_snapshot->listeners[0];

	scrape();
	SAYS("sluice_listener_accept_imbalance_ratio{listener=\"front\"} 1");
	stats->counts[0].c.accepted = 1;
	stats->counts[1].c.accepted = 3;
	stats->counts[0].c.proxy_errors = 7;
	listener_stats_count_vpce(stats, "vpce-1");
	rig_main.listener.paused = true;
	scrape();
	SAYS("sluice_listener_accepted_total{listener=\"front\"} 4");
	SAYS("sluice_listener_worker_accepted_total{listener=\"front\",worker=\"1\"} 3");
	SAYS("sluice_listener_accept_imbalance_ratio{listener=\"front\"} 1.5");
	SAYS("sluice_listener_proxy_errors_total{listener=\"front\"} 7");
	SAYS("sluice_listener_vpce_sessions_total{listener=\"front\",vpce=\"vpce-1\"} 1");
	SAYS("sluice_listener_paused{listener=\"side\"} 1");
}
END_TEST

START_TEST(queue_that_cannot_be_measured_has_no_sample)
{
	scrape();
	SAYS("sluice_listener_queue_depth{listener=\"front\"} 3");
	SAYS("sluice_listener_queue_limit{listener=\"front\"} 128");
	SAYS("# TYPE sluice_listener_queue_overflows_total counter");
	SAYS_NOT("sluice_listener_queue_overflows_total{");
	rig_main.listener.queue_overflows = 2;
	scrape();
	SAYS("sluice_listener_queue_overflows_total{listener=\"side\"} 2");
}
END_TEST

START_TEST(pools_say_how_many_targets_they_have_and_why)
{
	struct pool_state *state = registry_pool(rig_registry, "web")->state;

	json_decref(
		rig_answer("PATCH", "/v1/targets/10.0.0.2:80", "{\"override\":\"drain\"}", 200));
	atomic_store(&state->queue_size, 10);
	atomic_store(&state->waiting_count, 2);
	atomic_store(&state->queued, 12);
	atomic_store(&state->queue_full, 5);
	atomic_store(&state->queue_timeouts, 3);
	scrape();
	SAYS("sluice_pool_targets{pool=\"web\",state=\"draining\"} 1");
	SAYS("sluice_pool_targets{pool=\"web\",state=\"serving\"} 1");
	SAYS("sluice_pool_targets{pool=\"web\",state=\"down\"} 0");
	SAYS("sluice_pool_targets_usable{pool=\"web\"} 1");
	SAYS("sluice_pool_targets_eligible{pool=\"web\"} 1");
	SAYS("sluice_pool_targets_healthy{pool=\"db\"} 2");
	SAYS("sluice_pool_panic{pool=\"web\"} 0");
	SAYS("sluice_pool_queue_limit{pool=\"web\"} 10");
	SAYS("sluice_pool_queue_sessions{pool=\"web\"} 2");
	SAYS("sluice_pool_queued_total{pool=\"web\"} 12");
	SAYS("sluice_pool_queue_refused_total{pool=\"web\"} 5");
	SAYS("sluice_pool_queue_timeouts_total{pool=\"web\"} 3");
	atomic_store(&state->waiting_count, 0);
}
END_TEST

START_TEST(sources_have_a_generation_and_an_age)
{
	json_t *applied =
		rig_answer("PUT", "/v1/pools/web/sources/control",
			   "{\"generation\":7,\"targets\":[{\"address\":\"10.0.0.9:80\"}]}", 200);

	json_decref(applied);
	ahead_s = 90;
	scrape();
	SAYS("sluice_pool_source_generation{pool=\"web\",source=\"control\"} 7");
	SAYS("sluice_pool_source_targets{pool=\"web\",source=\"control\"} 1");
	ck_assert(said("sluice_pool_source_age_seconds{pool=\"web\",source=\"control\"} 90"));
}
END_TEST

START_TEST(targets_have_every_counter)
{
	struct target *target = record_of("10.0.0.2:80")->target;

	target->counts[0].c = (struct target_counts){.sessions = 1,
						     .connect_failures = 2,
						     .retries = 3,
						     .sent_bytes = 4,
						     .received_bytes = 5,
						     .cross_zone_bytes = 6};
	target->counts[1].c.sessions = 10;
	atomic_store(&target->source_ports_left, 28000);
	scrape();
#define OF "{pool=\"web\",target=\"10.0.0.2:80\"} "
	SAYS("sluice_target_sessions_total" OF "11");
	SAYS("sluice_target_connect_failures_total" OF "2");
	SAYS("sluice_target_retries_total" OF "3");
	SAYS("sluice_target_sent_bytes_total" OF "4");
	SAYS("sluice_target_received_bytes_total" OF "5");
	SAYS("sluice_target_cross_zone_bytes_total" OF "6");
	SAYS("sluice_target_source_ports_left" OF "28000");
	SAYS("sluice_target_sessions_open" OF "0");
	SAYS("sluice_target_effective_weight" OF "100");
	SAYS_NOT("sluice_target_source_ports_left{pool=\"db\"");
	SAYS_NOT("sluice_target_check_duration_seconds{");
	SAYS("sluice_target_up{pool=\"db\",target=\"unix:/run/a b.sock\"} 1");
	SAYS("sluice_target_state{pool=\"db\",target=\"unix:/run/a b.sock\",state=\"serving\"} 1");
}
END_TEST

START_TEST(check_says_how_long_it_took_and_who_is_up)
{
	struct target_record *record = record_of("10.0.0.2:80");

	record->health = HEALTH_DOWN;
	record->check_us = 1500;
	record->checked_wall_us = clock_wall_us();
	scrape();
	SAYS("sluice_target_up" OF "0");
	SAYS("sluice_target_check_duration_seconds" OF "0.0015");
	record->health = HEALTH_GOING_DOWN;
	scrape();
	SAYS("sluice_target_up" OF "1");
	record->ejected_until_us = clock_us();
	scrape();
	SAYS("sluice_target_up" OF "0");
}
END_TEST

START_TEST(removed_targets_series_end_after_ten_minutes)
{
	ck_assert_int_eq(registry_put(rig_registry, "web", "config", 0, NULL, 0, &(uint64_t){0}),
			 0);
	ahead_s = 1;
	registry_tick(rig_registry, clock_us());
	scrape();
	SAYS("sluice_target_up" OF "0");
	SAYS("sluice_target_state{pool=\"web\",target=\"10.0.0.2:80\",state=\"removed\"} 1");
	ahead_s = 590;
	registry_tick(rig_registry, clock_us());
	scrape();
	SAYS("sluice_target_sessions_total" OF "0");
	ahead_s = 610;
	registry_tick(rig_registry, clock_us());
	scrape();
	ck_assert_ptr_null(strstr(metrics, "10.0.0.2:80"));
	SAYS("sluice_pool_targets{pool=\"web\",state=\"removed\"} 0");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		process_says_what_it_is_and_does,
		workers_are_summed_up_and_told_apart,
		histograms_are_cumulative_and_in_seconds,
		listeners_say_how_evenly_workers_accept,
		queue_that_cannot_be_measured_has_no_sample,
		pools_say_how_many_targets_they_have_and_why,
		sources_have_a_generation_and_an_age,
		targets_have_every_counter,
		check_says_how_long_it_took_and_who_is_up,
		removed_targets_series_end_after_ten_minutes,
	};

	return run_rigged("admin_metrics", tests, COUNT(tests), setup, teardown);
}
