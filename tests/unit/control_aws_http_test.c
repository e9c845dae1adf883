/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests over HTTP against a server with a script: what is sent, what is told, and that every
 * fault of the other side is told as what it is.
 */
#include "tests/unit/http_rig.h"

struct end {
	unsigned count;
	enum aws_error_kind err;
	long status;
	char body[256];
	size_t size;
	char problem[512];
	char type[64];
	uint64_t date_s;
	struct http_call *to_cancel; /* by on_end(), if any */
	struct http *http;           /* to start another one of `next` with */
	const struct http_request *next;
};

static struct rig rig;
static struct http *http;

static void on_end(void *context, const struct http_answer *answer)
{
	struct end *end = context;
	const char *type = answer->err ? NULL : http_header(answer, "content-type");

	end->count++;
	end->err = answer->err;
	end->status = answer->status;
	end->size = answer->size;
	end->date_s = answer->date_s;
	snprintf(end->body, sizeof(end->body), "%s", answer->body);
	snprintf(end->problem, sizeof(end->problem), "%s", answer->problem ? answer->problem : "");
	snprintf(end->type, sizeof(end->type), "%s", type ? type : "");
	ck_assert_int_eq(answer->err == AWS_OK, !answer->problem);
	http_cancel(answer->call); /* harmless */
	http_cancel(end->to_cancel);
	if (end->next)
		ck_assert_ptr_nonnull(http_start(end->http, end->next));
}

static void set_up_with(const struct rig_reply *replies, size_t count, const char *host,
			const struct http_conf *conf)
{
	rig_init(&rig, host, replies, count);
	ck_assert_int_eq(http_new(&rig.loop, conf, &http), 0);
}

#define SET_UP(replies)                                                                            \
	set_up_with(replies, COUNT(replies), "127.0.0.1:0",                                        \
		    &(struct http_conf){.concurrency = 4, .user_agent = "sluice-test/1"})

static void tear_down(void)
{
	http_free(http);
	rig_fini(&rig);
}

static struct http_request get(struct end *end)
{
	*end = (struct end){.count = 0};
	return (struct http_request){
		.method = "GET", .url = rig.url, .on_end = on_end, .context = end};
}

static struct http_call *start(const struct http_request *request)
{
	struct http_call *call = http_start(http, request);

	ck_assert_ptr_nonnull(call);
	return call;
}

static void wait_end(const struct end *end, unsigned count)
{
	while (end->count < count)
		loop_turn(&rig.loop);
	ck_assert_uint_eq(end->count, count);
}

static struct end fetch(const struct http_request *request)
{
	struct http_request copy = *request;
	struct end end = {.count = 0};

