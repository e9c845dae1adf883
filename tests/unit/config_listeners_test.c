/* SPDX-License-Identifier: Apache-2.0
 *
 * PROXY headers at listeners, admin addresses, zone and readiness: what they become, the rules
 * between them, and what is warned of.
 */
#include <errno.h>

#include "proxy/model.h"
#include "tests/unit/conf_rig.h"

#define LISTENER(more) "listeners: [{name: a, pool: p, " more "}]\n" VALID_POOLS
#define TCP(more)      LISTENER("bind: \":80\", " more)

static void expect_addr(const struct addr *addr, const char *expected)
{
	char buf[ADDR_TEXT];

	ck_assert_str_eq(addr_format(addr, buf), expected);
}

/* The only warning that `yaml` gets, without the file's name; NULL for none. */
static void expect_warning(const char *yaml, const char *expected)
{
	struct conf_errors errors = {0};
	struct config *config = NULL;
	int err = load_text(yaml, &errors, &config);

	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	ck_assert_uint_eq(errors.warnings.count, expected != NULL);
	if (expected) {
		const char *text = errors.warnings.kept[0].text;

		ck_assert_str_eq(strchr(text, ':') + 1, expected);
	}
	conf_errors_fini(&errors);
	config_free(config);
}

START_TEST(headers_and_administration_are_off_by_default)
{
	struct config *config = load_valid(VALID);
	const struct listener_conf *listener = &config->listeners[0];

	ck_assert_int_eq(listener->proxy_protocol, PROXY_ACCEPT_OFF);
	ck_assert_uint_eq(listener->proxy_timeout_ms, 200);
	ck_assert_uint_eq(listener->header_timeout_ms, 5000);
	ck_assert_uint_eq(config->admin.socket.family, 0);
	ck_assert_uint_eq(config->admin.http.family, 0);
	ck_assert_uint_eq(config->admin.probe.family, 0);
	ck_assert_uint_eq(config->admin.mode, 0660);
	ck_assert_ptr_null(config->state_directory);
	ck_assert_str_eq(config->zone, "off");
	ck_assert_uint_eq(config->start_wait_ms, 60000);
	ck_assert_int_eq(config->readiness, READINESS_LISTENERS);
	config_free(config);
}
END_TEST

START_TEST(every_part_of_the_root_becomes_a_struct)
{
	struct config *config = load_valid("state_directory: /s\nzone: auto\nstart_wait: 0\n"
					   "readiness: pools\nadmin: {socket: /a, mode: 0600, "
					   "http: \"127.0.0.1:1\", probe: \":2\"}\n" VALID);

	ck_assert_str_eq(config->state_directory, "/s");
	ck_assert_str_eq(config->zone, "auto");
	ck_assert_uint_eq(config->start_wait_ms, 0);
	ck_assert_int_eq(config->readiness, READINESS_POOLS);
	expect_addr(&config->admin.socket, "unix:/a");
	ck_assert_uint_eq(config->admin.mode, 0600);
	expect_addr(&config->admin.http, "127.0.0.1:1");
	expect_addr(&config->admin.probe, "[::]:2");
	config_free(config);
}
END_TEST

START_TEST(a_socket_may_be_written_like_an_address)
{
	struct config *config = load_valid("admin: {socket: \"unix:/run/x\"}\n" VALID);

	expect_addr(&config->admin.socket, "unix:/run/x");
	config_free(config);
}
END_TEST

START_TEST(trusted_peers_alone_may_send_headers)
{
	static const char *const modes[PROXY_ACCEPT_MODES] = {"off", "optional", "required"};

	for (unsigned i = 0; i < PROXY_ACCEPT_MODES; i++) {
		char yaml[256];

		snprintf(yaml, sizeof(yaml), TCP("proxy_protocol: %s, trusted: 10.0.0.0/8"),
			 modes[i]);
		struct config *config = load_valid(yaml);

		ck_assert_uint_eq(config->listeners[0].proxy_protocol, i);
		config_free(config);
	}
	config_free(load_valid(TCP("proxy_protocol: off")));
	expect_error(TCP("proxy_protocol: optional"),
		     "1:61: proxy_protocol: found \"optional\" without \"trusted\"; expected the "
		     "addresses that may send such a header there");
	expect_error(TCP("proxy_protocol: required, trusted: []"),
		     "1:61: proxy_protocol: found \"required\" without \"trusted\"; expected the "
		     "addresses that may send such a header there");
}
END_TEST

START_TEST(waits_for_headers_have_bounds)
{
	expect_error(TCP("proxy_timeout: 11s"),
		     "1:60: proxy_timeout: found \"11s\", which is too large; expected a duration "
		     "such as 500ms, 2s or 5m, from 10ms to 10s");
	expect_error(
		TCP("header_timeout: 99ms"),
		"1:61: header_timeout: found \"99ms\", which is too small; expected a duration "
		"such as 500ms, 2s or 5m, from 100ms to 1m");
}
END_TEST

