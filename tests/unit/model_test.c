/* SPDX-License-Identifier: Apache-2.0
 *
 * Which listener of a configuration a bound address belongs to.
 */
#include "proxy/model.h"
#include "tests/unit/core_rig.h"

static struct listener_conf listeners[5];
static struct config config = {.listeners = listeners, .listener_count = COUNT(listeners)};

static void open_config(void)
{
	static const char *const binds[] = {"127.0.0.1:80", "127.0.0.1:8000", "[::]:80",
					    "unix:/run/a.sock", "0.0.0.0:8000"};

	for (size_t i = 0; i < COUNT(binds); i++) {
		listeners[i].bind = addr_of(binds[i]);
		listeners[i].port_end = listeners[i].bind.port;
	}
	listeners[1].port_end = 8099;
}

static long index_of(const char *text)
{
	struct addr bound = addr_of(text);
	const struct listener_conf *conf = config_listener_of(&config, &bound);

	return conf ? conf - listeners : -1;
}

START_TEST(listener_is_found_by_its_own_address)
{
	open_config();
	ck_assert_int_eq(index_of("127.0.0.1:80"), 0);
	ck_assert_int_eq(index_of("[::]:80"), 2);
	ck_assert_int_eq(index_of("unix:/run/a.sock"), 3);
	ck_assert_int_eq(index_of("0.0.0.0:8000"), 4);
}
END_TEST

START_TEST(every_port_of_a_range_belongs_to_its_listener_and_no_other_does)
{
	open_config();
	ck_assert_int_eq(index_of("127.0.0.1:7999"), -1);
	ck_assert_int_eq(index_of("127.0.0.1:8000"), 1);
	ck_assert_int_eq(index_of("127.0.0.1:8050"), 1);
	ck_assert_int_eq(index_of("127.0.0.1:8099"), 1);
	ck_assert_int_eq(index_of("127.0.0.1:8100"), -1);
}
END_TEST

START_TEST(address_of_no_listener_is_found_nowhere)
{
	open_config();
	ck_assert_int_eq(index_of("127.0.0.2:80"), -1);
	ck_assert_int_eq(index_of("0.0.0.0:80"), -1);
	ck_assert_int_eq(index_of("[::1]:80"), -1);
	ck_assert_int_eq(index_of("unix:/run/b.sock"), -1);
	config.listener_count = 0;
	ck_assert_int_eq(index_of("127.0.0.1:80"), -1);
}
END_TEST

START_TEST(equal_paths_are_equal_wherever_they_are_kept)
{
	char text[] = "unix:/run/a.sock";

	open_config();
	ck_assert_int_eq(index_of(text), 3);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		listener_is_found_by_its_own_address,
		every_port_of_a_range_belongs_to_its_listener_and_no_other_does,
		address_of_no_listener_is_found_nowhere,
		equal_paths_are_equal_wherever_they_are_kept,
	};

	return run_tests("model", tests, COUNT(tests));
}
