/* SPDX-License-Identifier: Apache-2.0
 *
 * What a pool's keys become: limits, PROXY headers, health, outliers, failing, draining; and the
 * rules between them.
 */
#include <errno.h>

#include "proxy/model.h"
#include "tests/unit/conf_rig.h"

#define EXAMPLE      "tests/net/conf/example.yaml"
#define TARGETS      "targets: [\"10.0.0.1:80\"]"
#define POOL(more)   VALID_LISTENERS "pools: [{name: p, " TARGETS ", " more "}]\n"
#define HEALTH(more) POOL("health: {" more "}")

static struct config *load_example(void)
{
	struct options options = {.line.config_file = EXAMPLE};
	struct conf_errors errors = {0};
	struct config *config = NULL;

	ck_assert_int_eq(config_load(&options, &errors, &config), 0);
	conf_errors_fini(&errors);
	return config;
}

static void expect_bytes(const struct bytes_conf *bytes, const char *expected)
{
	ck_assert_uint_eq(bytes->size, strlen(expected));
	ck_assert_mem_eq(bytes->data, expected, bytes->size);
}

START_TEST(a_plain_pool_has_the_manuals_defaults)
{
	struct config *config = load_valid(VALID);
	const struct pool_conf *pool = &config->pools[0];

	ck_assert_int_eq(pool->proxy_protocol, PROXY_SEND_OFF);
	ck_assert(!pool->proxy_crc32c);
	ck_assert_uint_eq(pool->max_connections, 0);
	ck_assert_uint_eq(pool->queue_size, 0);
	ck_assert_uint_eq(pool->queue_timeout_ms, 5000);
	ck_assert_uint_eq(pool->slow_start_ms, 0);
	ck_assert_uint_eq(pool->connect_rate, 0);
	ck_assert_uint_eq(pool->load_percent, 0);
	ck_assert(pool->zone_aware);
	ck_assert_int_eq(pool->on_down, ON_DOWN_KEEP);
	ck_assert_uint_eq(pool->min_healthy_percent, 0);
	ck_assert_int_eq(pool->panic, PANIC_OPEN);
	ck_assert_uint_eq(pool->drain_timeout_ms, 300000);
	ck_assert_uint_eq(pool->drain_spread_ms, 30000);
	ck_assert_uint_eq(pool->outlier.failures, 5);
	ck_assert(!pool->outlier.resets);
	ck_assert_uint_eq(pool->outlier.ejection_ms, 30000);
	ck_assert_uint_eq(pool->outlier.ejection_max_ms, 300000);
	ck_assert_uint_eq(pool->outlier.max_ejected_percent, 10);
	ck_assert_ptr_null(pool->targets[0].id);
	ck_assert_ptr_null(pool->targets[0].zone);
	ck_assert(!pool->targets[0].backup);
	config_free(config);
}
END_TEST

START_TEST(an_unchecked_pool_still_has_the_checks_defaults)
{
	struct config *config = load_valid(VALID);
	const struct health_conf *health = &config->pools[0].health;

	ck_assert_int_eq(health->kind, HEALTH_OFF);
	ck_assert_uint_eq(health->port, 0);
	ck_assert_uint_eq(health->interval_ms, 2000);
	ck_assert_uint_eq(health->fast_interval_ms, 500);
	ck_assert_uint_eq(health->timeout_ms, 1000);
	ck_assert_uint_eq(health->rise, 2);
	ck_assert_uint_eq(health->fall, 3);
	ck_assert_uint_eq(health->jitter_percent, 20);
	ck_assert_ptr_null(health->path);
	config_free(config);
}
END_TEST