START_TEST(unix_sockets_take_no_headers)
{
	expect_error(LISTENER("bind: unix:/x, proxy_protocol: off"),
		     "1:47: found \"proxy_protocol\", which means nothing for a Unix socket; "
		     "expected it to be left out");
	expect_error(LISTENER("bind: unix:/x, proxy_timeout: 1s"),
		     "1:47: found \"proxy_timeout\", which means nothing for a Unix socket; "
		     "expected it to be left out");
	expect_error(LISTENER("bind: unix:/x, header_timeout: 1s"),
		     "1:47: found \"header_timeout\", which means nothing for a Unix socket; "
		     "expected it to be left out");
}
END_TEST

#define TCP_EXPECTED "expected an address such as 127.0.0.1:9900 or \"[::1]:9900\""

START_TEST(admin_addresses_are_what_they_must_be)
{
	expect_error("admin: {http: unix:/x}\n" VALID,
		     "1:15: http: found \"unix:/x\", which is a path; " TCP_EXPECTED);
	expect_error("admin: {probe: \":1-2\"}\n" VALID,
		     "1:16: probe: found \":1-2\", which is a range of ports; " TCP_EXPECTED);
	expect_error("admin: {probe: \"9000\"}\n" VALID,
		     "1:16: probe: found \"9000\", which has no port; " TCP_EXPECTED);
	expect_error("admin: {socket: \":1\"}\n" VALID,
		     "1:17: socket: found \":1\", which is not an absolute path; expected a path "
		     "such as /run/sluice/admin.sock");
	expect_error("admin: /run/x\n" VALID, "1:8: admin: found \"/run/x\"; expected a mapping");
}
END_TEST

START_TEST(admin_addresses_are_in_nobodys_way)
{
	expect_error("admin: {http: \"127.0.0.1:80\"}\n" VALID,
		     "1:15: http: found \"127.0.0.1:80\", which overlaps with \":80\" of listener "
		     "\"a\"; expected an address and port of its own");
	expect_error("admin: {http: \"127.0.0.1:1\", probe: \":1\"}\n" VALID,
		     "1:37: probe: found \":1\", which overlaps with \"127.0.0.1:1\" of admin "
		     "address \"http\"; expected an address and port of its own");
	expect_error("admin: {socket: /x}\n" LISTENER("bind: unix:/x"),
		     "1:17: socket: found \"/x\", which overlaps with \"unix:/x\" of listener "
		     "\"a\"; expected an address and port of its own");
	expect_error("admin: {socket: /x}\ncontrol: {socket: unix:/x}\n" VALID,
		     "2:19: socket: found \"unix:/x\", which overlaps with \"/x\" of admin "
		     "address \"socket\"; expected an address and port of its own");
	expect_error("control: {http: \"127.0.0.1:80\"}\n" VALID,
		     "1:17: http: found \"127.0.0.1:80\", which overlaps with \":80\" of listener "
		     "\"a\"; expected an address and port of its own");
}
END_TEST

START_TEST(a_zone_is_one_word)
{
	expect_error("zone: a b\n" VALID,
		     "1:7: zone: found \"a b\", which has a space in it; expected a text without "
		     "spaces of at most 63 bytes");
}
END_TEST

START_TEST(an_admin_address_for_all_to_reach_is_warned_of)
{
	expect_warning("admin: {http: \"127.1.2.3:1\"}\n" VALID, NULL);
	expect_warning("admin: {http: \"[::1]:1\"}\n" VALID, NULL);
	expect_warning("admin: {probe: \":1\"}\n" VALID, NULL);
	expect_warning("admin: {http: \":1\"}\n" VALID,
		       "1:15: warning: http: found \":1\", which is no loopback address; whoever "
		       "reaches it can read everything there");
}
END_TEST

START_TEST(optional_headers_are_warned_of)
{
	expect_warning(TCP("proxy_protocol: required, trusted: 10.0.0.1"), NULL);
	expect_warning(TCP("proxy_protocol: optional, trusted: 10.0.0.1"),
		       "1:61: warning: proxy_protocol: found \"optional\"; behind a trusted "
		       "balancer that sends no header, clients can forge one");
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		headers_and_administration_are_off_by_default,
		every_part_of_the_root_becomes_a_struct,
		a_socket_may_be_written_like_an_address,
		trusted_peers_alone_may_send_headers,
		waits_for_headers_have_bounds,
		unix_sockets_take_no_headers,
		admin_addresses_are_what_they_must_be,
		admin_addresses_are_in_nobodys_way,
		a_zone_is_one_word,
		an_admin_address_for_all_to_reach_is_warned_of,
		optional_headers_are_warned_of,
	};

	return run_tests("config_listeners", tests, COUNT(tests));
}
