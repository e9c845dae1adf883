/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema: what it refuses and in which words, its own consistency, and the normal form that
 * completion makes of what is valid.
 */
#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/value.h"
#include "tests/unit/conf_rig.h"

START_TEST(unknown_keys_are_named_with_their_nearest_kin)
{
	static const char *const expected[] = {
		"3:1: found unknown key \"worker\" in the configuration; expected one of workers, "
		"user, reload_ports, max_connections, buffers, busy_poll_us, drain_timeout, "
		"lame_duck, lame_duck_quiet, lame_duck_max, resolve_interval, log_level, log, "
		"state_directory, zone, readiness, start_wait, admin, control, relay, offload, "
		"fast_path, timeouts, tcp, guard, "
		"listeners, "
		"pools; did you mean "
		"\"workers\"?",
		"4:12: found unknown key \"half-close\" in the timeouts; expected one of connect, "
		"idle, half_close, lifetime; did you mean \"half_close\"?",
		"6:4: found unknown key \"keep\" in the log; expected one of format, only, sample, "
		"path",
	};

	expect_errors(VALID "worker: 3\ntimeouts: {half-close: 3s}\nlog:\n   keep: 1\n", expected,
		      COUNT(expected));
}
END_TEST

START_TEST(values_of_the_wrong_shape_are_described)
{
	static const char *const expected[] = {
		"3:10: workers: found a list; expected auto or a whole number from 1 to 1024",
		"4:6: user: found nothing; expected a text of at most 31 bytes",
		"5:6: log: found a list; expected a mapping",
		"6:11: timeouts: found \"5s\"; expected a mapping",
		"7:18: keepalive: found \"on\"; expected off or a mapping",
	};

	expect_errors(VALID "workers: [1]\nuser:\nlog: []\ntimeouts: 5s\ntcp: {keepalive: on}\n",
		      expected, COUNT(expected));
}
END_TEST

START_TEST(numbers_say_what_is_wrong_with_them)
{
	static const char *const expected[] = {
		"3:10: workers: found \"0\", which is too small; expected auto or a whole number "
		"from 1 to 1024",
		"4:10: buffers: found \"64\", which is too small; expected a size such as 65536, "
		"64KiB, 1MiB or 1GB, from 64KiB to 1TiB",
		"5:12: lame_duck: found \"5\", which has no unit; expected a duration such as "
		"500ms, 2s or 5m, from 0 to 1d",
		"6:19: resolve_interval: found \"99999999999999999999s\", which is too large; "
		"expected a duration such as 500ms, 2s or 5m, from 1s to 1d",
		"7:25: idle: found \"1500ms\", which is not in whole seconds; expected a duration "
		"in whole seconds such as 10s or 1m, from 1s to 32767s",
	};

	expect_errors(VALID "workers: 0\nbuffers: 64\nlame_duck: 5\n"
			    "resolve_interval: 99999999999999999999s\n"
			    "tcp: {keepalive: {idle: 1500ms}}\n",
		      expected, COUNT(expected));
}
END_TEST

START_TEST(booleans_say_that_they_are_strict)
{
	expect_error(
		"listeners: [{name: a, bind: \"[::]:80\", pool: p, v6_only: yes}]\n" VALID_POOLS,
		"1:58: v6_only: found \"yes\", which is neither true nor false; expected true "
		"or false");
}
END_TEST

START_TEST(required_keys_are_missed_at_their_mapping)
{
	static const char *const expected[] = {
		"1:1: found no \"pools\" in the configuration; expected a list of 1 to 1024 items",
		"2:5: found no \"bind\" in the listener; expected an address such as :8080, "
		"10.0.0.1:443, \"[::]:443\", :8000-8099 or unix:/path",
		"2:5: found no \"pool\" in the listener; expected a name of at most 31 small "
		"letters, digits, \"_\", \"-\" and \".\"",
	};

	expect_errors("listeners:\n  - name: a\n", expected, COUNT(expected));
}
END_TEST

