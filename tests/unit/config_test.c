/* SPDX-License-Identifier: Apache-2.0
 *
 * From text, flags and variables to struct config: every field, every rule between keys, the order
 * of precedence, and the round trip through config_show().
 */
#include <errno.h>

#include "proxy/model.h"
#include "tests/unit/conf_rig.h"

#define EXAMPLE "tests/net/conf/example.yaml"

static char *shown(const struct config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_show(config, out);
	fclose(out);
	return text;
}

static void expect_addr(const struct addr *addr, const char *expected)
{
	char buf[ADDR_TEXT];

	ck_assert_str_eq(addr_format(addr, buf), expected);
}

static struct config *load_example(void)
{
	struct options options = {.line.config_file = EXAMPLE};
	struct conf_errors errors = {0};
	struct config *config = NULL;
	int err = config_load(&options, &errors, &config);

	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	ck_assert_uint_eq(errors.warnings.count, 0);
	return config;
}

START_TEST(the_example_becomes_structs_root_first)
{
	struct config *config = load_example();

	ck_assert_uint_eq(config->workers, 0);
	ck_assert_str_eq(config->user, "nobody");
	ck_assert(config->reload_ports_unprivileged);
	ck_assert_uint_eq(config->max_connections, 20000);
	ck_assert_uint_eq(config->buffers, 128 << 20);
	ck_assert_uint_eq(config->drain_timeout_ms, 45000);
	ck_assert_uint_eq(config->lame_duck_ms, 5000);
	ck_assert_uint_eq(config->lame_duck_quiet_ms, 2000);
	ck_assert_uint_eq(config->lame_duck_max_ms, 90000);
	ck_assert_uint_eq(config->resolve_interval_ms, 10000);
	ck_assert_str_eq(config->log_level, "warn");
	ck_assert_int_eq(config->flow.format, FLOW_JSON);
	ck_assert_int_eq(config->flow.only, FLOW_ONLY_ERRORS);
	ck_assert_uint_eq(config->flow.sample, 100);
	ck_assert_str_eq(config->flow.path, "/var/log/sluice/flow.log");
	ck_assert_uint_eq(config->listener_count, 4);
	ck_assert_uint_eq(config->pool_count, 2);
	config_free(config);
}
END_TEST

START_TEST(the_examples_listeners_become_structs)
{
	struct config *config = load_example();
	const struct listener_conf *web = &config->listeners[0], *games = &config->listeners[1];
	const struct listener_conf *v6 = &config->listeners[2], *local = &config->listeners[3];

	ck_assert_str_eq(web->name, "web");
	expect_addr(&web->bind, "[::]:8080");
	ck_assert_uint_eq(web->port_end, 8080);
	ck_assert(!web->v6_only);
	ck_assert_uint_eq(web->pool, 0);
	ck_assert_uint_eq(web->max_connections, 5000);
	ck_assert_int_eq(web->steer, STEER_CPU);
	ck_assert(web->tcp.fast_open);
	ck_assert_uint_eq(web->tcp.user_timeout_ms, 30000);
	ck_assert_uint_eq(web->tcp.keepalive_idle_ms, 45000);
	ck_assert_uint_eq(web->tcp.keepalive_interval_ms, 5000);
	ck_assert_uint_eq(web->tcp.keepalive_count, 4);
	ck_assert_uint_eq(web->tcp.send_buffer, 1 << 20);
	ck_assert_uint_eq(web->tcp.receive_buffer, 0);
	ck_assert_uint_eq(web->tcp.mss, 1400);
	ck_assert_str_eq(web->tcp.congestion, "cubic");
	ck_assert_uint_eq(web->trusted_count, 2);
	ck_assert_uint_eq(web->trusted[0].bits, 24);
	ck_assert_uint_eq(web->trusted[1].bits, 8);
	expect_addr(&games->bind, "[::]:7000");
	ck_assert_uint_eq(games->port_end, 7009);
	ck_assert_uint_eq(games->pool, 1);
	ck_assert_uint_eq(games->max_connections, 0);
	ck_assert_int_eq(games->steer, STEER_HASH);
	ck_assert(!games->tcp.fast_open);
	ck_assert_uint_eq(games->tcp.mss, 0);
	ck_assert(v6->v6_only);
	expect_addr(&local->bind, "unix:/run/sluice/web.sock");
	ck_assert_uint_eq(local->mode, 0600);
	config_free(config);
}
END_TEST

