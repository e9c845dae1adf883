/* SPDX-License-Identifier: Apache-2.0
 *
 * How a line of an haproxy.cfg falls into words, and what its times and addresses are.
 */
#include <stdlib.h>
#include <string.h>

#include "control/ctl/haproxy/lexer.h"
#include "control/ctl/haproxy/parse.h"
#include "control/ctl/haproxy/quantity.h"
#include "tests/unit/conf_rig.h"

/* The words with a bar between, or "! " and why there are none. Good until the next call. */
static const char *lex(const char *text)
{
	static char joined[512];
	struct hap_arena arena = {0};
	struct hap_line line = {0};
	const char *why;

	joined[0] = '\0';
	if (hap_lex(&arena, text, &line, &why) < 0)
		snprintf(joined, sizeof(joined), "! %s", why);
	else
		for (unsigned i = 0; i < line.count; i++)
			snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
				 i ? "|" : "", line.words[i]);
	hap_arena_fini(&arena);
	return joined;
}

START_TEST(blanks_separate_words_and_a_hash_ends_them)
{
	ck_assert_str_eq(lex(" server\ta  1.2.3.4:80 "), "server|a|1.2.3.4:80");
	ck_assert_str_eq(lex("maxconn 5 # not 6"), "maxconn|5");
	ck_assert_str_eq(lex("maxconn 5#6"), "maxconn|5");
	ck_assert_str_eq(lex("# all of it"), "");
	ck_assert_str_eq(lex(""), "");
}
END_TEST

START_TEST(quotes_keep_blanks_and_hashes)
{
	ck_assert_str_eq(lex("a \"b c\" d"), "a|b c|d");
	ck_assert_str_eq(lex("a 'b # \"c'"), "a|b # \"c");
	ck_assert_str_eq(lex("a\"b\"'c'"), "abc");
	ck_assert_str_eq(lex("a \"\" '' b"), "a|||b");
	ck_assert_str_eq(lex("\"1\"\"00\""), "100");
}
END_TEST

START_TEST(a_backslash_takes_the_meaning_away)
{
	ck_assert_str_eq(lex("a\\ b \\#c \\\\ \\\" \\'"), "a b|#c|\\|\"|'");
	ck_assert_str_eq(lex("\\n\\r\\t\\x41"), "\n\r\tA");
	ck_assert_str_eq(lex("'\\n'"), "\\n");
	ck_assert_str_eq(lex("\"a\\\"b\""), "a\"b");
	ck_assert_str_eq(lex("a\\qb"), "a\\qb");
	ck_assert_str_eq(lex("end\\"), "end\\");
}
END_TEST

START_TEST(variables_stand_in_double_quotes_alone)
{
	setenv("HAP_A", "one two", 1);
	unsetenv("HAP_NONE");
	ck_assert_str_eq(lex("\"$HAP_A\" \"x${HAP_A}y\""), "one two|xone twoy");
	ck_assert_str_eq(lex("$HAP_A '$HAP_A' \"\\$HAP_A\""), "$HAP_A|$HAP_A|$HAP_A");
	ck_assert_str_eq(lex("\"${HAP_NONE-80}\" \"${HAP_A-80}\""), "80|one two");
	ck_assert_str_eq(lex("a \"${HAP_NONE}\" b"), "a||b");
	ck_assert_str_eq(lex("a \"${HAP_A[*]}\" b"), "a|one|two|b");
	ck_assert_str_eq(lex("a \"${HAP_NONE[*]}\" b"), "a|b");
}
END_TEST

START_TEST(a_variable_that_is_not_set_is_named)
{
	struct hap_arena arena = {0};
	struct hap_line line = {0};
	const char *why;

	unsetenv("HAP_NONE");
	ck_assert_int_eq(hap_lex(&arena, "bind \":${HAP_NONE}\"", &line, &why), 0);
	ck_assert_str_eq(line.unset, "HAP_NONE");
	hap_arena_fini(&arena);
}
END_TEST

START_TEST(what_is_not_closed_is_refused)
{
	static const char *const texts[] = {"a \"b",  "a 'b",    "\"${HAP_A\"", "\"$\"",
					    "a \\x4", "a \\xzz", "a \\x00",     "\"${HAP_A?}\""};

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(lex(texts[i])[0] == '!', "%s: %s", texts[i], lex(texts[i]));
}
END_TEST