START_TEST(empty_lists_of_listeners_are_refused)
{
	expect_error("listeners: []\n" VALID_POOLS,
		     "1:12: listeners: found 0 items; expected a list of 1 to 1024 items");
}
END_TEST

#define POOL_WITH(discover) "pools: [{name: p, discover: " discover "}]\n" VALID_LISTENERS

/* `expected` NULL: there is none. */
static void expect_first_error(const char *yaml, const char *expected)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of(yaml, &errors);

	schema_check(&schema_root, root, &errors);
	const char *text = conf_error_text(&errors, 0);

	if (expected)
		ck_assert_str_eq(text ? text + 2 : "accepted", expected);
	else
		ck_assert_msg(!text, "%s: %s", yaml, text);
	node_free(root);
	conf_errors_fini(&errors);
}

static const struct {
	const char *discover;
	const char *expected; /* NULL: valid */
} sources[] = {
	{"{ec2: {tags: {a: b}, port: 80}}", NULL},
	{"{ec2: {filters: {vpc-id: [a, b]}, port: 80, address: public, interval: 1m}}", NULL},
	{"{ec2: {port: 80}}", "1:35: found none in the ec2 source; expected tags or filters"},
	{"{ec2: {tags: {}, port: 80}}",
	 "1:42: tags: found a mapping, which is empty; expected a mapping of names to "
	 "texts"},
	{"{ec2: {tags: {a: {b: c}}, port: 80}}",
	 "1:46: tags: found a mapping; expected a text of at most 256 bytes or a list of "
	 "such"},
	{"{ec2: {tags: {a: b}}}",
	 "1:35: found no \"port\"; expected one, or \"from_tags\" with the tag that has "
	 "it"},
	{"{ec2: {tags: {a: b}, from_tags: {port: p, weight: w}}}", NULL},
	{"{ec2: {tags: {a: b}, from_tags: {weight: w}}}",
	 "1:35: found no \"port\"; expected one, or \"from_tags\" with the tag that has "
	 "it"},
	{"{ec2: {tags: {a: b}, port: 80, from_tags: {}}}",
	 "1:71: found none in the from_tags part; expected port, weight, zone or backup"},
	{"{ec2: {tags: {a: b}, port: 80, region: r, profile: p, endpoint: 'https://h:1', "
	 "role_arn: 'arn:aws:iam::1:role/x', external_id: e, max_shrink: 0%, "
	 "allow_empty: true, weight: 0, backup: true}}",
	 NULL},
	{"{ec2: {tags: {a: b}, port: 80, max_shrink: 101%}}",
	 "1:72: max_shrink: found \"101%\", which is too large; expected a percentage such "
	 "as 20%, from 0% to 100%"},
	{"{ec2: {tags: {a: b}, port: 80, endpoint: 'ftp://h'}}",
	 "1:70: endpoint: found \"ftp://h\"; expected a URL such as https://host:8443"},
	{"{ec2: {tags: {a: b}, port: 80, external_id: e}}",
	 "1:60: found \"external_id\" without \"role_arn\"; expected both, as it is said "
	 "when a role is assumed"},
	{"{ec2: {tags: {a: b}, port: 80, interval: 500ms}}",
	 "1:70: interval: found \"500ms\", which is too small; expected a duration such "
	 "as 500ms, 2s or 5m, from 1s to 1h"},
	{"{asg: {groups: [a, b], port: 80}}", NULL},
	{"{asg: {groups: a, port: 80}}", NULL},
	{"{asg: {groups: a, port: 80, role_arn: 'arn:aws:sns:x'}}",
	 "1:67: role_arn: found \"arn:aws:sns:x\"; expected an ARN such as "
	 "arn:aws:iam:..."},
	{"{asg: {tags: {a: b}, port: 80}}", NULL},
	{"{asg: {port: 80}}",
	 "1:35: found neither in the asg source; expected either groups or tags"},
	{"{asg: {groups: [a], tags: {a: b}, port: 80}}",
	 "1:35: found both in the asg source; expected either groups or tags"},
	{"{ecs: {cluster: c, service: s, port: 80, container: x}}", NULL},
	{"{ecs: {cluster: c, service: s, port_name: http}}", NULL},
	{"{ecs: {cluster: c, service: s}}", NULL},
	{"{ecs: {cluster: c, service: s, task_sets: all, family: ipv6, "
	 "require_healthy: true}}",
	 NULL},
	{"{ecs: {cluster: c, service: s, port: 1, port_name: x}}",
	 "1:69: found both \"port\" and \"port_name\" in the ecs source; expected one of "
	 "them"},
	{"{ecs: {cluster: c, service: s, family: ipv6, address: public}}",
	 "1:83: address: found \"public\" with family ipv6; expected private, as a task's "
	 "IPv6 address is one and the same everywhere"},
	{"{elbv2: {target_group: t}}", NULL},
	{"{elbv2: {}}",
	 "1:37: found no \"target_group\" in the elbv2 source; expected a text of at most "
	 "255 bytes"},
	{"{cloudmap: {namespace: n, service: s}}", NULL},
	{"{cloudmap: {namespace: n, service: s, from_attributes: {weight: w}, port: 1, "
	 "health: all}}",
	 NULL},
	{"{dns: {name: a.example, port: 80}}", NULL},
	{"{dns: {name: a.example, port: 80, as: x, servers: 10.0.0.2, max_ttl: 1m}}", NULL},
	{"{dns: {name: a, port: 80, servers: ['10.0.0.2:53', '::1', '[::1]:5353']}}", NULL},
	{"{dns: {name: a, port: 80, servers: [10.0.0.2, ns.example:53]}}",
	 "1:75: servers: found \"ns.example:53\"; expected an address such as 10.0.0.2, "
	 "10.0.0.2:5353 or \"[2001:db8::1]:53\""},
	{"{dns: {name: a.example, type: SRV}}", NULL},
	{"{dns: {name: a.example}}",
	 "1:35: found no \"port\" in the dns source; expected one unless type is SRV"},
	{"{dns: {name: a.example, type: SRV, port: 80}}",
	 "1:64: found a \"port\" for type SRV; expected none, as the records bring it"},
	{"{dns: {name: a.example, type: MX, port: 80}}",
	 "1:59: type: found \"MX\"; expected A, AAAA or SRV"},
	{"{file: {path: /x}}", NULL},
	{"{file: {path: /x, format: jsn}}",
	 "1:55: format: found \"jsn\"; expected yaml or json; did you mean \"json\"?"},
	{"[{file: {name: x, path: /x}}, {file: {name: y, path: /y}}]", NULL},
	{"{file: [{name: x, path: /x}, {name: y, path: /y}]}", NULL},
	{"{file: [{name: x, path: /x}, {path: /y}]}",
	 "1:58: found no \"name\" in one of several file sources of a pool; expected each "
	 "to have one of its own"},
	{"[{file: {name: x, path: /x}}, {dns: {as: x, name: y, port: 1}}]",
	 "1:70: as: found \"x\", which an earlier source of the pool is called, too; "
	 "expected another"},
	{"{file: {name: dns, path: /x}, dns: {name: x, port: 1}}",
	 "1:64: as: found \"dns\", which an earlier source of the pool is called, too; "
	 "expected another"},
	{"{file: {name: operator, path: /x}}",
	 "1:43: name: found \"operator\", which the proxy keeps for itself; expected "
	 "another"},
	{"{file: {name: Big, path: /x}}",
	 "1:43: name: found \"Big\", which does not begin with a small letter or a digit; "
	 "expected a name of at most 31 small letters, digits, \"_\", \"-\" and \".\""},
	{"{file: []}", "1:36: file: found 0 items; expected a list of 1 to 32 items"},
	{"{}", "1:29: found none in the discover part; expected ec2, asg, ecs, elbv2, "
	       "cloudmap, dns or file"},
	{"[]", "1:29: discover: found 0 items; expected a list of 1 to 16 items"},
	{"{consul: {}}", "1:29: found none in the discover part; expected ec2, asg, ecs, "
			 "elbv2, cloudmap, dns or file"},
};