START_TEST(the_examples_pools_become_structs)
{
	struct config *config = load_example();
	const struct pool_conf *web = &config->pools[0], *games = &config->pools[1];

	ck_assert_int_eq(web->balance, BALANCE_LEAST_CONNECTIONS);
	ck_assert_int_eq(web->relay, RELAY_AUTO);
	ck_assert_uint_eq(web->timeouts.connect_ms, 1500);
	ck_assert_uint_eq(web->timeouts.idle_ms, 300000);
	ck_assert_uint_eq(web->timeouts.half_close_ms, 60000);
	ck_assert_uint_eq(web->timeouts.lifetime_ms, 43200000);
	ck_assert_uint_eq(web->tcp.keepalive_idle_ms, 0);
	ck_assert_uint_eq(web->tcp.receive_buffer, 256 << 10);
	ck_assert_uint_eq(web->retries, 3);
	ck_assert_uint_eq(web->retry_budget_percent, 10);
	ck_assert_uint_eq(web->source_count, 3);
	expect_addr(&web->sources[2], "[2001:db8::5]:0");
	ck_assert(web->discovered);
	ck_assert_int_eq(games->balance, BALANCE_MAGLEV);
	ck_assert_int_eq(games->relay, RELAY_SPLICE);
	ck_assert_uint_eq(games->target_count, 0);
	ck_assert(games->discovered);
	ck_assert_uint_eq(games->timeouts.idle_ms, 1200000);
	config_free(config);
}
END_TEST

START_TEST(targets_are_numeric_named_or_paths)
{
	struct config *config = load_example();
	const struct target_conf *targets = config->pools[0].targets;

	ck_assert_uint_eq(config->pools[0].target_count, 5);
	ck_assert_str_eq(targets[0].address, "10.0.1.10:80");
	expect_addr(&targets[0].addr, "10.0.1.10:80");
	ck_assert_ptr_null(targets[0].host);
	ck_assert_uint_eq(targets[0].weight, 100);
	ck_assert_str_eq(targets[1].host, "db.internal");
	ck_assert_uint_eq(targets[1].addr.port, 5432);
	ck_assert_uint_eq(targets[1].addr.family, 0);
	ck_assert_uint_eq(targets[1].weight, 50);
	ck_assert_uint_eq(targets[2].weight, 0);
	ck_assert_uint_eq(targets[2].max_connections, 100);
	ck_assert_int_eq(targets[3].addr.family, AF_UNIX);
	ck_assert_str_eq(targets[3].addr.path, "/run/app.sock");
	config_free(config);
}
END_TEST