START_TEST(the_examples_limits_become_structs)
{
	struct config *config = load_example();
	const struct pool_conf *web = &config->pools[0], *games = &config->pools[1];

	ck_assert_uint_eq(web->max_connections, 10000);
	ck_assert_uint_eq(web->queue_size, 500);
	ck_assert_uint_eq(web->queue_timeout_ms, 2000);
	ck_assert_uint_eq(web->connect_rate, 200);
	ck_assert_uint_eq(web->slow_start_ms, 60000);
	ck_assert(!web->zone_aware);
	ck_assert_int_eq(web->on_down, ON_DOWN_CLOSE);
	ck_assert_uint_eq(web->min_healthy_percent, 40);
	ck_assert_int_eq(web->panic, PANIC_REFUSE);
	ck_assert_uint_eq(web->drain_timeout_ms, 90000);
	ck_assert_uint_eq(web->drain_spread_ms, 10000);
	ck_assert_uint_eq(games->load_percent, 125);
	ck_assert_int_eq(games->proxy_protocol, PROXY_SEND_V2);
	ck_assert(games->proxy_crc32c);
	ck_assert_uint_eq(games->drain_timeout_ms, 0);
	config_free(config);
}
END_TEST

START_TEST(the_examples_checks_become_structs)
{
	struct config *config = load_example();
	const struct health_conf *web = &config->pools[0].health, *games = &config->pools[1].health;

	ck_assert_int_eq(web->kind, HEALTH_HTTP);
	ck_assert_uint_eq(web->port, 8081);
	ck_assert_uint_eq(web->interval_ms, 5000);
	ck_assert_uint_eq(web->fast_interval_ms, 250);
	ck_assert_uint_eq(web->timeout_ms, 800);
	ck_assert_uint_eq(web->rise, 3);
	ck_assert_uint_eq(web->fall, 4);
	ck_assert_uint_eq(web->jitter_percent, 10);
	ck_assert_str_eq(web->method, "HEAD");
	ck_assert_str_eq(web->path, "/healthz?deep=1");
	ck_assert_str_eq(web->host, "web.internal");
	ck_assert_uint_eq(web->status_low, 200);
	ck_assert_uint_eq(web->status_high, 299);
	ck_assert_ptr_null(web->expect.data);
	ck_assert_int_eq(games->kind, HEALTH_SEND_EXPECT);
	expect_bytes(&games->send, "PING\r\n");
	expect_bytes(&games->expect, "PONG");
	ck_assert_ptr_null(games->path);
	config_free(config);
}
END_TEST

START_TEST(the_examples_outliers_and_targets_become_structs)
{
	struct config *config = load_example();
	const struct outlier_conf *web = &config->pools[0].outlier;
	const struct target_conf *spare = &config->pools[0].targets[4];

	ck_assert_uint_eq(web->failures, 3);
	ck_assert(web->resets);
	ck_assert_uint_eq(web->ejection_ms, 10000);
	ck_assert_uint_eq(web->ejection_max_ms, 120000);
	ck_assert_uint_eq(web->max_ejected_percent, 30);
	ck_assert_uint_eq(config->pools[1].outlier.failures, 0);
	ck_assert_uint_eq(config->pools[1].outlier.ejection_ms, 30000);
	ck_assert_str_eq(spare->id, "i-0abc");
	ck_assert_str_eq(spare->zone, "eu-central-1b");
	ck_assert(spare->backup);
	config_free(config);
}
END_TEST

/* The order of the values in the schema is that of the enums in model.h. */
START_TEST(every_word_means_itself)
{
	static const char *const checks[HEALTH_KINDS] = {
		[HEALTH_OFF] = "off",
		[HEALTH_TCP] = "tcp",
		[HEALTH_HTTP] = "http",
		[HEALTH_TLS] = "tls",
		[HEALTH_SEND_EXPECT] = "{type: send_expect, expect: a}",
	};
	static const char *const sends[PROXY_SEND_MODES] = {"off", "v1", "v2"};
	static const char *const downs[ON_DOWN_KINDS] = {"keep", "close"};
	static const char *const panics[PANIC_MODES] = {"open", "refuse"};

	for (unsigned i = 0; i < HEALTH_KINDS; i++) {
		unsigned send = i % PROXY_SEND_MODES, two = i % 2;
		char yaml[256];

		snprintf(yaml, sizeof(yaml),
			 POOL("health: %s, proxy_protocol: %s, on_down: %s, panic: %s"), checks[i],
			 sends[send], downs[two], panics[two]);
		struct config *config = load_valid(yaml);

		ck_assert_uint_eq(config->pools[0].health.kind, i);
		ck_assert_uint_eq(config->pools[0].proxy_protocol, send);
		ck_assert_uint_eq(config->pools[0].on_down, two);
		ck_assert_uint_eq(config->pools[0].panic, two);
		config_free(config);
	}
}
END_TEST

