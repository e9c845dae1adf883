/* SPDX-License-Identifier: Apache-2.0
 *
 * The demo backends' reading of requests: whole, partial and wrong ones.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/demo/http.h"

static struct http_request parse(const char *text)
{
	struct http_request request = {0};
	size_t len = strlen(text);
	char *copy = malloc(len); /* without a NUL, for AddressSanitizer to guard */

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	ck_assert_msg(http_parse(copy, len, &request), "%s", text);
	free(copy);
	return request;
}

START_TEST(plain_get_is_answered_and_kept_alive)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: a: b\r\n\r\nGET";
	struct http_request request = parse(text);

	ck_assert_int_eq(request.status, 200);
	ck_assert_uint_eq(request.length, strlen(text) - 3);
	ck_assert(request.keep_alive && !request.is_bulk && !request.wants_head);
}
END_TEST

START_TEST(head_is_incomplete_until_its_empty_line)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request request;

	for (size_t len = 0; len < strlen(text); len++)
		ck_assert_msg(!http_parse(text, len, &request), "%zu bytes", len);
	ck_assert(http_parse(text, strlen(text), &request));
}
END_TEST

START_TEST(bulk_path_says_how_many_bytes)
{
	struct http_request request = parse("GET /bytes/1000000 HTTP/1.1\n\n");

	ck_assert_int_eq(request.status, 200);
	ck_assert(request.is_bulk);
	ck_assert_uint_eq(request.bytes, 1000000);
	ck_assert_int_eq(parse("GET /bytes/ HTTP/1.1\r\n\r\n").status, 404);
	ck_assert_int_eq(parse("GET /bytes/-1 HTTP/1.1\r\n\r\n").status, 404);
	ck_assert_int_eq(parse("GET /bytes/12x HTTP/1.1\r\n\r\n").status, 404);
	ck_assert_int_eq(parse("GET /bytes/99999999999999999999 HTTP/1.1\r\n\r\n").status, 404);
}
END_TEST

START_TEST(connection_field_and_version_decide_on_keeping_alive)
{
	ck_assert(!parse("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").keep_alive);
	ck_assert(!parse("GET / HTTP/1.1\r\ncOnnection:close  \r\n\r\n").keep_alive);
	ck_assert(!parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
	ck_assert(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}
END_TEST

START_TEST(request_body_is_measured_for_skipping)
{
	ck_assert_uint_eq(parse("GET / HTTP/1.1\r\nContent-Length: 42\r\n\r\n").body_length, 42);
	ck_assert_int_eq(parse("GET / HTTP/1.1\r\nContent-Length: 4 2\r\n\r\n").status, 400);
	ck_assert_int_eq(parse("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n").status, 400);
	struct http_request chunked =
		parse("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");

	ck_assert_int_eq(chunked.status, 411);
	ck_assert(!chunked.keep_alive);
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
	static const struct {
		const char *text;
		int status;
	} wrong[] = {
		{"\r\n\r\n", 400},
		{"hello\r\n\r\n", 400},
		{"GET /\r\n\r\n", 400},
		{"GET / HTTP/2\r\n\r\n", 400},
		{"GET  / HTTP/1.1\r\n\r\n", 400},
		{"\x16\x03\x01\x02\n\n", 400},
		{"POST / HTTP/1.1\r\n\r\n", 405},
		{"GET /else HTTP/1.1\r\n\r\n", 404},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct http_request request = parse(wrong[i].text);

		ck_assert_msg(request.status == wrong[i].status, "%d for %s", request.status,
			      wrong[i].text);
		ck_assert(request.status != 400 || !request.keep_alive);
	}
}
END_TEST

START_TEST(garbage_that_asks_to_be_kept_alive_is_not)
{
	ck_assert(!parse("nonsense\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}
END_TEST

START_TEST(answer_head_has_length_and_ends_in_an_empty_line)
{
	struct http_request request = {.status = 200, .keep_alive = true};
	char head[256];
	int len = http_answer_head(&request, 57, head, sizeof(head));

	ck_assert_str_eq(head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			       "Content-Length: 57\r\n\r\n");
	ck_assert_int_eq(len, strlen(head));
	request = (struct http_request){.status = 405, .is_bulk = true};
	len = http_answer_head(&request, UINT64_MAX, head, sizeof(head));
	ck_assert_int_lt(len, sizeof(head));
	ck_assert(strstr(head, "\r\nConnection: close\r\n"));
	ck_assert(strstr(head, "\r\nAllow: GET, HEAD\r\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("demo_http");
	TCase *cases = tcase_create("demo_http");
	SRunner *runner;
	int failed;

	tcase_add_test(cases, plain_get_is_answered_and_kept_alive);
	tcase_add_test(cases, head_is_incomplete_until_its_empty_line);
	tcase_add_test(cases, bulk_path_says_how_many_bytes);
	tcase_add_test(cases, connection_field_and_version_decide_on_keeping_alive);
	tcase_add_test(cases, request_body_is_measured_for_skipping);
	tcase_add_test(cases, what_is_no_request_is_refused);
	tcase_add_test(cases, garbage_that_asks_to_be_kept_alive_is_not);
	tcase_add_test(cases, answer_head_has_length_and_ends_in_an_empty_line);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
