/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard's part of a configuration: what the root says for all, what a listener says instead.
 */
#include "proxy/model.h"
#include "tests/unit/conf_rig.h"

#define LISTENERS                                                                                  \
	"listeners:\n"                                                                             \
	"  - {name: a, bind: \":80\", pool: p}\n"                                                  \
	"  - {name: b, bind: \":81\", pool: p, guard: {deny: [], cookies: off}}\n" VALID_POOLS

START_TEST(without_a_guard_there_are_neither_interfaces_nor_limits)
{
	struct config *config = load_valid(VALID);

	ck_assert_uint_eq(config->guard.interface_count, 0);
	ck_assert_uint_eq(config->listeners[0].door.syn_rate, 0);
	ck_assert_int_eq(config->listeners[0].door.cookies, COOKIES_OFF);
	config_free(config);
}
END_TEST

START_TEST(an_interface_may_be_a_name_alone)
{
	struct config *config = load_valid("guard: {interfaces: eth0}\n" VALID);

	ck_assert_uint_eq(config->guard.interface_count, 1);
	ck_assert_str_eq(config->guard.interfaces[0].name, "eth0");
	ck_assert_int_eq(config->guard.interfaces[0].mode, HOOK_AUTO);
	ck_assert(!config->guard.keep);
	config_free(config);
	config = load_valid("guard:\n"
			    "  interfaces: [eth0, {name: eth1, mode: generic}]\n"
			    "  on_crash: keep\n" VALID);
	ck_assert_uint_eq(config->guard.interface_count, 2);
	ck_assert_int_eq(config->guard.interfaces[1].mode, HOOK_GENERIC);
	ck_assert(config->guard.keep);
	config_free(config);
}
END_TEST

START_TEST(a_listener_says_what_holds_instead_of_the_roots_word)
{
	struct config *config = load_valid("guard:\n"
					   "  interfaces: eth0\n"
					   "  allow: 10.1.0.0/16\n"
					   "  deny: [10.0.0.0/8, \"fd00::/8\"]\n"
					   "  syn_rate: 20\n"
					   "  cookies: auto\n"
					   "  dry_run: true\n" LISTENERS);
	const struct door_conf *a = &config->listeners[0].door, *b = &config->listeners[1].door;

	ck_assert_uint_eq(a->allow_count, 1);
	ck_assert_uint_eq(a->deny_count, 2);
	ck_assert_uint_eq(a->deny[1].bits, 8);
	ck_assert_uint_eq(a->syn_rate, 20);
	ck_assert_uint_eq(a->syn_burst, 50);
	ck_assert_uint_eq(a->flood_rate, 1000);
	ck_assert_int_eq(a->cookies, COOKIES_AUTO);
	ck_assert(a->dry_run);
	ck_assert_uint_eq(b->allow_count, 1);
	ck_assert_uint_eq(b->deny_count, 0);
	ck_assert_uint_eq(b->syn_rate, 20);
	ck_assert_int_eq(b->cookies, COOKIES_OFF);
	config_free(config);
}
END_TEST

START_TEST(what_is_shown_is_valid_again)
{
	struct config *config =
		load_valid("guard: {interfaces: eth0, deny: 10.0.0.0/8}\n"
			   "listeners:\n"
			   "  - {name: a, bind: \":80\", pool: p}\n"
			   "  - {name: u, bind: \"unix:/x\", pool: p}\n" VALID_POOLS);
	struct config *again;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_show(config, out);
	fclose(out);
	again = load_valid(text);
	ck_assert_uint_eq(again->listeners[0].door.deny_count, 1);
	ck_assert_ptr_null(strstr(strstr(text, "name: u"), "guard"));
	free(text);
	config_free(again);
	config_free(config);
}
END_TEST

START_TEST(a_guard_needs_interfaces)
{
	expect_error(
		VALID_POOLS "listeners: [{name: a, bind: \":80\", pool: p, guard: {}}]\n",
		"2:45: found \"guard\", which means nothing without a guard of the root, which "
		"has interfaces; expected it to be left out");
	expect_error("guard: {interfaces: eth0}\n" VALID_POOLS
		     "listeners: [{name: a, bind: \"unix:/x\", pool: p, guard: {}}]\n",
		     "3:49: found \"guard\", which means nothing for a Unix socket; expected it to "
		     "be left out");
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		without_a_guard_there_are_neither_interfaces_nor_limits,
		an_interface_may_be_a_name_alone,
		a_listener_says_what_holds_instead_of_the_roots_word,
		what_is_shown_is_valid_again,
		a_guard_needs_interfaces,
	};

	return run_tests("config_guard", tests, COUNT(tests));
}