START_TEST(every_source_of_targets_is_checked)
{
	for (size_t i = 0; i < COUNT(sources); i++) {
		char yaml[512];

		snprintf(yaml, sizeof(yaml), POOL_WITH("%s"), sources[i].discover);
		expect_first_error(yaml, sources[i].expected);
	}
}
END_TEST

START_TEST(what_sluice_control_reads_of_itself_is_checked)
{
	static const struct {
		const char *control;
		const char *expected; /* NULL: valid */
	} cases[] = {
		{"{}", NULL},
		{"{socket: /run/c.sock, mode: 0600, http: '127.0.0.1:9902', region: eu-west-1, "
		 "profile: p, endpoint: 'http://127.0.0.1:5000', ca_file: /ca, fips: true, "
		 "dual_stack: true, fleet_size: 30, api_rate: 2, last_good_max_age: 1h}",
		 NULL},
		{"{lifecycle: auto, lifecycle_hook: h}", NULL},
		{"{lifecycle_hook: h}",
		 "1:11: found \"lifecycle_hook\" without \"lifecycle: auto\"; expected both"},
		{"{queue: 'https://sqs.eu-west-1.amazonaws.com/1/q'}", NULL},
		{"{queue: auto, queue_topic: 'arn:aws-cn:sns:cn-north-1:1:t'}", NULL},
		{"{queue: auto}",
		 "1:18: queue: found \"auto\" without \"queue_topic\"; expected the ARN of an SNS "
		 "topic to subscribe the queue to"},
		{"{queue_topic: 'arn:aws:sns:r:1:t'}",
		 "1:11: found \"queue_topic\" without \"queue: auto\"; expected both, as a queue "
		 "of your own is subscribed by you"},
		{"{queue: on}",
		 "1:18: queue: found \"on\"; expected a URL such as https://host:8443"},
		{"{queue: auto, queue_topic: topic}",
		 "1:37: queue_topic: found \"topic\"; expected an ARN such as arn:aws:sns:..."},
		{"{fleet_size: 0}",
		 "1:23: fleet_size: found \"0\", which is too small; expected auto or a whole "
		 "number from 1 to 100000"},
		{"{endpoint: 'https:///x'}",
		 "1:21: endpoint: found \"https:///x\"; expected a URL such as "
		 "https://host:8443"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char yaml[512];

		snprintf(yaml, sizeof(yaml), "control: %s\n" VALID, cases[i].control);
		expect_first_error(yaml, cases[i].expected);
	}
}
END_TEST

/* --- the table itself --- */

struct table_check {
	unsigned keys;
	const char *flags[64];
	size_t flag_count;
};

/* Keys that go with some values of a selector need one, and that must be read before them. */
static void check_selector(const struct schema_map *map, const char *path)
{
	bool seen = false;

	for (size_t i = 0; i < map->count; i++) {
		const struct schema_key *key = &map->keys[i];

		seen |= map->selector && strcmp(key->name, map->selector) == 0;
		ck_assert_msg(!key->only_for || seen, "%s.%s", path, key->name);
	}
	ck_assert_msg(seen == (map->selector != NULL), "%s", path);
}

static bool check_row(const struct schema_key *key, const char *path, void *context)
{
	struct table_check *check = context;
	const char *why = "";
	uint64_t number;

	check->keys++;
	ck_assert_msg(key->doc && *key->doc, "%s says nothing", path);
	ck_assert_msg((key->kind == SCHEMA_ENUM) == (key->values != NULL), "%s", path);
	ck_assert_msg((key->kind == SCHEMA_MAP) == (key->map != NULL), "%s", path);
	ck_assert_msg((key->kind == SCHEMA_LIST) == (key->item != NULL), "%s", path);
	if (key->kind == SCHEMA_MAP)
		check_selector(key->map, path);
	ck_assert_msg(!key->flag == !key->variable && !key->flag == !key->metavar, "%s", path);
	if (key->fallback)
		ck_assert_msg(value_parse(key, key->fallback, &number, &why) == 0,
			      "default of %s %s", path, why);
	if (key->kind < SCHEMA_TEXT && !(key->flags & SCHEMA_REQUIRED) && !key->fallback)
		ck_assert_msg(strstr(path, "discover") != NULL, "%s has no default", path);
	for (size_t i = 0; key->flag && i < check->flag_count; i++)
		ck_assert_str_ne(check->flags[i], key->flag);
	if (key->flag)
		check->flags[check->flag_count++] = key->flag;
	return true;
}

START_TEST(the_table_is_consistent)
{
	struct table_check check = {0};

	ck_assert(schema_walk(&schema_root, check_row, &check));
	ck_assert_uint_gt(check.keys, 130);
	ck_assert_uint_gt(check.flag_count, 10);
}
END_TEST

static bool stop_at_balance(const struct schema_key *key, const char *path, void *context)
{
	*(int *)context += 1;
	return strcmp(path, "pools.balance") != 0;
}

START_TEST(a_walk_ends_when_told)
{
	int visited = 0;

	ck_assert(!schema_walk(&schema_root, stop_at_balance, &visited));
	ck_assert_int_gt(visited, 20);
}
END_TEST

/* --- completion --- */

static struct node *completed(const char *yaml)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of(yaml, &errors);

	schema_check(&schema_root, root, &errors);
	ck_assert_msg(!conf_failed(&errors), "%s", conf_error_text(&errors, 0));
	ck_assert_int_eq(schema_complete(&schema_root, root), 0);
	return root;
}

