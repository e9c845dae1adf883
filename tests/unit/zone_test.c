/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the own zone, from metadata services played by a thread of this test. What a round costs
 * in time is in the code; no test waits for a second one to end.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/zone.h"
#include "proxy/zone/fetch.h"
#include "proxy/zone/sources.h"
#include "tests/unit/core_rig.h"

/* What the service says to requests that begin like this; the first that fits. */
struct line {
	const char *begins; /* "GET /path" */
	const char *needs;  /* a header that the request must have, or NULL; 401 without */
	int status;         /* 0: no answer at all */
	const char *body;
};

static struct {
	const struct line *script;
	int listener;
	int stop_fd; /* eventfd(2) */
	pthread_t thread;
	_Atomic int requests;
	char first[2048]; /* request */
} service;

static const struct line *find_line(const char *request)
{
	const struct line *line = service.script;

	while (line->begins && strncmp(request, line->begins, strlen(line->begins)) != 0)
		line++;
	return line;
}

static void answer(int fd, const char *request)
{
	const struct line *line = find_line(request);
	char head[160];
	int status = line->begins ? line->status : 404;
	const char *body = line->body ? line->body : "";

	if (line->begins && line->needs && !strstr(request, line->needs))
		status = 401;
	snprintf(head, sizeof(head),
		 "HTTP/1.1 %d Some\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
		 strlen(body));
	if (write(fd, head, strlen(head)) < 0 || write(fd, body, strlen(body)) < 0)
		return;
}

static bool wait_for_fd(int fd)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			       {.fd = service.stop_fd, .events = POLLIN}};

	return poll(fds, 2, PATIENCE_MS) > 0 && !fds[1].revents;
}

static void serve_client(int fd)
{
	char request[sizeof(service.first)];
	size_t len = 0;

	while (len < sizeof(request) - 1 && wait_for_fd(fd)) {
		ssize_t got = read(fd, request + len, sizeof(request) - 1 - len);

		if (got <= 0)
			return;
		len += (size_t)got;
		request[len] = '\0';
		if (!strstr(request, "\r\n\r\n"))
			continue;
		if (!service.requests)
			memcpy(service.first, request, sizeof(request));
		service.requests++;
		if (find_line(request)->begins && !find_line(request)->status)
			wait_for_fd(-1);
		else
			answer(fd, request);
		return;
	}
}

static void *service_main(void *arg)
{
	while (wait_for_fd(service.listener)) {
		int fd = accept4(service.listener, NULL, NULL, SOCK_CLOEXEC);

		serve_client(fd);
		close(fd);
	}
	return NULL;
}

static void service_start(const struct line *script)
{
	char url[64], text[ADDR_TEXT];
	struct addr addr;

	memset(&service, 0, sizeof(service));
	service.script = script;
	service.listener = listen_on("127.0.0.1:0", 16);
	service.stop_fd = eventfd(0, EFD_CLOEXEC);
	addr = local_of(service.listener);
	snprintf(url, sizeof(url), "http://%s", addr_format(&addr, text));
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
	unsetenv("ECS_CONTAINER_METADATA_URI_V4");
	ck_assert_int_eq(pthread_create(&service.thread, NULL, service_main, NULL), 0);
}

static void service_stop(void)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(service.stop_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(service.thread, NULL);
	close(service.listener);
	close(service.stop_fd);
}

#define TOKEN                                                                                      \
	{                                                                                          \
		"PUT /latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: ", 200, "secret==" \
	}
#define PLACE "GET /latest/meta-data/placement/"
#define WITH  "X-aws-ec2-metadata-token: secret==\r\n"

static const struct line whole_imds[] = {
	TOKEN,
	{PLACE "availability-zone-id", WITH, 200, "use1-az1"},
	{PLACE "availability-zone", WITH, 200, "us-east-1a"},
	{0},
};

static char names[ZONE_LIST], problem[ZONE_PROBLEM];

/* One round of asking; whether it brought names. */
static bool ask(void)
{
	struct fetch *fetch;
	bool found;

	names[0] = problem[0] = '\0';
	ck_assert_int_eq(fetch_new(&fetch), 0);
	found = zone_ask(fetch, names, problem);
	fetch_free(fetch);
	return found;
}