START_TEST(a_single_status_is_a_range_of_one)
{
	struct config *config = load_valid(HEALTH("type: http, status: 204"));
	const struct health_conf *health = &config->pools[0].health;

	ck_assert_uint_eq(health->status_low, 204);
	ck_assert_uint_eq(health->status_high, 204);
	ck_assert_str_eq(health->method, "GET");
	ck_assert_str_eq(health->path, "/");
	ck_assert_ptr_null(health->host);
	config_free(config);
}
END_TEST

START_TEST(a_queue_may_be_written_as_its_size)
{
	struct config *config = load_valid(POOL("queue: 50"));

	ck_assert_uint_eq(config->pools[0].queue_size, 50);
	ck_assert_uint_eq(config->pools[0].queue_timeout_ms, 5000);
	config_free(config);
}
END_TEST

START_TEST(keys_of_another_kind_of_check_are_refused)
{
	static const struct {
		const char *health;
		const char *expected;
	} cases[] = {
		{"{type: tcp, path: /x}",
		 "2:65: found \"path\" for type tcp; expected it for http alone"},
		{"{type: tls, status: 200}",
		 "2:65: found \"status\" for type tls; expected it for http alone"},
		{"{host: a, type: tcp}",
		 "2:54: found \"host\" for type tcp; expected it for http or tls alone"},
		{"{type: off, method: GET}",
		 "2:65: found \"method\" for type off; expected it for http alone"},
		{"{type: http, send: a}",
		 "2:66: found \"send\" for type http; expected it for send_expect alone"},
		{"{type: http, expect: a}",
		 "2:66: found \"expect\" for type http; expected it for send_expect alone"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char yaml[256];

		snprintf(yaml, sizeof(yaml), POOL("health: %s"), cases[i].health);
		expect_error(yaml, cases[i].expected);
	}
}
END_TEST

#define BYTES_EXPECTED                                                                             \
	"expected a text such as PING, or bytes such as hex:50494e470d0a, at most 1024"

START_TEST(a_check_needs_its_type_and_what_that_needs)
{
	expect_error(HEALTH("interval: 1s"),
		     "2:53: found no \"type\" in the health check; expected off, tcp, http, tls or "
		     "send_expect");
	expect_error(HEALTH("type: send_expect, send: a"),
		     "2:53: found no \"expect\" in the health check; " BYTES_EXPECTED);
	expect_error(POOL("health: send_expect"),
		     "2:53: found no \"expect\" in the health check; " BYTES_EXPECTED);
	expect_error(POOL("health: {type: htp, path: /}"),
		     "2:60: type: found \"htp\"; expected off, tcp, http, tls or send_expect; did "
		     "you mean \"http\"?");
}
END_TEST

START_TEST(values_of_a_check_are_held_to_their_form)
{
	expect_error(HEALTH("type: http, path: x"),
		     "2:72: path: found \"x\"; expected one that begins with \"/\"");
	expect_error(HEALTH("type: http, method: Get"),
		     "2:74: method: found \"Get\"; expected capital letters such as GET or HEAD");
	expect_error(HEALTH("type: http, path: \"/a b\""),
		     "2:72: path: found \"/a b\", which has a space in it; expected a text without "
		     "spaces of at most 1023 bytes");
	expect_error(HEALTH("type: http, status: 200-600"),
		     "2:74: status: found \"200-600\", which is too large; expected a number or a "
		     "range such as 200-399, from 100 to 599");
	expect_error(HEALTH("type: http, status: 99-200"),
		     "2:74: status: found \"99-200\", which is too small; expected a number or a "
		     "range such as 200-399, from 100 to 599");
	expect_error(HEALTH("type: send_expect, expect: \"hex:0\""),
		     "2:81: expect: found \"hex:0\", which has an odd number of hexadecimal "
		     "digits; " BYTES_EXPECTED);
}
END_TEST

START_TEST(pool_keys_that_need_another_are_refused_without_it)
{
	expect_error(POOL("proxy_crc32c: true"),
		     "2:59: proxy_crc32c: found \"true\" with proxy_protocol off; expected v2, "
		     "which alone has a checksum");
	expect_error(POOL("proxy_crc32c: true, proxy_protocol: v1"),
		     "2:59: proxy_crc32c: found \"true\" with proxy_protocol v1; expected v2, "
		     "which alone has a checksum");
	expect_error(POOL("load_factor: 125%"),
		     "2:58: load_factor: found \"125%\" with balance round_robin; expected maglev, "
		     "which alone has one");
	config_free(load_valid(POOL("load_factor: off, proxy_crc32c: false")));
}
END_TEST

START_TEST(an_ejection_grows_but_never_shrinks)
{
	expect_error(POOL("outlier: {ejection: 2s, ejection_max: 1s}"),
		     "2:83: found an ejection of 2000 ms, and at most 1000 ms; expected an "
		     "\"ejection_max\" that is no shorter");
	expect_error(POOL("outlier: {ejection: 10m}"),
		     "2:65: found an ejection of 600000 ms, and at most 300000 ms; expected an "
		     "\"ejection_max\" that is no shorter");
	config_free(load_valid(POOL("outlier: {ejection: 2s, ejection_max: 2s}")));
}
END_TEST

START_TEST(an_id_is_one_targets_alone)
{
	expect_error(VALID_LISTENERS "pools: [{name: p, targets: [{address: \"a:1\", id: x},\n"
				     "  \"c:1\", {address: \"b:1\", id: x}]},\n"
				     "  {name: q, targets: [{address: \"a:1\", id: x}]}]\n",
		     "3:31: id: found \"x\", which the target at line 2 has too; expected another");
	expect_error(VALID_LISTENERS
		     "pools: [{name: p, targets: [{address: \"a:1\", id: \"x y\"}]}]\n",
		     "2:50: id: found \"x y\", which has a space in it; expected a text without "
		     "spaces of at most 255 bytes");
}
END_TEST

START_TEST(a_discovered_source_has_the_name_that_it_is_pushed_by)
{
	struct config *config = load_valid(
		VALID_LISTENERS
		"pools: [{name: p, discover: {file: [{name: a, path: /a}, {name: b, path: /b}], "
		"dns: {name: x.example, port: 80, as: names}}}]\n");
	const struct pool_conf *pool = &config->pools[0];

	ck_assert_uint_eq(pool->discover_count, 3);
	ck_assert_str_eq(pool->discovers[0].name, "names");
	ck_assert_str_eq(pool->discovers[0].kind, "dns");
	ck_assert_str_eq(pool->discovers[1].name, "a");
	ck_assert_str_eq(pool->discovers[1].kind, "file");
	ck_assert_str_eq(pool->discovers[2].name, "b");
	ck_assert_str_eq(pool->discovers[2].kind, "file");
	config_free(config);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		a_plain_pool_has_the_manuals_defaults,
		an_unchecked_pool_still_has_the_checks_defaults,
		the_examples_limits_become_structs,
		the_examples_checks_become_structs,
		the_examples_outliers_and_targets_become_structs,
		every_word_means_itself,
		a_single_status_is_a_range_of_one,
		a_queue_may_be_written_as_its_size,
		keys_of_another_kind_of_check_are_refused,
		a_check_needs_its_type_and_what_that_needs,
		values_of_a_check_are_held_to_their_form,
		pool_keys_that_need_another_are_refused_without_it,
		an_ejection_grows_but_never_shrinks,
		an_id_is_one_targets_alone,
		a_discovered_source_has_the_name_that_it_is_pushed_by,
	};

	return run_tests("config_pools", tests, COUNT(tests));
}