START_TEST(a_line_has_as_many_words_as_it_has)
{
	char text[4096] = "";
	struct hap_arena arena = {0};
	struct hap_line line = {0};
	const char *why;

	for (unsigned i = 0; i < 1000; i++)
		strcat(text, "w ");
	ck_assert_int_eq(hap_lex(&arena, text, &line, &why), 0);
	ck_assert_uint_eq(line.count, 1000);
	ck_assert_str_eq(hap_word(&line, 999), "w");
	ck_assert_str_eq(hap_word(&line, 1000), "");
	hap_arena_fini(&arena);
}
END_TEST

START_TEST(times_are_milliseconds_unless_they_say_otherwise)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} times[] = {{"0", 0},        {"1500", 1500},   {"5s", 5000},     {"2m", 120000},
		     {"1h", 3600000}, {"1d", 86400000}, {"250ms", 250},   {"1us", 1},
		     {"0us", 0},      {"1500us", 2},    {"00012s", 12000}};
	uint64_t ms;

	for (size_t i = 0; i < COUNT(times); i++) {
		ck_assert_msg(hap_time(times[i].text, 1, &ms) == 0, "%s", times[i].text);
		ck_assert_uint_eq(ms, times[i].ms);
	}
	ck_assert_int_eq(hap_time("7", 1000, &ms), 0);
	ck_assert_uint_eq(ms, 7000);
}
END_TEST

START_TEST(what_is_no_time_leaves_the_value_alone)
{
	static const char *const texts[] = {"",
					    "s",
					    "5 s",
					    "1.5s",
					    "-1",
					    "1w",
					    "5ss",
					    "1ds",
					    "99999999999999999999",
					    "9999999999999999999d"};
	uint64_t ms = 7;

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(hap_time(texts[i], 1, &ms) < 0, "%s", texts[i]);
	ck_assert_uint_eq(ms, 7);
	ck_assert_int_lt(hap_number("0x50", &ms), 0);
	ck_assert_int_lt(hap_number("", &ms), 0);
}
END_TEST

START_TEST(addresses_come_apart_at_their_last_colon)
{
	static const struct {
		const char *text, *host, *ports;
		bool is_v6, is_unix;
	} cases[] = {
		{"*:80", "", "80", false, false},
		{":80", "", "80", false, false},
		{":::80", "[::]", "80", true, false},
		{"[::1]:80-89", "[::1]", "80-89", true, false},
		{"2001:db8::6:80", "[2001:db8::6]", "80", true, false},
		{"10.0.0.1", "10.0.0.1", "", false, false},
		{"10.0.0.1:+5", "10.0.0.1", "+5", false, false},
		{"ipv4@a.example:80", "a.example", "80", false, false},
		{"ipv6@:80", "", "80", true, false},
		{"/run/a:b", "/run/a:b", "", false, true},
		{"unix@/run/a", "/run/a", "", false, true},
	};
	struct hap_arena arena = {0};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct hap_address address;
		const char *why;

		ck_assert_msg(hap_address_parse(&arena, cases[i].text, &address, &why) == 0, "%s",
			      cases[i].text);
		ck_assert_str_eq(address.host, cases[i].host);
		ck_assert_str_eq(address.ports, cases[i].ports);
		ck_assert_msg(address.is_v6 == cases[i].is_v6, "%s", cases[i].text);
		ck_assert_msg(address.is_unix == cases[i].is_unix, "%s", cases[i].text);
	}
	hap_arena_fini(&arena);
}
END_TEST

START_TEST(families_of_haproxy_alone_are_refused)
{
	static const char *const texts[] = {"abns@x", "fd@3", "sockpair@4", "quic4@:443"};
	struct hap_arena arena = {0};
	struct hap_address address;
	const char *why;

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_int_lt(hap_address_parse(&arena, texts[i], &address, &why), 0);
	hap_arena_fini(&arena);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		blanks_separate_words_and_a_hash_ends_them,
		quotes_keep_blanks_and_hashes,
		a_backslash_takes_the_meaning_away,
		variables_stand_in_double_quotes_alone,
		a_variable_that_is_not_set_is_named,
		what_is_not_closed_is_refused,
		a_line_has_as_many_words_as_it_has,
		times_are_milliseconds_unless_they_say_otherwise,
		what_is_no_time_leaves_the_value_alone,
		addresses_come_apart_at_their_last_colon,
		families_of_haproxy_alone_are_refused,
	};

	return run_tests("ctl_haproxy_lexer", tests, COUNT(tests));
}