static const struct node *first(const struct node *root, const char *list)
{
	return node_get(root, list)->children[0];
}

START_TEST(defaults_fill_every_gap_in_the_tables_order)
{
	struct node *root = completed(VALID_POOLS VALID_LISTENERS "user: x\nworkers: 3\n");
	const struct schema_map *timeouts = schema_find(&schema_root, "timeouts")->map;

	ck_assert_str_eq(root->children[0]->name, "workers");
	ck_assert_str_eq(root->children[1]->name, "user");
	ck_assert_str_eq(root->children[root->count - 1]->name, "pools");
	ck_assert_uint_eq(schema_number(&schema_root, root, "workers"), 3);
	ck_assert_uint_eq(schema_number(&schema_root, root, "drain_timeout"), 25000);
	ck_assert_uint_eq(schema_number(timeouts, node_get(root, "timeouts"), "idle"), 3600000);
	ck_assert_ptr_null(node_get(root, "workers")->children);
	ck_assert_ptr_null(node_get(root, "lame_duck")->where.source);
	node_free(root);
}
END_TEST

START_TEST(shorthands_are_written_out)
{
	struct node *root = completed("log: json\n" VALID);
	const struct node *target = node_get(first(root, "pools"), "targets")->children[0];

	ck_assert_str_eq(schema_text(node_get(root, "log"), "format"), "json");
	ck_assert_str_eq(schema_text(node_get(root, "log"), "sample"), "1");
	ck_assert_str_eq(schema_text(target, "address"), "10.0.0.1:80");
	ck_assert_str_eq(schema_text(target, "weight"), "100");
	node_free(root);
}
END_TEST

