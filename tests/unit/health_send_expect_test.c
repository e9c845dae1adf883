/* SPDX-License-Identifier: Apache-2.0
 *
 * The check `send_expect`: bytes out, bytes looked for.
 */
#include "tests/unit/health_rig.h"

static void judge(const char *expect, size_t expect_size, const char *answer, size_t size,
		  enum probe_outcome outcome)
{
	struct health_conf conf = health_conf_of(HEALTH_SEND_EXPECT);

	conf.expect = (struct bytes_conf){(uint8_t *)(uintptr_t)expect, expect_size};
	expect_judged(&send_expect_probe, &conf, answer, size, outcome,
		      outcome == PROBE_GOOD ? "expected text found" : "");
}

START_TEST(request_is_what_was_given_zeroes_included)
{
	struct health_conf conf = health_conf_of(HEALTH_SEND_EXPECT);
	uint8_t *request;
	size_t size;

	conf.send = (struct bytes_conf){(uint8_t *)(uintptr_t) "a\0b", 3};
	request = send_expect_probe.request(&conf, NULL, NULL, &size);
	ck_assert_uint_eq(size, 3);
	ck_assert_int_eq(memcmp(request, "a\0b", 3), 0);
	free(request);
	conf.send = (struct bytes_conf){0};
	request = send_expect_probe.request(&conf, NULL, NULL, &size);
	ck_assert_ptr_nonnull(request);
	ck_assert_uint_eq(size, 0);
	free(request);
}
END_TEST

START_TEST(expected_bytes_are_found_wherever_they_are)
{
	judge("+PONG", 5, "+PONG\r\n", 7, PROBE_GOOD);
	judge("+PONG", 5, "220 hello\r\n+PONG", 16, PROBE_GOOD);
	judge("+PONG", 5, "+PON+PO+PONG", 12, PROBE_GOOD);
	judge("\0\xff", 2, "\x01\0\xff", 3, PROBE_GOOD);
	judge("x", 1, "aaaax", 5, PROBE_GOOD);
}
END_TEST

START_TEST(what_is_nearly_there_is_not_there)
{
	judge("+PONG", 5, "+PONg +PON", 10, PROBE_MORE);
	judge("+PONG", 5, "+", 1, PROBE_MORE);
}
END_TEST

START_TEST(match_across_any_two_pieces_is_seen)
{
	struct health_conf conf = health_conf_of(HEALTH_SEND_EXPECT);
	char text[PROBE_TEXT];
	const char *answer = "....needle....";

	conf.expect = bytes_of("needle");
	for (size_t piece = 1; piece <= strlen(answer); piece++)
		ck_assert_int_eq(judge_in_pieces(&send_expect_probe, &conf, answer, strlen(answer),
						 piece, text, NULL),
				 PROBE_GOOD);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		request_is_what_was_given_zeroes_included,
		expected_bytes_are_found_wherever_they_are,
		what_is_nearly_there_is_not_there,
		match_across_any_two_pieces_is_seen,
	};

	return run_tests("health_send_expect", tests, COUNT(tests));
}
