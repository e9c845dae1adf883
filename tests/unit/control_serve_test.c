/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of what sluice-control answers: routes, readiness, decisions and who is told of them, long
 * polls and figures, on a feed whose source and proxy are the test's.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event,--wrap=visitor_answered */
#include "control/lifecycle.h"
#include "control/queue.h"
#include "control/serve/desk.h"
#include "proxy/base/http/door.h"
#include "tests/unit/control_feed_rig.h"

#define FEED "/v1/discovery/api/fake"

static struct desk desk;
static struct request *answered; /* the last long poll that ended */

void __wrap_visitor_answered(struct request *request);

void __wrap_visitor_answered(struct request *request)
{
	request_free(answered);
	answered = request;
}

const char *link_problem(const struct link *link)
{
	return proxy.up ? NULL : "the proxy is away";
}

int64_t link_pid(const struct link *link)
{
	return proxy.up ? 7 : 0;
}

/* Nobody's instance ends here. */
json_t *lifecycle_describe(const struct lifecycle *lifecycle)
{
	return json_object();
}

const char *const lifecycle_phase_names[LIFECYCLE_PHASES];

enum lifecycle_phase lifecycle_phase(const struct lifecycle *lifecycle)
{
	return LIFECYCLE_WATCHING;
}

/* Nor is there a queue. */
bool queue_is_well(const struct queue *queue)
{
	return false;
}

uint64_t queue_messages(const struct queue *queue)
{
	return 0;
}

json_t *queue_describe(const struct queue *queue)
{
	return json_object();
}

static void setup(void)
{
	struct serve_conf conf;

	rig_begin(true);
	proxy.up = true;
	conf = (struct serve_conf){.loop = &rig.loop,
				   .feeds = &rig.feeds,
				   .journal = rig.feeds.journal,
				   .proxy = "/run/admin.sock"};
	serve_desk_init(&desk, &conf);
	feed_start(rig.feed);
}

static void teardown(void)
{
	serve_desk_close(&desk);
	request_free(answered);
	answered = NULL;
	rig_end();
}

/* Routed, read and submitted; `*ret_wait_ms` is how long its answer may take. The caller frees. */
static struct request *submit(bool local, const char *method, const char *url, const char *body,
			      uint64_t *ret_wait_ms)
{
	char path[256], *arguments, *rest;
	struct request *request;

	snprintf(path, sizeof(path), "%s", url);
	arguments = strchr(path, '?');
	if (arguments)
		*arguments++ = '\0';
	request = request_new(method, path);
	request->local = local;
	request->uid = 54321;
	request->pid = 99;
	for (char *one = arguments ? strtok_r(arguments, "&", &rest) : NULL; one;
	     one = strtok_r(NULL, "&", &rest)) {
		char *value = strchr(one, '=');

		*value++ = '\0';
		ck_assert(request_add_argument(request, one, value));
	}
	*ret_wait_ms = 0;
	if (request_route(request, serve_routes, serve_route_count) &&
	    request_parse(request, body, body ? strlen(body) : 0))
		*ret_wait_ms = serve_desk_submit(&desk, request);
	return request;
}

/* The answer to what must have this status at once; the caller releases it. */
static json_t *ask(const char *method, const char *url, const char *body, int status)
{
	uint64_t wait_ms;
	struct request *request = submit(true, method, url, body, &wait_ms);
	json_t *answer = json_incref(request->answer);

	ck_assert_uint_eq(wait_ms, 0);
	ck_assert_msg(request->status == status, "%s %s: %d", method, url, request->status);
	request_free(request);
	return answer;
}

static void ask_only(const char *method, const char *url, const char *body, int status)
{
	json_decref(ask(method, url, body, status));
}