START_TEST(keys_of_another_selection_get_no_default)
{
	struct node *root = completed(VALID_LISTENERS
				      "pools: [{name: p, targets: [\"a:1\"], health: tcp},\n"
				      "  {name: q, targets: [\"a:1\"], health: {type: http}}]\n");
	const struct node *tcp = node_get(first(root, "pools"), "health");
	const struct node *http = node_get(node_get(root, "pools")->children[1], "health");

	ck_assert_str_eq(schema_text(tcp, "type"), "tcp");
	ck_assert_str_eq(schema_text(tcp, "rise"), "2");
	ck_assert_ptr_null(node_get(tcp, "path"));
	ck_assert_str_eq(schema_text(http, "path"), "/");
	ck_assert_ptr_null(node_get(http, "expect"));
	node_free(root);
}
END_TEST

START_TEST(single_items_become_lists)
{
	struct node *root =
		completed(VALID_LISTENERS
			  "pools: [{name: p, source: 10.0.0.1, discover: {file: {path: /x}}}]\n");
	const struct node *pool = first(root, "pools");
	const struct node *discover = node_get(pool, "discover");

	ck_assert_int_eq(node_get(pool, "source")->kind, NODE_SEQUENCE);
	ck_assert_str_eq(node_get(pool, "source")->children[0]->text, "10.0.0.1");
	ck_assert_int_eq(discover->kind, NODE_SEQUENCE);
	const struct node *files = node_get(discover->children[0], "file");

	ck_assert_int_eq(files->kind, NODE_SEQUENCE);
	ck_assert_str_eq(schema_text(files->children[0], "format"), "yaml");
	ck_assert_str_eq(schema_text(files->children[0], "name"), "file");
	node_free(root);
}
END_TEST