START_TEST(defaults_are_those_of_the_manual)
{
	struct config *config = load_valid(VALID);
	const struct pool_conf *pool = &config->pools[0];
	const struct listener_conf *listener = &config->listeners[0];

	ck_assert_uint_eq(config->workers, 0);
	ck_assert_ptr_null(config->user);
	ck_assert(!config->reload_ports_unprivileged);
	ck_assert_uint_eq(config->max_connections, 0);
	ck_assert_uint_eq(config->buffers, 64 << 20);
	ck_assert_uint_eq(config->busy_poll_us, 0);
	ck_assert_uint_eq(config->drain_timeout_ms, 25000);
	ck_assert_uint_eq(config->lame_duck_ms, 0);
	ck_assert_uint_eq(config->lame_duck_quiet_ms, 5000);
	ck_assert_uint_eq(config->lame_duck_max_ms, 60000);
	ck_assert_uint_eq(config->resolve_interval_ms, 30000);
	ck_assert_str_eq(config->log_level, "info");
	ck_assert_int_eq(config->flow.format, FLOW_OFF);
	ck_assert_int_eq(config->flow.only, FLOW_ONLY_ALL);
	ck_assert_uint_eq(config->flow.sample, 1);
	ck_assert_ptr_null(config->flow.path);
	ck_assert_int_eq(pool->balance, BALANCE_ROUND_ROBIN);
	ck_assert_int_eq(pool->relay, RELAY_AUTO);
	ck_assert_uint_eq(pool->timeouts.connect_ms, 2000);
	ck_assert_uint_eq(pool->timeouts.idle_ms, 3600000);
	ck_assert_uint_eq(pool->timeouts.half_close_ms, 30000);
	ck_assert_uint_eq(pool->timeouts.lifetime_ms, 0);
	ck_assert_uint_eq(pool->retries, 2);
	ck_assert_uint_eq(pool->retry_budget_percent, 20);
	ck_assert(!pool->discovered);
	ck_assert_uint_eq(listener->mode, 0660);
	ck_assert_uint_eq(listener->tcp.keepalive_idle_ms, 60000);
	ck_assert_uint_eq(listener->tcp.keepalive_interval_ms, 10000);
	ck_assert_uint_eq(listener->tcp.keepalive_count, 3);
	ck_assert_uint_eq(listener->tcp.user_timeout_ms, 90000);
	ck_assert_ptr_null(listener->tcp.congestion);
	config_free(config);
}
END_TEST

/* The order of the values in the schema is that of the enums in model.h. */
START_TEST(every_enum_value_means_itself)
{
	static const char *const balances[BALANCE_KINDS] = {
		[BALANCE_ROUND_ROBIN] = "round_robin",
		[BALANCE_LEAST_CONNECTIONS] = "least_connections",
		[BALANCE_RANDOM_TWO] = "random_two",
		[BALANCE_MAGLEV] = "maglev",
		[BALANCE_FIRST] = "first",
	};
	static const char *const relays[RELAY_MODES] = {"auto", "copy", "splice"};
	static const char *const formats[FLOW_FORMATS] = {"off", "text", "json"};

	for (unsigned i = 0; i < BALANCE_KINDS; i++) {
		char yaml[256];

		snprintf(yaml, sizeof(yaml),
			 VALID_LISTENERS "pools: [{name: p, balance: %s, targets: [\"a:1\"]}]\n"
					 "relay: %s\nlog: %s\n",
			 balances[i], relays[i % RELAY_MODES], formats[i % FLOW_FORMATS]);
		struct config *config = load_valid(yaml);

		ck_assert_uint_eq(config->pools[0].balance, i);
		ck_assert_uint_eq(config->pools[0].relay, i % RELAY_MODES);
		ck_assert_uint_eq(config->flow.format, i % FLOW_FORMATS);
		config_free(config);
	}
}
END_TEST

START_TEST(what_is_shown_loads_to_the_same)
{
	struct config *config = load_example(), *again;
	char *text = shown(config), *text_again;

	again = load_valid(text);
	text_again = shown(again);
	ck_assert_str_eq(text, text_again);
	ck_assert_ptr_nonnull(strstr(text, "target_group: games"));
	ck_assert_uint_eq(again->listeners[0].tcp.user_timeout_ms, 30000);
	ck_assert_uint_eq(again->listeners[3].mode, 0600);
	ck_assert_uint_eq(again->pools[0].tcp.keepalive_idle_ms, 0);
	free(text);
	free(text_again);
	config_free(config);
	config_free(again);
}
END_TEST

