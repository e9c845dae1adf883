/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of a file: sources with their names, guards and places, defaults, what only
 * sluice-control refuses, and what a reload may keep.
 */
#include <errno.h>

#include "proxy/base/conf/schema.h"
#include "tests/unit/control_settings_rig.h"

#define POOL(discover)                                                                             \
	"pools: [{name: p, health: {type: tcp, interval: 4s}, discover: " discover "}]\n"
#define FILES "[{file: [{name: a, path: /a}, {name: b, path: /b}]}, {ec2: {tags: {r: w}, port: 1}}]"

START_TEST(every_source_of_every_pool_is_listed)
{
	struct settings *settings = settings_valid(
		ADMIN VALID_LISTENERS
		"pools:\n"
		"  - {name: p, health: {type: tcp, interval: 4s}, discover: " FILES "}\n"
		"  - {name: static, targets: [\"10.0.0.1:80\"]}\n"
		"  - {name: q, discover: {dns: {as: x, name: a.b, port: 1, interval: 7s,\n"
		"                              max_shrink: 5%, allow_empty: true}}}\n");
	const struct source_settings *b = &settings->sources[1], *ec2 = &settings->sources[2];
	const struct source_settings *dns = &settings->sources[3];

	ck_assert_uint_eq(settings->pool_count, 2);
	ck_assert_str_eq(settings->pools[1], "q");
	ck_assert_uint_eq(settings->source_count, 4);
	ck_assert_str_eq(b->pool, "p");
	ck_assert_str_eq(b->kind, "file");
	ck_assert_str_eq(b->name, "b");
	ck_assert_str_eq(schema_text(b->conf, "path"), "/b");
	ck_assert(!b->is_aws);
	ck_assert_uint_eq(b->check_interval_ms, 4000);
	ck_assert_str_eq(ec2->name, "ec2");
	ck_assert(ec2->is_aws);
	ck_assert_uint_eq(ec2->interval_ms, 10000);
	ck_assert_uint_eq(ec2->guard.max_shrink_percent, 30);
	ck_assert(!ec2->guard.allow_empty);
	ck_assert_str_eq(dns->name, "x");
	ck_assert_uint_eq(dns->interval_ms, 7000);
	ck_assert_uint_eq(dns->guard.max_shrink_percent, 5);
	ck_assert(dns->guard.allow_empty);
	ck_assert_uint_eq(dns->check_interval_ms, 0);
	settings_free(settings);
}
END_TEST

START_TEST(defaults_ask_for_little)
{
	struct settings *settings = settings_valid(ADMIN VALID_LISTENERS POOL(FILES));

	ck_assert_str_eq(settings->admin_socket, "/run/sluice/admin.sock");
	ck_assert_str_eq(settings->log_level, "info");
	ck_assert_ptr_null(settings->user);
	ck_assert_ptr_null(settings->state_directory);
	ck_assert_ptr_null(settings->socket);
	ck_assert_ptr_null(settings->http);
	ck_assert_ptr_null(settings->ca_file);
	ck_assert_ptr_null(settings->place.region);
	ck_assert(!settings->fips && !settings->dual_stack && !settings->lifecycle);
	ck_assert_uint_eq(settings->fleet_size, 0);
	ck_assert_uint_eq(settings->api_rate, 5);
	ck_assert_uint_eq(settings->last_good_max_age_us, UINT64_C(86400000000));
	ck_assert_str_eq(settings->queue, "off");
	settings_free(settings);
}
END_TEST

