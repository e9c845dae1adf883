/* SPDX-License-Identifier: Apache-2.0
 *
 * The check `http`: what is asked, and what is made of answers, whole, torn and hostile.
 */
#include "tests/unit/health_rig.h"

static void judge(const char *answer, enum probe_outcome outcome, const char *text)
{
	struct health_conf conf = health_conf_of(HEALTH_HTTP);

	expect_judged(&http_probe, &conf, answer, strlen(answer), outcome, text);
}

static void expect_request(const struct health_conf *conf, const char *addr, const char *expected)
{
	struct addr to = addr_of(addr);
	size_t size;
	char *request = (char *)http_probe.request(conf, &to, NULL, &size);

	ck_assert_ptr_nonnull(request);
	ck_assert_uint_eq(size, strlen(expected));
	ck_assert_int_eq(memcmp(request, expected, size), 0);
	free(request);
}

#define TAIL "\r\nUser-Agent: sluice-check\r\nAccept: */*\r\nConnection: close\r\n\r\n"

START_TEST(request_names_its_target_unless_a_host_is_given)
{
	struct health_conf conf = health_conf_of(HEALTH_HTTP);

	expect_request(&conf, "127.0.0.1:81", "GET / HTTP/1.1\r\nHost: 127.0.0.1:81" TAIL);
	expect_request(&conf, "[::1]:81", "GET / HTTP/1.1\r\nHost: [::1]:81" TAIL);
	expect_request(&conf, "[fe80::1%1]:81", "GET / HTTP/1.1\r\nHost: [fe80::1]:81" TAIL);
	expect_request(&conf, "unix:/run/x", "GET / HTTP/1.1\r\nHost: localhost" TAIL);
	conf.method = (char *)"HEAD";
	conf.path = (char *)"/up?x=1";
	conf.host = (char *)"a.example";
	expect_request(&conf, "127.0.0.1:81", "HEAD /up?x=1 HTTP/1.1\r\nHost: a.example" TAIL);
}
END_TEST

START_TEST(method_that_has_a_body_says_it_is_empty)
{
	struct health_conf conf = health_conf_of(HEALTH_HTTP);

	conf.method = (char *)"POST";
	conf.host = (char *)"h";
	expect_request(&conf, "127.0.0.1:81",
		       "POST / HTTP/1.1\r\nHost: h\r\nUser-Agent: sluice-check\r\n"
		       "Accept: */*\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}
END_TEST

START_TEST(status_decides_and_both_ends_of_its_range_count)
{
	judge("HTTP/1.1 200 OK\r\n", PROBE_GOOD, "HTTP 200");
	judge("HTTP/1.0 399\r\n", PROBE_GOOD, "HTTP 399");
	judge("HTTP/1.1 400 Bad Request\r\n", PROBE_BAD, "HTTP 400");
	judge("HTTP/1.1 503 \r\n", PROBE_BAD, "HTTP 503");
	judge("HTTP/1.1 999\n", PROBE_BAD, "HTTP 999");
}
END_TEST

START_TEST(status_alone_is_waited_for)
{
	struct health_conf conf = health_conf_of(HEALTH_HTTP);
	char text[PROBE_TEXT];
	size_t used;

	judge("HTTP/1.1 200", PROBE_MORE, "");
	judge("H", PROBE_MORE, "");
	ck_assert_int_eq(judge_in_pieces(&http_probe, &conf, "HTTP/1.1 200 OK\r\n\r\nbody", 23, 1,
					 text, &used),
			 PROBE_GOOD);
	ck_assert_uint_eq(used, strlen("HTTP/1.1 200 "));
}
END_TEST

START_TEST(interim_answers_are_skipped_with_their_headers)
{
	judge("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n", PROBE_GOOD, "HTTP 204");
	judge("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 500 \r\n",
	      PROBE_BAD, "HTTP 500");
	judge("HTTP/1.1 100 Continue\r\nX: HTTP/1.1 200 OK\r\n", PROBE_MORE, "");
	judge("HTTP/1.1 100 Continue\r\n\r\n", PROBE_MORE, "");
	judge("HTTP/1.1 100 Continue\r\n\r\n<html>", PROBE_BAD, "answer is not HTTP");
}
END_TEST

START_TEST(switching_protocols_is_final)
{
	struct health_conf conf = health_conf_of(HEALTH_HTTP);
	const char *answer = "HTTP/1.1 101 Switching Protocols\r\n";

	judge(answer, PROBE_BAD, "HTTP 101");
	conf.status_low = conf.status_high = 101;
	expect_judged(&http_probe, &conf, answer, strlen(answer), PROBE_GOOD, "HTTP 101");
}
END_TEST

START_TEST(what_is_not_http_shows_with_its_first_wrong_byte)
{
	const char *const answers[] = {
		"SSH-2.0-OpenSSH\r\n", "\r\n",           "HTTP/2 200\r\n",  "HTTP/1.1 20 OK\r\n",
		"HTTP/1.1 2000 \r\n",  "HTTP/1.1 099 ",  "HTTP/x.y 200 OK", "http/1.1 200 OK",
		"HTTP/1.1 200x",       "HTTP/1.1  200 ",
	};

	for (size_t i = 0; i < COUNT(answers); i++)
		judge(answers[i], PROBE_BAD, "answer is not HTTP");
	ck_assert_int_eq(
		http_probe.judge(&(struct health_conf){.status_high = 599},
				 &(struct probe_answer){(const uint8_t *)"HTTP/1.1 200", 13, 13},
				 (char[PROBE_TEXT]){0}),
		PROBE_BAD); /* a NUL is no end of a number */
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		request_names_its_target_unless_a_host_is_given,
		method_that_has_a_body_says_it_is_empty,
		status_decides_and_both_ends_of_its_range_count,
		status_alone_is_waited_for,
		interim_answers_are_skipped_with_their_headers,
		switching_protocols_is_final,
		what_is_not_http_shows_with_its_first_wrong_byte,
	};

	return run_tests("health_http", tests, COUNT(tests));
}