START_TEST(all_errors_of_a_file_are_listed_at_once)
{
	static const char *const expected[] = {
		"1:1: found unknown key \"wrokers\" in the configuration; expected one of workers, "
		"user, reload_ports, max_connections, buffers, busy_poll_us, drain_timeout, "
		"lame_duck, lame_duck_quiet, lame_duck_max, resolve_interval, log_level, log, "
		"state_directory, zone, readiness, start_wait, admin, control, relay, offload, "
		"fast_path, timeouts, tcp, guard, "
		"listeners, "
		"pools; did you mean "
		"\"workers\"?",
		"2:10: workers: found \"zero\", which is not a number; expected auto or a whole "
		"number from 1 to 1024",
		"4:36: pool: found \"apii\", which no pool is called; expected a pool's name; did "
		"you mean \"api\"?",
		"5:12: name: found \"api\", which the listener at line 4 has too; expected another",
		"5:23: bind: found \"127.0.0.1:80\", which overlaps with \":80\" of listener "
		"\"api\"; expected an address and port of its own",
		"5:57: steer: found \"cup\"; expected hash or cpu; did you mean \"cpu\"?",
		"6:1: found \"workers\" again; expected it once, and line 2 has it",
		"8:15: balance: found \"leastconnections\"; expected round_robin, "
		"least_connections, random_two, maglev or first; did you mean "
		"\"least_connections\"?",
	};

	expect_errors("wrokers: 3\n"
		      "workers: zero\n"
		      "listeners:\n"
		      "  - {name: api, bind: \":80\", pool: apii}\n"
		      "  - {name: api, bind: \"127.0.0.1:80\", pool: api, steer: cup}\n"
		      "workers: 3\n"
		      "pools:\n"
		      "  - {balance: leastconnections, name: api, targets: [\"a:1\"]}\n",
		      expected, COUNT(expected));
}
END_TEST