START_TEST(every_key_of_the_control_part_is_read)
{
	struct settings *settings = settings_valid(
		"state_directory: /s\nuser: nobody\n" ADMIN
		"control: {socket: unix:/c, mode: 0600, http: '127.0.0.1:1', region: r, "
		"profile: p,\n"
		"  endpoint: 'http://e:1', ca_file: /ca, fips: true, dual_stack: true,\n"
		"  fleet_size: 30, api_rate: 2, last_good_max_age: 1h, lifecycle: auto,\n"
		"  lifecycle_hook: h, queue: auto, queue_topic: "
		"'arn:aws:sns:r:1:t'}\n" VALID_LISTENERS POOL(FILES));

	ck_assert_str_eq(settings->user, "nobody");
	ck_assert_str_eq(settings->state_directory, "/s");
	ck_assert_str_eq(settings->socket, "/c");
	ck_assert_uint_eq(settings->socket_mode, 0600);
	ck_assert_str_eq(settings->http, "127.0.0.1:1");
	ck_assert_str_eq(settings->place.region, "r");
	ck_assert_str_eq(settings->place.profile, "p");
	ck_assert_str_eq(settings->place.endpoint, "http://e:1");
	ck_assert_str_eq(settings->ca_file, "/ca");
	ck_assert(settings->fips && settings->dual_stack && settings->lifecycle);
	ck_assert_uint_eq(settings->fleet_size, 30);
	ck_assert_uint_eq(settings->api_rate, 2);
	ck_assert_uint_eq(settings->last_good_max_age_us, UINT64_C(3600000000));
	ck_assert_str_eq(settings->lifecycle_hook, "h");
	ck_assert_str_eq(settings->queue, "auto");
	ck_assert_str_eq(settings->queue_topic, "arn:aws:sns:r:1:t");
	settings_free(settings);
}
END_TEST

START_TEST(a_source_takes_the_place_of_all_unless_it_says_otherwise)
{
	struct settings *settings = settings_valid(
		ADMIN
		"control: {region: r, profile: p, endpoint: 'http://e'}\n" VALID_LISTENERS POOL(
			"{ec2: [{name: a, tags: {r: w}, port: 1},\n"
			"  {name: b, tags: {r: w}, port: 1, region: s, profile: q,\n"
			"   endpoint: 'http://f', role_arn: 'arn:aws:iam::1:role/x',\n"
			"   external_id: i}]}"));
	const struct aws_place *a = &settings->sources[0].place, *b = &settings->sources[1].place;

	ck_assert_str_eq(a->region, "r");
	ck_assert_str_eq(a->profile, "p");
	ck_assert_str_eq(a->endpoint, "http://e");
	ck_assert_ptr_null(a->role_arn);
	ck_assert_str_eq(b->region, "s");
	ck_assert_str_eq(b->profile, "q");
	ck_assert_str_eq(b->endpoint, "http://f");
	ck_assert_str_eq(b->role_arn, "arn:aws:iam::1:role/x");
	ck_assert_str_eq(b->external_id, "i");
	settings_free(settings);
}
END_TEST

static void expect(const char *yaml, int expected_err, const char *expected)
{
	struct conf_errors errors = {0};
	struct settings *settings = NULL;
	int err = settings_of(yaml, &errors, &settings);
	const char *text =
		expected_err ? conf_error_text(&errors, 0) : conf_warning_text(&errors, 0);

	ck_assert_int_eq(err, expected_err);
	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(strchr(text, ':') + 1, expected);
	conf_errors_fini(&errors);
	settings_free(settings);
}

START_TEST(what_would_be_pushed_nowhere_is_refused)
{
	expect(VALID_LISTENERS POOL(FILES), -EINVAL,
	       "2:54: found \"discover\" without an \"admin\" socket; expected one, as that is "
	       "where targets are pushed to");
	expect("control: {lifecycle: auto}\n" VALID, -EINVAL,
	       "1:22: lifecycle: found \"auto\" without an \"admin\" socket; expected one, as that "
	       "is where the proxy is told to drain");
	settings_free(settings_valid(ADMIN "control: {lifecycle: auto}\n" VALID));
	expect(ADMIN VALID, 0,
	       "1:1: warning: found no pool with \"discover\"; there is nothing to do for "
	       "sluice-control");
}
END_TEST