/* A long poll that is put aside, for so many seconds. */
static void wait_for_events(unsigned seconds)
{
	char url[64];
	uint64_t wait_ms;

	snprintf(url, sizeof(url), "/v1/events?after=%llu&wait_s=%u",
		 (unsigned long long)journal_count(rig.feeds.journal), seconds);
	ck_assert_int_eq(submit(true, "GET", url, NULL, &wait_ms)->status, 0);
	ck_assert_uint_ge(wait_ms, seconds * UINT64_C(1000));
}

static size_t answered_events(void)
{
	return json_array_size(json_object_get(answered->answer, "events"));
}

static void not_ready(const char *part)
{
	json_t *answer = ask("GET", "/readyz", NULL, 503);
	const char *reason = json_string_value(json_object_get(answer, "reason"));

	ck_assert_msg(reason && strstr(reason, part), "\"%s\" does not say: %s", reason, part);
	json_decref(answer);
}

/* The source is believed, and the proxy has it. */
static void begin_with(const char *words)
{
	rig_says(words);
	feed_on_pushed(rig.feed, 1, NULL);
}

static void hold_all(void)
{
	begin_with("i-1=10.0.0.1:80 i-2=10.0.0.2:80");
	rig_says("");
	ck_assert_ptr_nonnull(rig.feed->hold.set);
}

/* Whether /metrics has this line. */
static bool measures(const char *line)
{
	uint64_t wait_ms;
	struct request *request = submit(false, "GET", "/metrics", NULL, &wait_ms);
	char *at = strstr(request->text, line);
	bool found = at && (at == request->text || at[-1] == '\n');

	request_free(request);
	return found;
}

START_TEST(every_path_knows_what_it_allows)
{
	for (size_t i = 0; i < serve_route_count; i++) {
		uint64_t wait_ms;
		struct request *request =
			submit(true, "BREW", serve_routes[i].pattern, NULL, &wait_ms);

		ck_assert_int_eq(request->status, 405);
		ck_assert_msg(request->allow != NULL, "%s", serve_routes[i].pattern);
		request_free(request);
	}
}
END_TEST

START_TEST(a_peer_by_tcp_decides_nothing)
{
	static const char *const verbs[] = {FEED "/approve", FEED "/reject", FEED "/refresh"};
	uint64_t wait_ms;

	hold_all();
	for (size_t i = 0; i < COUNT(verbs); i++) {
		struct request *request = submit(false, "POST", verbs[i], NULL, &wait_ms);

		ck_assert_int_eq(request->status, 403);
		request_free(request);
	}
	ck_assert_ptr_nonnull(rig.feed->hold.set);
}
END_TEST

START_TEST(what_is_not_configured_is_404)
{
	ask_only("GET", "/v1/discovery/api/other", NULL, 404);
	ask_only("GET", "/v1/discovery/other/fake", NULL, 404);
	ask_only("POST", "/v1/discovery/api/other/approve", NULL, 404);
	ask_only("GET", "/v1/discovery/api", NULL, 404);
}
END_TEST

START_TEST(it_is_ready_once_the_proxy_has_what_the_source_said)
{
	not_ready("no targets yet");
	rig_says("i-1=10.0.0.1:80");
	not_ready("does not have");
	feed_on_pushed(rig.feed, 1, NULL);
	ask_only("GET", "/readyz", NULL, 200);
}
END_TEST

START_TEST(it_is_not_ready_while_the_proxy_is_away_or_refuses)
{
	begin_with("i-1=10.0.0.1:80");
	proxy.up = false;
	not_ready("the proxy is away");
	proxy.up = true;
	feed_on_pushed(rig.feed, 2, "no such pool");
	not_ready("no such pool");
}
END_TEST

START_TEST(what_only_the_proxy_remembers_is_not_ready)
{
	rig.feed->met_proxy = false; /* as if it came only now */
	proxy.has = set_of("i-1=10.0.0.1:80");
	feed_on_proxy(rig.feed);
	ck_assert_int_eq(rig.feed->origin, FEED_PROXY);
	not_ready("no targets yet");
}
END_TEST