START_TEST(contradictions_are_refused)
{
	static const struct {
		const char *listener; /* after name and pool */
		const char *expected;
	} cases[] = {
		{"bind: \":80\", mode: 0660",
		 "found \"mode\", which means nothing but for a Unix socket; expected it to be "
		 "left out"},
		{"bind: unix:/x, tcp: {}",
		 "found \"tcp\", which means nothing for a Unix socket; expected it to be left "
		 "out"},
		{"bind: unix:/x, steer: cpu",
		 "found \"steer\", which means nothing for a Unix socket; expected it to be left "
		 "out"},
		{"bind: unix:/x, trusted: 10.0.0.0/8",
		 "found \"trusted\", which means nothing for a Unix socket; expected it to be left "
		 "out"},
		{"bind: \"0.0.0.0:80\", v6_only: true",
		 "v6_only: found \"true\" for \"0.0.0.0:80\"; expected an IPv6 address"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct conf_errors errors = {0};
		struct config *config;
		char yaml[256];

		snprintf(yaml, sizeof(yaml), "listeners: [{name: a, pool: p, %s}]\n" VALID_POOLS,
			 cases[i].listener);
		ck_assert_int_eq(load_text(yaml, &errors, &config), -EINVAL);
		ck_assert_uint_eq(errors.errors.count, 1);
		ck_assert_ptr_nonnull(strstr(conf_error_text(&errors, 0), cases[i].expected));
		conf_errors_fini(&errors);
	}
}
END_TEST

START_TEST(pools_are_checked_as_a_whole)
{
	expect_error(VALID_LISTENERS "pools: [{name: p}]\n",
		     "2:9: found a pool without targets; expected \"targets\" or \"discover\"");
	expect_error(VALID_LISTENERS "pools: [{name: p, targets: []}]\n",
		     "2:28: found a pool without targets; expected \"targets\" or \"discover\", or "
		     "an \"admin\" socket through which targets come");
	config_free(load_valid("admin: {socket: /run/a.sock}\n" VALID_LISTENERS
			       "pools: [{name: p, targets: []}]\n"));
	expect_error(VALID_LISTENERS "pools: [{name: p, retries: 8, targets: [\"a:1\"]}]\n",
		     "2:28: retries: found \"8\", which is too large; expected a whole number from "
		     "0 to 7");
	expect_error(VALID_LISTENERS VALID_POOLS "  \n" VALID_POOLS,
		     "4:1: found \"pools\" again; expected it once, and line 2 has it");
	expect_error(VALID_LISTENERS "pools: [{name: p, targets: [\"a:1\"]},\n"
				     "  {name: p, targets: [\"a:1\"]}]\n",
		     "3:10: name: found \"p\", which the pool at line 2 has too; expected another");
}
END_TEST

START_TEST(a_target_is_listed_once_however_it_is_spelt)
{
	expect_error(VALID_LISTENERS "pools:\n- name: p\n  targets:\n  - \"[::1]:80\"\n"
				     "  - \"[::2]:80\"\n  - {address: \"[0:0::1]:80\"}\n",
		     "7:15: targets: found \"[0:0::1]:80\" a second time; expected each target "
		     "once and a weight for its share");
	expect_error(VALID_LISTENERS "pools: [{name: p, targets: [\"a:1\", \"b:1\", \"a:1\"]}]\n",
		     "2:43: targets: found \"a:1\" a second time; expected each target once and a "
		     "weight for its share");
}
END_TEST

START_TEST(sources_must_reach_the_targets)
{
	expect_error(VALID_LISTENERS "pools: [{name: p, source: 10.0.0.1, targets: [\"[::1]:80\", "
				     "\"10.0.0.2:80\", \"a:1\", \"unix:/x\"]}]\n",
		     "2:47: found target \"[::1]:80\", which no \"source\" address can reach; "
		     "expected one of its family");
	config_free(load_valid(VALID_LISTENERS "pools: [{name: p, source: [10.0.0.1, \"::1\"], "
					       "targets: [\"[::1]:80\", \"10.0.0.2:80\"]}]\n"));
}
END_TEST

START_TEST(listeners_need_addresses_of_their_own)
{
	expect_error("listeners:\n- {name: a, bind: \":8000-8099\", pool: p}\n"
		     "- {name: b, bind: \"[::1]:8050\", pool: p}\n" VALID_POOLS,
		     "3:19: bind: found \"[::1]:8050\", which overlaps with \":8000-8099\" of "
		     "listener \"a\"; expected an address and port of its own");
	config_free(load_valid("listeners:\n- {name: a, bind: \"0.0.0.0:80\", pool: p}\n"
			       "- {name: b, bind: \"[::]:80\", v6_only: true, pool: p}\n"
			       "- {name: c, bind: \":81\", pool: p}\n" VALID_POOLS));
}
END_TEST

static size_t warnings_of(const char *yaml)
{
	struct conf_errors errors = {0};
	struct config *config = NULL;
	size_t count;

	ck_assert_int_eq(load_text(yaml, &errors, &config), 0);
	count = errors.warnings.count;
	conf_errors_fini(&errors);
	config_free(config);
	return count;
}

START_TEST(what_a_balancer_would_drop_is_warned_of)
{
	ck_assert_uint_eq(warnings_of(VALID), 0);
	ck_assert_uint_eq(warnings_of("tcp: {keepalive: off}\n" VALID), 2);
	ck_assert_uint_eq(warnings_of("tcp: {keepalive: off}\ntimeouts: {idle: 349s}\n" VALID), 0);
	ck_assert_uint_eq(warnings_of("tcp: {keepalive: off}\ntimeouts: {idle: 350s}\n" VALID), 2);
	ck_assert_uint_eq(warnings_of("tcp: {keepalive: off}\ntimeouts: {idle: 0}\n" VALID), 2);
	ck_assert_uint_eq(warnings_of("tcp: {keepalive: {idle: 349s}}\n" VALID), 0);
	ck_assert_uint_eq(warnings_of("tcp: {keepalive: {idle: 350s}}\n" VALID), 2);
	ck_assert_uint_eq(warnings_of("log: {path: /x}\n" VALID), 1);
	ck_assert_uint_eq(warnings_of("log: {path: /x, format: text}\n" VALID), 0);
}
END_TEST

/* --- flags and variables --- */

static struct options options_of(const char *const (*values)[3], size_t count, char *file)
{
	struct options options = {.line.config_file = file};

	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(given_add(&options.line.given, values[i][0], values[i][1],
					   values[i][2], true),
				 0);
	return options;
}

START_TEST(flags_alone_make_a_configuration)
{
	static const char *const values[][3] = {
		{GIVEN_PATH_BIND, ":8080", "--listen :8080"},
		{GIVEN_PATH_TARGET, "10.0.0.1:80", "--target 10.0.0.1:80"},
		{GIVEN_PATH_BIND, "unix:/x", "--listen unix:/x"},
		{GIVEN_PATH_TARGET, "db:80", "--target db:80"},
		{"log.format", "json", "--log json"},
		{"relay", "copy", "--relay copy"},
		{"pools.balance", "first", "--balance first"},
	};
	struct options options = options_of(values, COUNT(values), NULL);
	struct conf_errors errors = {0};
	struct config *config = NULL;

	ck_assert_int_eq(config_load(&options, &errors, &config), 0);
	ck_assert_uint_eq(config->listener_count, 2);
	ck_assert_str_eq(config->listeners[0].name, "main");
	ck_assert_str_eq(config->listeners[1].name, "main-2");
	ck_assert_str_eq(config->listeners[1].bind.path, "/x");
	ck_assert_uint_eq(config->pool_count, 1);
	ck_assert_str_eq(config->pools[0].name, "main");
	ck_assert_uint_eq(config->pools[0].target_count, 2);
	ck_assert_int_eq(config->pools[0].relay, RELAY_COPY);
	ck_assert_int_eq(config->pools[0].balance, BALANCE_FIRST);
	ck_assert_int_eq(config->flow.format, FLOW_JSON);
	options_fini(&options);
	ck_assert_str_eq(config->listeners[1].bind.path, "/x");
	config_free(config);
}
END_TEST

START_TEST(flags_beat_the_file_wherever_it_says_so)
{
	static const char yaml[] =
		"log: text\nrelay: auto\nworkers: 2\n" VALID_LISTENERS
		"pools: [{name: p, relay: splice, balance: maglev, targets: [\"a:1\"]},\n"
		"  {name: q, targets: [\"a:1\"]}]\n";
	static const char *const values[][3] = {
		{"workers", "7", "--workers 7"},
		{"relay", "copy", "--relay copy"},
		{"log.path", "/x", "--log-file /x"},
		{"pools.balance", "first", "--balance first"},
	};
	char path[] = "/tmp/sluice-conf-XXXXXX";
	int fd = mkstemp(path);
	struct options options = options_of(values, COUNT(values), strdup(path));
	struct conf_errors errors = {0};
	struct config *config = NULL;

	ck_assert_int_eq(write(fd, yaml, sizeof(yaml) - 1), sizeof(yaml) - 1);
	close(fd);
	int err = config_load(&options, &errors, &config);

	unlink(path);
	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	ck_assert_uint_eq(config->workers, 7);
	ck_assert_int_eq(config->flow.format, FLOW_TEXT);
	ck_assert_str_eq(config->flow.path, "/x");
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(config->pools[i].relay, RELAY_COPY);
		ck_assert_int_eq(config->pools[i].balance, BALANCE_FIRST);
	}
	options_fini(&options);
	config_free(config);
}
END_TEST