START_TEST(what_the_proxy_refuses_is_refused)
{
	expect(ADMIN VALID_LISTENERS "pools: [{name: p, discover: {file: {path: /a}}},\n"
				     "  {name: p, discover: {file: {path: /a}}}]\n",
	       -EINVAL,
	       "4:10: name: found \"p\", which the pool at line 3 has too; expected another");
	expect(ADMIN "listeners: [{name: a, bind: ':80', pool: q}]\n" POOL(FILES), -EINVAL,
	       "2:42: pool: found \"q\", which no pool is called; expected a pool's name");
}
END_TEST

START_TEST(a_value_that_was_given_beats_the_file)
{
	char path[] = "/tmp/sluice-settings-XXXXXX";
	const char *yaml = ADMIN VALID_LISTENERS POOL(FILES);
	int fd = mkstemp(path);
	struct control_options options = {.line.config_file = path};
	struct conf_errors errors = {0};
	struct settings *settings = NULL;

	ck_assert_int_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);
	given_add(&options.line.given, "control.socket", "/c", "--control-socket /c", true);
	given_add(&options.line.given, GIVEN_PATH_SOCKET, "unix:/other", "--admin", true);
	ck_assert_int_eq(settings_load(&options, &errors, &settings), 0);
	unlink(path);
	ck_assert_str_eq(settings->socket, "/c");
	ck_assert_str_eq(settings->admin_socket, "/other");
	settings_free(settings);
	given_fini(&options.line.given);
}
END_TEST

static bool same(const char *before, const char *after)
{
	char yaml[2][512];
	struct settings *settings[2];
	bool result;

	snprintf(yaml[0], sizeof(yaml[0]), ADMIN VALID_LISTENERS "%s", before);
	snprintf(yaml[1], sizeof(yaml[1]), ADMIN "# moved down\n" VALID_LISTENERS "%s", after);
	settings[0] = settings_valid(yaml[0]);
	settings[1] = settings_valid(yaml[1]);
	result = settings_same_source(&settings[0]->sources[0], &settings[1]->sources[0]);
	settings_free(settings[0]);
	settings_free(settings[1]);
	return result;
}

START_TEST(a_source_is_the_same_while_it_means_the_same)
{
	const char *pool = POOL("{ec2: {tags: {r: w}, port: 1}}");

	ck_assert(same(pool, pool));
	ck_assert(same(pool, POOL("{ec2: {interval: 10s, port: 1, tags: {r: w}, name: ec2}}")));
	ck_assert(same(pool, "pools: [{name: p, discover: {ec2: {tags: {r: w}, port: 1}}}]\n"));
	ck_assert(!same(pool, POOL("{ec2: {tags: {r: v}, port: 1}}")));
	ck_assert(!same(pool, POOL("{ec2: {tags: {r: w}, port: 1, interval: 9s}}")));
	ck_assert(!same(pool, POOL("{ec2: {tags: {r: w}, port: 1, name: x}}")));
	ck_assert(!same(pool, "control: {region: r}\n" POOL("{ec2: {tags: {r: w}, port: 1}}")));
}
END_TEST

START_TEST(what_needs_a_restart_is_told_apart)
{
	struct settings *a = settings_valid(ADMIN VALID_LISTENERS POOL(FILES));
	struct settings *b = settings_valid(
		"log_level: debug\n" ADMIN
		"control: {last_good_max_age: 9h}\n" VALID_LISTENERS POOL("{file: {path: /x}}"));
	struct settings *c =
		settings_valid(ADMIN "control: {fips: true}\n" VALID_LISTENERS POOL(FILES));

	ck_assert(!settings_need_restart(a, b));
	ck_assert(settings_need_restart(a, c));
	settings_free(a);
	settings_free(b);
	settings_free(c);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		every_source_of_every_pool_is_listed,
		defaults_ask_for_little,
		every_key_of_the_control_part_is_read,
		a_source_takes_the_place_of_all_unless_it_says_otherwise,
		what_would_be_pushed_nowhere_is_refused,
		what_the_proxy_refuses_is_refused,
		a_value_that_was_given_beats_the_file,
		a_source_is_the_same_while_it_means_the_same,
		what_needs_a_restart_is_told_apart,
	};

	return run_tests("control_settings", tests, COUNT(tests));
}