START_TEST(imds_gives_id_and_name_for_a_token)
{
	service_start(whole_imds);
	ck_assert(ask());
	ck_assert_str_eq(names, "use1-az1,us-east-1a");
	ck_assert_int_eq(service.requests, 3);
	service_stop();
}
END_TEST

START_TEST(endpoint_may_end_with_a_slash_and_proxies_are_not_used)
{
	char url[80];

	service_start(whole_imds);
	snprintf(url, sizeof(url), "%s/", getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"));
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	ck_assert(ask());
	ck_assert_ptr_eq(strstr(service.first, "PUT /latest/api/token HTTP"), service.first);
	unsetenv("http_proxy");
	service_stop();
}
END_TEST

START_TEST(name_alone_will_do_where_there_is_no_id)
{
	static const struct line script[] = {
		TOKEN,
		{PLACE "availability-zone-id", WITH, 404, "<html>"},
		{PLACE "availability-zone", WITH, 200, "us-east-1a\n"},
		{0},
	};

	service_start(script);
	ck_assert(ask());
	ck_assert_str_eq(names, "us-east-1a");
	service_stop();
}
END_TEST

START_TEST(local_zone_whose_name_and_id_are_long_is_told_whole)
{
	static const struct line script[] = {
		TOKEN,
		{PLACE "availability-zone-id", WITH, 200, "usw2-lax1-az1"},
		{PLACE "availability-zone", WITH, 200, "us-west-2-lax-1a"},
		{0},
	};

	service_start(script);
	ck_assert(ask());
	ck_assert_str_eq(names, "usw2-lax1-az1,us-west-2-lax-1a");
	service_stop();
}
END_TEST

/* `_i`: what a thing that is no IMDS says to everything. */
static const struct line strangers[][3] = {
	{{"", NULL, 403, "forbidden"}, {0}},
	{{"", NULL, 302, "moved"}, {0}},
	{{"", NULL, 200, "<html><body>Welcome</body></html>"}, {0}},
	{{"", NULL, 200, ""}, {0}},
	{TOKEN, {"", NULL, 200, "Us-East-1a"}, {0}},
	{TOKEN, {"", NULL, 200, "a-name-that-is-longer-than-any-zone-has-ever-been"}, {0}},
};

START_TEST(answer_that_is_no_zone_is_none)
{
	service_start(strangers[_i]);
	ck_assert(!ask());
	ck_assert_str_eq(names, "");
	ck_assert_ptr_nonnull(strstr(problem, _i == 0   ? ": HTTP status 403"
					      : _i == 1 ? ": HTTP status 302"
							: ": its answer is no zone"));
	service_stop();
}
END_TEST

START_TEST(token_with_a_line_break_smuggles_no_header)
{
	static const struct line script[] = {
		{"PUT /latest/api/token", NULL, 200, "a\r\nX-Other: b"},
		{"", NULL, 200, "us-east-1a"},
		{0},
	};

	service_start(script);
	ck_assert(!ask());
	ck_assert_int_eq(service.requests, 1);
	service_stop();
}
END_TEST

START_TEST(nobody_there_is_a_problem_with_a_name)
{
	service_start(whole_imds);
	service_stop();
	ck_assert(!ask());
	ck_assert_ptr_nonnull(strstr(problem, "http://127.0.0.1:"));
	ck_assert_ptr_nonnull(strstr(problem, "connect"));
}
END_TEST

START_TEST(ecs_task_tells_the_name_where_imds_does_not_answer)
{
	static const struct line script[] = {
		{"PUT ", NULL, 403, ""},
		{"GET /v4/abc/task ", NULL, 200,
		 "{\"Cluster\": \"c\", \"AvailabilityZone\": \"eu-west-1c\", \"Containers\": []}"},
		{0},
	};
	char uri[80];

	service_start(script);
	snprintf(uri, sizeof(uri), "%s/v4/abc", getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"));
	setenv("ECS_CONTAINER_METADATA_URI_V4", uri, 1);
	ck_assert(ask());
	ck_assert_str_eq(names, "eu-west-1c");
	service_stop();
}
END_TEST

/* `_i`: descriptions of a task without a zone. */
START_TEST(ecs_task_without_a_zone_is_none)
{
	static const char *const bodies[] = {"{}", "[]", "{\"AvailabilityZone\": 7}",
					     "{\"AvailabilityZone\": \"x y\"}", "{"};
	const struct line script[] = {
		{"PUT ", NULL, 403, ""}, {"GET /task ", NULL, 200, bodies[_i]}, {0}};

	service_start(script);
	setenv("ECS_CONTAINER_METADATA_URI_V4", getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"), 1);
	ck_assert(!ask());
	service_stop();
}
END_TEST

START_TEST(answer_without_end_is_cut_off)
{
	char *body = malloc(2 * FETCH_MAX);
	const struct line script[] = {{"PUT ", NULL, 200, body}, {0}};

	memset(body, 'a', 2 * FETCH_MAX - 1);
	body[2 * FETCH_MAX - 1] = '\0';
	signal(SIGPIPE, SIG_IGN);
	service_start(script);
	ck_assert(!ask());
	service_stop();
	free(body);
}
END_TEST

static int wait_for_answer(struct zone_finder *finder, int wake_fd)
{
	struct pollfd wake = {.fd = wake_fd, .events = POLLIN};

	ck_assert_int_eq(
		zone_answer(finder, names, problem) == ZONE_ASKING ? poll(&wake, 1, 60000) : 1, 1);
	return (int)zone_answer(finder, names, problem);
}

START_TEST(finder_wakes_main_with_the_answer)
{
	int wake_fd = eventfd(0, EFD_CLOEXEC);
	struct zone_finder *finder;

	service_start(whole_imds);
	ck_assert_int_eq(zone_start(wake_fd, &finder), 0);
	ck_assert_int_eq(wait_for_answer(finder, wake_fd), ZONE_FOUND);
	ck_assert_str_eq(names, "use1-az1,us-east-1a");
	zone_stop(finder);
	service_stop();
	close(wake_fd);
}
END_TEST

START_TEST(finder_asks_several_times_before_it_gives_up)
{
	static const struct line script[] = {{"PUT ", NULL, 500, ""}, {0}};
	int wake_fd = eventfd(0, EFD_CLOEXEC);
	struct zone_finder *finder;

	service_start(script);
	ck_assert_int_eq(zone_start(wake_fd, &finder), 0);
	ck_assert_int_eq(wait_for_answer(finder, wake_fd), ZONE_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(problem, "HTTP status 500"));
	ck_assert_int_eq(service.requests, 4);
	zone_stop(finder);
	service_stop();
	close(wake_fd);
}
END_TEST

START_TEST(finder_stops_while_an_answer_is_awaited)
{
	static const struct line script[] = {{"", NULL, 0, ""}, {0}};
	int wake_fd = eventfd(0, EFD_CLOEXEC);
	struct zone_finder *finder;

	service_start(script);
	ck_assert_int_eq(zone_start(wake_fd, &finder), 0);
	while (!service.requests)
		sched_yield();
	zone_stop(finder);
	ck_assert_int_eq(service.requests, 1);
	zone_stop(NULL);
	service_stop();
	close(wake_fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("zone");
	TCase *asking = tcase_create("asking");
	TCase *finder = tcase_create("finder");
	SRunner *runner;
	int failed;

	tcase_add_test(asking, imds_gives_id_and_name_for_a_token);
	tcase_add_test(asking, endpoint_may_end_with_a_slash_and_proxies_are_not_used);
	tcase_add_test(asking, name_alone_will_do_where_there_is_no_id);
	tcase_add_test(asking, local_zone_whose_name_and_id_are_long_is_told_whole);
	tcase_add_loop_test(asking, answer_that_is_no_zone_is_none, 0,
			    sizeof(strangers) / sizeof(strangers[0]));
	tcase_add_test(asking, token_with_a_line_break_smuggles_no_header);
	tcase_add_test(asking, nobody_there_is_a_problem_with_a_name);
	tcase_add_test(asking, ecs_task_tells_the_name_where_imds_does_not_answer);
	tcase_add_loop_test(asking, ecs_task_without_a_zone_is_none, 0, 5);
	tcase_add_test(asking, answer_without_end_is_cut_off);
	tcase_add_test(finder, finder_wakes_main_with_the_answer);
	tcase_add_test(finder, finder_asks_several_times_before_it_gives_up);
	tcase_add_test(finder, finder_stops_while_an_answer_is_awaited);
	suite_add_tcase(suite, asking);
	suite_add_tcase(suite, finder);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