/* What systemd passes on serves only where nothing else says so. */
START_TEST(an_inherited_directory_gives_way_to_the_file)
{
	static const char *const files[] = {VALID, "state_directory: /mine\n" VALID};
	static const char *const expected[] = {"/inherited", "/mine"};

	for (size_t i = 0; i < COUNT(files); i++) {
		static const char *const values[][3] = {
			{GIVEN_PATH_STATE, "/inherited", "STATE_DIRECTORY"}};
		char path[] = "/tmp/sluice-conf-XXXXXX";
		int fd = mkstemp(path);
		struct options options = options_of(values, COUNT(values), strdup(path));
		struct conf_errors errors = {0};
		struct config *config = NULL;

		options.line.given.values[0].is_fallback = true;
		ck_assert_int_eq(write(fd, files[i], strlen(files[i])), (ssize_t)strlen(files[i]));
		close(fd);
		int err = config_load(&options, &errors, &config);

		unlink(path);
		ck_assert_int_eq(err, 0);
		ck_assert_str_eq(config->state_directory, expected[i]);
		options_fini(&options);
		config_free(config);
	}
}
END_TEST

START_TEST(errors_name_the_flag_or_variable)
{
	static const char *const values[][3] = {
		{GIVEN_PATH_BIND, "8080", "--listen 8080"},
		{GIVEN_PATH_TARGET, "db", "SLUICE_TARGETS"},
		{"pools.balance", "fist", "--balance fist"},
		{"workers", "-3", "--workers -3"},
	};
	static const char *const expected[] = {
		"--listen 8080: bind: found \"8080\", which has no port; expected an address such "
		"as :8080, 10.0.0.1:443, \"[::]:443\", :8000-8099 or unix:/path",
		"SLUICE_TARGETS: address: found \"db\", which has no port; expected an address "
		"such as 10.0.0.1:80, \"[2001:db8::1]:80\", db.internal:5432 or unix:/path",
		"--balance fist: balance: found \"fist\"; expected round_robin, "
		"least_connections, random_two, maglev or first; did you mean \"first\"?",
		"--workers -3: workers: found \"-3\", which is negative; expected auto or a whole "
		"number from 1 to 1024",
	};
	struct options options = options_of(values, COUNT(values), NULL);
	struct conf_errors errors = {0};
	struct config *config = NULL;

	ck_assert_int_eq(config_load(&options, &errors, &config), -EINVAL);
	for (size_t i = 0; i < COUNT(expected); i++)
		ck_assert_str_eq(conf_error_text(&errors, i), expected[i]);
	ck_assert_uint_eq(errors.errors.count, COUNT(expected));
	options_fini(&options);
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(the_demo_may_have_no_targets_yet)
{
	static const char *const values[][3] = {{GIVEN_PATH_BIND, ":8080", "--demo"}};
	struct options options = options_of(values, COUNT(values), NULL);
	struct conf_errors errors = {0};
	struct config *config = NULL;

	ck_assert_int_eq(config_load(&options, &errors, &config), -EINVAL);
	conf_errors_fini(&errors);
	options.demo = true;
	ck_assert_int_eq(config_load(&options, &errors, &config), 0);
	ck_assert_uint_eq(config->pools[0].target_count, 0);
	config_free(config);
	ck_assert_int_eq(options_add_target(&options, "127.0.0.1:9"), 0);
	ck_assert_int_eq(config_load(&options, &errors, &config), 0);
	ck_assert_uint_eq(config->pools[0].target_count, 1);
	config_free(config);
	options_fini(&options);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		the_example_becomes_structs_root_first,
		the_examples_listeners_become_structs,
		the_examples_pools_become_structs,
		targets_are_numeric_named_or_paths,
		defaults_are_those_of_the_manual,
		every_enum_value_means_itself,
		what_is_shown_loads_to_the_same,
		all_errors_of_a_file_are_listed_at_once,
		contradictions_are_refused,
		pools_are_checked_as_a_whole,
		a_target_is_listed_once_however_it_is_spelt,
		sources_must_reach_the_targets,
		listeners_need_addresses_of_their_own,
		what_a_balancer_would_drop_is_warned_of,
		flags_alone_make_a_configuration,
		flags_beat_the_file_wherever_it_says_so,
		an_inherited_directory_gives_way_to_the_file,
		errors_name_the_flag_or_variable,
		the_demo_may_have_no_targets_yet,
	};

	return run_tests("config", tests, COUNT(tests));
}