START_TEST(the_loop_that_answers_is_healthy)
{
	proxy.up = false;
	ask_only("GET", "/healthz", NULL, 200);
}
END_TEST

START_TEST(only_what_was_looked_at_is_approved)
{
	char body[64];

	hold_all();
	ask_only("POST", FEED "/approve", "{\"digest\": \"00\"}", 409);
	in_force("i-1=10.0.0.1:80 i-2=10.0.0.2:80");
	snprintf(body, sizeof(body), "{\"digest\": \"%s\"}", rig.feed->hold.digest);
	ask_only("POST", FEED "/approve", body, 200);
	in_force("");
	ask_only("POST", FEED "/approve", NULL, 404);
}
END_TEST

START_TEST(without_a_digest_whatever_is_held_is_approved)
{
	hold_all();
	ask_only("POST", FEED "/approve", "{\"digest\": null}", 200);
	in_force("");
}
END_TEST

START_TEST(a_body_says_nothing_else)
{
	hold_all();
	ask_only("POST", FEED "/approve", "{\"digest\": 7}", 400);
	ask_only("POST", FEED "/approve", "{\"digset\": \"00\"}", 400);
	ask_only("POST", FEED "/approve", "[]", 400);
	ask_only("POST", FEED "/reject", "{\"digest\": null}", 400);
	ask_only("POST", FEED "/refresh", "{\"now\": true}", 400);
	ck_assert_ptr_nonnull(rig.feed->hold.set);
}
END_TEST

START_TEST(every_decision_is_audited_and_no_look_is)
{
	hold_all();
	ask_only("GET", FEED, NULL, 200);
	ck_assert_uint_eq(events_of("audit", NULL), 0);
	ask_only("POST", FEED "/approve", "{\"digest\": \"00\"}", 409);
	ck_assert_uint_eq(events_of("audit", "uid 54321, pid 99: POST " FEED "/approve: 409"), 1);
	ask_only("POST", FEED "/reject", "{}", 200);
	ck_assert_uint_eq(events_of("audit", "POST " FEED "/reject: 200"), 1);
	ck_assert_uint_eq(events_of("released", "uid 54321"), 1);
	ask_only("POST", FEED "/refresh", NULL, 200);
	ck_assert_uint_eq(events_of("audit", NULL), 3);
}
END_TEST

START_TEST(a_refresh_asks_at_once)
{
	begin_with("i-1=10.0.0.1:80");
	ask_only("POST", FEED "/refresh", NULL, 200);
	ck_assert_uint_lt(rig_wait(), 100);
}
END_TEST

START_TEST(a_long_poll_ends_with_the_first_event)
{
	wait_for_events(30);
	loop_turn(&rig.loop);
	ck_assert_ptr_null(answered);
	rig_says("i-1=10.0.0.1:80");
	loop_turn(&rig.loop);
	ck_assert_ptr_nonnull(answered);
	ck_assert_int_eq(answered->status, 200);
	ck_assert_uint_gt(answered_events(), 0);
}
END_TEST

START_TEST(a_long_poll_without_an_event_ends_when_it_said)
{
	uint64_t from_us;

	begin_with("i-1=10.0.0.1:80");
	rig.feed->interval_ms = 3600 * 1000;
	rig_says("i-1=10.0.0.1:80");
	from_us = sim_us;
	wait_for_events(5);
	while (!answered)
		loop_turn(&rig.loop);
	ck_assert_uint_eq(answered_events(), 0);
	ck_assert_uint_ge(sim_us - from_us, 5 * US_PER_SEC);
	ck_assert_uint_lt(sim_us - from_us, 6 * US_PER_SEC);
}
END_TEST