	copy.on_end = on_end;
	copy.context = &end;
	start(&copy);
	ck_assert_uint_eq(end.count, 0);
	wait_end(&end, 1);
	return end;
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

START_TEST(answer_comes_whole_with_its_status_headers_and_date)
{
	static const struct rig_reply replies[] = {
		REPLY("HTTP/1.1 403 Forbidden\r\nDate: Thu, 01 Jan 1970 00:16:40 GMT\r\n"
		      "Content-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
		      RIG_KEEP),
	};
	struct end end;

	SET_UP(replies);
	end = fetch(&(struct http_request){.method = "GET", .url = rig.url});
	ck_assert_int_eq(end.err, AWS_OK);
	ck_assert_int_eq(end.status, 403);
	ck_assert_str_eq(end.body, "abcde");
	ck_assert_uint_eq(end.size, 5);
	ck_assert_str_eq(end.type, "text/xml");
	ck_assert_uint_eq(end.date_s, 1000);
	tear_down();
}
END_TEST

START_TEST(request_is_sent_with_its_method_headers_and_body_and_nothing_of_libcurls)
{
	static const struct rig_reply replies[] = {REPLY(OK, RIG_KEEP), REPLY(OK, RIG_KEEP),
						   REPLY(OK, RIG_KEEP)};
	static const char *const headers[] = {"X-One: 1", "Content-Type: a/b", NULL};
	char expected[1024];

	SET_UP(replies);
	fetch(&(struct http_request){"POST", rig.url, headers, "b\0dy", 4, .max_bytes = 2,
				     .timeout_ms = 20000});
	snprintf(expected, sizeof(expected),
		 "POST / HTTP/1.1\r\nHost: %s\r\nUser-Agent: sluice-test/1\r\nAccept: */*\r\n"
		 "X-One: 1\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nb",
		 rig.url + strlen("http://"));
	ck_assert_str_eq(rig.requests[0], expected);
	fetch(&(struct http_request){.method = "PUT", .url = rig.url});
	ck_assert_ptr_nonnull(strstr(rig.requests[1], "PUT / HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(strstr(rig.requests[1], "Content-Length: 0\r\n"));
	ck_assert_ptr_null(strcasestr(rig.requests[1], "Content-Type"));
	fetch(&(struct http_request){.method = "DELETE", .url = rig.url});
	ck_assert_ptr_nonnull(strstr(rig.requests[2], "DELETE / HTTP/1.1\r\n"));
	tear_down();
}
END_TEST

START_TEST(connection_is_kept_for_the_next_request)
{
	static const struct rig_reply replies[] = {REPLY(OK, RIG_KEEP), REPLY(OK, RIG_KEEP),
						   REPLY(OK, RIG_KEEP)};

	SET_UP(replies);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(
			fetch(&(struct http_request){.method = "GET", .url = rig.url}).body, "hi");
	ck_assert_uint_eq(rig.accepted, 1);
	tear_down();
}
END_TEST

/* The server hangs up between two requests, as load balancers do with idle connections. */
START_TEST(kept_connection_that_was_closed_costs_nothing)
{
	static const struct rig_reply replies[] = {REPLY(OK, RIG_CLOSE), REPLY(OK, RIG_KEEP)};

	SET_UP(replies);
	for (int i = 0; i < 2; i++)
		ck_assert_str_eq(
			fetch(&(struct http_request){.method = "GET", .url = rig.url}).body, "hi");
	ck_assert_uint_eq(rig.accepted, 2);
	tear_down();
}
END_TEST

static void expect_fault(const struct rig_reply *reply, const struct http_request *request,
			 enum aws_error_kind kind, const char *words)
{
	struct http_request asked = *request;
	struct end end;

	set_up_with(reply, 1, "127.0.0.1:0", &(struct http_conf){.concurrency = 1});
	asked.method = "GET";
	asked.url = rig.url;
	end = fetch(&asked);
	ck_assert_int_eq(end.err, kind);
	ck_assert_msg(strstr(end.problem, words), "%s", end.problem);
	ck_assert_uint_eq(end.size, 0);
	tear_down();
}

START_TEST(faults_of_the_other_side_are_told_as_what_they_are)
{
	const struct http_request plain = {.timeout_ms = 20000};
	const struct http_request hasty = {.timeout_ms = 50};

	expect_fault(&(struct rig_reply)REPLY("", RIG_RESET), &plain, AWS_UNREACHABLE, "reset");
	expect_fault(&(struct rig_reply)REPLY("", RIG_CLOSE), &plain, AWS_UNREACHABLE,
		     "Empty reply");
	expect_fault(&(struct rig_reply)REPLY("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
					      RIG_CLOSE),
		     &plain, AWS_UNREACHABLE, "6 bytes remaining");
	expect_fault(&(struct rig_reply)REPLY(
			     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n"
			     "abc",
			     RIG_CLOSE),
		     &plain, AWS_UNREACHABLE, "");
	expect_fault(&(struct rig_reply)REPLY("<html>what?</html>", RIG_CLOSE), &plain, AWS_GARBAGE,
		     "HTTP/0.9");
	expect_fault(&(struct rig_reply)REPLY("", RIG_STALL), &hasty, AWS_TIMEOUT, "timed out");
	expect_fault(&(struct rig_reply)REPLY("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
					      RIG_STALL),
		     &hasty, AWS_TIMEOUT, "timed out");
}
END_TEST

START_TEST(answer_longer_than_asked_for_fails)
{
	const struct http_request small = {.max_bytes = 4};

	expect_fault(&(struct rig_reply)REPLY("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
					      RIG_KEEP),
		     &small, AWS_GARBAGE, "longer");
	expect_fault(&(struct rig_reply)REPLY("HTTP/1.1 200 OK\r\n\r\n12345", RIG_STALL), &small,
		     AWS_GARBAGE, "longer");
}
END_TEST

START_TEST(endless_headers_fail)
{
	static char bytes[128 << 10];
	size_t size = (size_t)sprintf(bytes, "HTTP/1.1 200 OK\r\n");

	while (size < sizeof(bytes) - 32)
		size += (size_t)sprintf(bytes + size, "X-More: and more\r\n");
	expect_fault(&(struct rig_reply){bytes, RIG_STALL, size, NULL},
		     &(struct http_request){.max_bytes = 0}, AWS_GARBAGE, "longer");
}
END_TEST

START_TEST(huge_answer_within_its_limit_arrives_whole)
{
	static char bytes[(4 << 20) + 64];
	static const struct rig_reply replies[] = {{bytes, RIG_KEEP, sizeof(bytes), NULL}};
	size_t head = (size_t)sprintf(bytes, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
				      sizeof(bytes) - 44);
	struct end end;

	ck_assert_uint_eq(head, 44);
	memset(bytes + head, 'x', sizeof(bytes) - head);
	SET_UP(replies);
	end = fetch(&(struct http_request){.method = "GET", .url = rig.url});
	ck_assert_int_eq(end.err, AWS_OK);
	ck_assert_uint_eq(end.size, sizeof(bytes) - head);
	tear_down();
}
END_TEST

START_TEST(nobody_listening_is_unreachable)
{
	struct end end;

	set_up_with(NULL, 0, "127.0.0.1:0", &(struct http_conf){0});
	loop_remove(&rig.loop, &rig.listener);
	close(rig.listener.fd);
	end = fetch(&(struct http_request){.method = "GET", .url = rig.url});
	ck_assert_int_eq(end.err, AWS_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(end.problem, "Connection refused"));
	end = fetch(&(struct http_request){.method = "GET", .url = "http://name.invalid/"});
	ck_assert_int_eq(end.err, AWS_UNREACHABLE);
	end = fetch(&(struct http_request){.method = "GET", .url = "http://a b/"});
	ck_assert_int_eq(end.err, AWS_REFUSED);
	end = fetch(&(struct http_request){.method = "GET", .url = "file:///etc/passwd"});
	ck_assert_int_ne(end.err, AWS_OK);
	rig.listener.fd = -1;
	tear_down();
}
END_TEST

START_TEST(only_so_many_run_at_once_and_direct_ones_do_not_wait)
{
	static const struct rig_reply replies[] = {REPLY("", RIG_STALL), REPLY("", RIG_STALL),
						   REPLY(OK, RIG_KEEP), REPLY(OK, RIG_KEEP)};
	struct end stuck[2], waiting, direct;
	struct http_call *calls[2];
	struct http_request request;

	set_up_with(replies, COUNT(replies), "127.0.0.1:0", &(struct http_conf){.concurrency = 2});
	for (int i = 0; i < 2; i++) {
		request = get(&stuck[i]);
		request.timeout_ms = 20000;
		calls[i] = start(&request);
	}
	request = get(&waiting);
	start(&request);
	while (rig.requested < 2)
		loop_turn(&rig.loop);
	request = get(&direct);
	request.direct = true;
	start(&request);
	wait_end(&direct, 1);
	ck_assert_uint_eq(waiting.count, 0);
	http_cancel(calls[1]);
	wait_end(&waiting, 1);
	ck_assert_int_eq(waiting.status, 200);
	ck_assert_uint_eq(stuck[0].count + stuck[1].count, 0);
	ck_assert_uint_le(rig.open_most, 3);
	tear_down(); /* with one that still runs */
	ck_assert_uint_eq(stuck[0].count, 0);
}
END_TEST

START_TEST(request_may_be_cancelled_and_started_from_the_end_of_another)
{
	static const struct rig_reply replies[] = {REPLY(OK, RIG_KEEP), REPLY(OK, RIG_KEEP)};
	struct end running, waiting, next;
	struct http_request first, second, third;

	set_up_with(replies, COUNT(replies), "127.0.0.1:0", &(struct http_conf){.concurrency = 1});
	first = get(&running);
	second = get(&waiting);
	third = get(&next);
	start(&first);
	running.to_cancel = start(&second);
	running.http = http;
	running.next = &third;
	wait_end(&next, 1);
	ck_assert_uint_eq(running.count, 1);
	ck_assert_uint_eq(waiting.count, 0);
	ck_assert_uint_eq(rig.requested, 2);
	tear_down();
}
END_TEST

START_TEST(unix_socket_is_spoken_to_without_a_proxy)
{
	static const struct rig_reply replies[] = {REPLY(OK, RIG_KEEP)};
	char path[] = "/tmp/sluice-http-test-XXXXXX";
	char host[64];
	struct end end;

	ck_assert_ptr_nonnull(mkdtemp(path));
	snprintf(host, sizeof(host), "unix:%s/s", path);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	set_up_with(replies, 1, host, &(struct http_conf){0});
	end = fetch(&(struct http_request){.method = "GET",
					   .url = "http://proxy/v1/status?x=1",
					   .unix_socket = host + strlen("unix:")});
	ck_assert_str_eq(end.body, "hi");
	ck_assert_ptr_nonnull(
		strstr(rig.requests[0], "GET /v1/status?x=1 HTTP/1.1\r\nHost: proxy\r\n"));
	unsetenv("http_proxy");
	unlink(host + strlen("unix:"));
	rmdir(path);
	tear_down();
}
END_TEST

START_TEST(proxy_of_the_environment_is_used_but_never_directly)
{
	static const struct rig_reply replies[] = {REPLY(OK, RIG_KEEP), REPLY(OK, RIG_KEEP)};

	SET_UP(replies);
	setenv("http_proxy", rig.url, 1);
	unsetenv("no_proxy");
	fetch(&(struct http_request){.method = "GET", .url = "http://name.invalid/x"});
	ck_assert_ptr_nonnull(strstr(rig.requests[0], "GET http://name.invalid/x HTTP/1.1\r\n"));
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	ck_assert_int_eq(fetch(&(struct http_request){.method = "GET", .url = rig.url}).err,
			 AWS_UNREACHABLE);
	ck_assert_str_eq(
		fetch(&(struct http_request){.method = "GET", .url = rig.url, .direct = true}).body,
		"hi");
	unsetenv("http_proxy");
	tear_down();
}
END_TEST

START_TEST(redirect_is_an_answer_and_is_not_followed)
{
	static const struct rig_reply replies[] = {
		REPLY("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
		      RIG_KEEP)};

	SET_UP(replies);
	ck_assert_int_eq(fetch(&(struct http_request){.method = "GET", .url = rig.url}).status,
			 302);
	tear_down();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		answer_comes_whole_with_its_status_headers_and_date,
		request_is_sent_with_its_method_headers_and_body_and_nothing_of_libcurls,
		connection_is_kept_for_the_next_request,
		kept_connection_that_was_closed_costs_nothing,
		faults_of_the_other_side_are_told_as_what_they_are,
		answer_longer_than_asked_for_fails,
		endless_headers_fail,
		huge_answer_within_its_limit_arrives_whole,
		nobody_listening_is_unreachable,
		only_so_many_run_at_once_and_direct_ones_do_not_wait,
		request_may_be_cancelled_and_started_from_the_end_of_another,
		unix_socket_is_spoken_to_without_a_proxy,
		proxy_of_the_environment_is_used_but_never_directly,
		redirect_is_an_answer_and_is_not_followed,
	};

	return run_tests("control_aws_http", tests, COUNT(tests));
}