START_TEST(inheritance_is_per_key)
{
	struct node *root = completed(
		"timeouts: {connect: 7s, idle: 9s}\n"
		"tcp: {keepalive: {idle: 11s, count: 5}, congestion: reno}\n"
		"relay: copy\n"
		"listeners: [{name: a, bind: \":80\", pool: p, tcp: {keepalive: off}}]\n"
		"pools: [{name: p, targets: [\"a:1\"], timeouts: {idle: 1s}, relay: splice,\n"
		"  tcp: {keepalive: {idle: 12s}, fast_open: true}},\n"
		"  {name: q, targets: [\"a:1\"]}]\n");
	const struct node *pool = first(root, "pools");
	const struct node *other = node_get(root, "pools")->children[1];
	const struct node *keepalive = node_get(node_get(pool, "tcp"), "keepalive");

	ck_assert_str_eq(schema_text(node_get(pool, "timeouts"), "connect"), "7s");
	ck_assert_str_eq(schema_text(node_get(pool, "timeouts"), "idle"), "1s");
	ck_assert_str_eq(schema_text(node_get(pool, "timeouts"), "half_close"), "30s");
	ck_assert_str_eq(schema_text(keepalive, "idle"), "12s");
	ck_assert_str_eq(schema_text(keepalive, "count"), "5");
	ck_assert_str_eq(schema_text(keepalive, "interval"), "10s");
	ck_assert_str_eq(schema_text(node_get(pool, "tcp"), "congestion"), "reno");
	ck_assert_str_eq(schema_text(pool, "relay"), "splice");
	ck_assert_str_eq(schema_text(other, "relay"), "copy");
	ck_assert_str_eq(schema_text(node_get(other, "tcp"), "fast_open"), "false");
	ck_assert_str_eq(schema_text(node_get(first(root, "listeners"), "tcp"), "keepalive"),
			 "off");
	node_free(root);
}
END_TEST

START_TEST(keepalive_can_be_on_again_below_a_root_that_has_it_off)
{
	struct node *root =
		completed("tcp: {keepalive: off}\n" VALID_LISTENERS
			  "pools: [{name: p, targets: [\"a:1\"], tcp: {keepalive: {idle: 5s}}}]\n");
	const struct node *keepalive = node_get(node_get(first(root, "pools"), "tcp"), "keepalive");

	ck_assert_str_eq(schema_text(keepalive, "count"), "3");
	ck_assert_str_eq(schema_text(node_get(first(root, "listeners"), "tcp"), "keepalive"),
			 "off");
	node_free(root);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		unknown_keys_are_named_with_their_nearest_kin,
		values_of_the_wrong_shape_are_described,
		numbers_say_what_is_wrong_with_them,
		booleans_say_that_they_are_strict,
		required_keys_are_missed_at_their_mapping,
		empty_lists_of_listeners_are_refused,
		every_source_of_targets_is_checked,
		what_sluice_control_reads_of_itself_is_checked,
		the_table_is_consistent,
		a_walk_ends_when_told,
		defaults_fill_every_gap_in_the_tables_order,
		shorthands_are_written_out,
		keys_of_another_selection_get_no_default,
		single_items_become_lists,
		inheritance_is_per_key,
		keepalive_can_be_on_again_below_a_root_that_has_it_off,
	};

	return run_tests("schema", tests, COUNT(tests));
}