START_TEST(of_several_long_polls_each_has_its_own_end)
{
	begin_with("i-1=10.0.0.1:80");
	rig.feed->interval_ms = 3600 * 1000;
	rig_says("i-1=10.0.0.1:80");
	wait_for_events(20);
	wait_for_events(2);
	while (!answered)
		loop_turn(&rig.loop);
	ck_assert(!list_empty(&desk.polls));
	journal_note(rig.feeds.journal, LOG_INFO, "test", NULL, NULL, NULL, "now");
	loop_turn(&rig.loop);
	ck_assert(list_empty(&desk.polls));
	ck_assert_uint_eq(answered_events(), 1);
}
END_TEST

START_TEST(at_the_end_nobody_waits)
{
	uint64_t wait_ms;
	struct request *late;

	wait_for_events(30);
	serve_desk_close(&desk);
	ck_assert_int_eq(answered->status, 503);
	late = submit(true, "GET", "/v1/events?after=99&wait_s=9", NULL, &wait_ms);
	ck_assert_int_eq(late->status, 503);
	ck_assert_uint_eq(wait_ms, 0);
	request_free(late);
	journal_note(rig.feeds.journal, LOG_INFO, "test", NULL, NULL, NULL, "nobody is told");
}
END_TEST

START_TEST(figures_tell_of_each_source)
{
#define LABELS "{pool=\"api\",source=\"fake\",kind=\"fake\""
	ck_assert(!measures("sluice_control_source_age_seconds" LABELS));
	ck_assert(measures("sluice_control_source_origin" LABELS ",origin=\"nothing\"} 1\n"));
	ck_assert(measures("sluice_control_ready 0\n"));
	hold_all();
	ck_assert(measures("sluice_control_source_held" LABELS "} 1\n"));
	ck_assert(measures("sluice_control_source_holds_total" LABELS "} 1\n"));
	ck_assert(measures("sluice_control_source_targets" LABELS "} 2\n"));
	ck_assert(measures("sluice_control_source_generation" LABELS "} 1\n"));
	ck_assert(measures("sluice_control_source_pushed" LABELS "} 1\n"));
	ck_assert(measures("sluice_control_source_interval_seconds" LABELS "} 10\n"));
	ck_assert(measures("sluice_control_source_age_seconds" LABELS "} 0\n"));
	sim_us += 90 * US_PER_SEC;
	ck_assert(measures("sluice_control_source_age_seconds" LABELS "} 90\n"));
	ck_assert(measures("sluice_control_ready 1\n"));
	proxy.up = false;
	ck_assert(measures("sluice_control_proxy_up 0\n"));
	ck_assert(!measures("sluice_control_credentials_expiry_timestamp_seconds{"));
}
END_TEST

START_TEST(the_daemon_describes_itself_and_its_proxy)
{
	json_t *answer = ask("GET", "/v1/discovery", NULL, 200);
	json_t *link = json_object_get(answer, "proxy");

	ck_assert_int_eq(json_integer_value(json_object_get(link, "pid")), 7);
	ck_assert(json_is_true(json_object_get(link, "up")));
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "feeds")), 1);
	ck_assert(json_is_null(json_object_get(answer, "credentials")));
	ck_assert(json_is_false(json_object_get(answer, "ready")));
	json_decref(answer);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_path_knows_what_it_allows,
		a_peer_by_tcp_decides_nothing,
		what_is_not_configured_is_404,
		it_is_ready_once_the_proxy_has_what_the_source_said,
		it_is_not_ready_while_the_proxy_is_away_or_refuses,
		what_only_the_proxy_remembers_is_not_ready,
		the_loop_that_answers_is_healthy,
		only_what_was_looked_at_is_approved,
		without_a_digest_whatever_is_held_is_approved,
		a_body_says_nothing_else,
		every_decision_is_audited_and_no_look_is,
		a_refresh_asks_at_once,
		a_long_poll_ends_with_the_first_event,
		a_long_poll_without_an_event_ends_when_it_said,
		of_several_long_polls_each_has_its_own_end,
		at_the_end_nobody_waits,
		figures_tell_of_each_source,
		the_daemon_describes_itself_and_its_proxy,
	};

	return run_tests_in("control_serve", tests, COUNT(tests), setup, teardown);
}
