/* SPDX-License-Identifier: Apache-2.0
 *
 * What a few lines of an haproxy.cfg become. Each result is loaded as the proxy would, so what is
 * looked at has been through libyaml; whole files are in tests/net/haproxy/.
 */
#include <errno.h>

#include "control/ctl/haproxy/haproxy.h"
#include "proxy/model.h"
#include "tests/unit/conf_rig.h"

#define SERVER  "server s 10.0.0.1:80\n"
#define TIMES   "timeout connect 1s\ntimeout client 2s\ntimeout server 3s\n"
#define BIND    "bind 127.0.0.1:7000\n"
#define LISTEN  "listen l\n" BIND TIMES
#define MINIMAL LISTEN SERVER

struct import {
	struct hap hap;
	char *text;
	struct config *config; /* NULL: nothing was carried */
	const struct pool_conf *pool;
	const struct listener_conf *listener;
};

static struct import import_bytes(const char *bytes, size_t size)
{
	struct import import = {0};
	size_t text_size;
	FILE *out = open_memstream(&import.text, &text_size);

	hap_read(&import.hap, "t.cfg", bytes, size);
	int err = hap_convert(&import.hap, out);

	fclose(out);
	if (err < 0) {
		ck_assert_int_eq(err, -ENOENT);
		ck_assert_uint_eq(text_size, 0);
		return import;
	}
	import.config = load_valid(import.text);
	import.pool = &import.config->pools[0];
	import.listener = &import.config->listeners[0];
	return import;
}

static struct import import_text(const char *text)
{
	return import_bytes(text, strlen(text));
}

static void import_fini(struct import *import)
{
	if (import->config)
		config_free(import->config);
	free(import->text);
	hap_fini(&import->hap);
}

static size_t lost(const struct import *import)
{
	return hap_notes_count(&import->hap, HAP_LOST);
}

#define assert_says(import, what)                                                                  \
	ck_assert_msg(strstr((import)->text, (what)) != NULL, "no \"%s\" in\n%s", (what),          \
		      (import)->text)

START_TEST(a_listen_becomes_a_listener_and_a_pool)
{
	struct import import = import_text(MINIMAL);

	ck_assert_uint_eq(import.config->listener_count, 1);
	ck_assert_uint_eq(import.config->pool_count, 1);
	ck_assert_str_eq(import.listener->name, "l");
	ck_assert_uint_eq(import.listener->bind.port, 7000);
	ck_assert_uint_eq(import.pool->target_count, 1);
	ck_assert_uint_eq(lost(&import), 0);
	import_fini(&import);
}
END_TEST

START_TEST(a_file_without_a_pair_of_both_is_none)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"global\nmaxconn 5\n",
		"frontend f\n" BIND,
		"backend b\n" SERVER,
		"listen l\nmode http\n" BIND SERVER,
		"listen l\ndisabled\n" BIND SERVER,
		"listen l\n" SERVER,
		LISTEN,
		"frontend f\n" BIND "default_backend b\n",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct import import = import_text(texts[i]);

		ck_assert_msg(!import.config, "%s", texts[i]);
		import_fini(&import);
	}
}
END_TEST

START_TEST(the_shorter_timeout_is_the_idle_one_unless_there_is_a_tunnel)
{
	struct import import = import_text(MINIMAL);

	ck_assert_uint_eq(import.pool->timeouts.connect_ms, 1000);
	ck_assert_uint_eq(import.pool->timeouts.idle_ms, 2000);
	ck_assert_uint_eq(import.pool->timeouts.half_close_ms, 2000);
	import_fini(&import);
	import = import_text(MINIMAL "timeout tunnel 1h\ntimeout server-fin 7s\n");
	ck_assert_uint_eq(import.pool->timeouts.idle_ms, 3600000);
	ck_assert_uint_eq(import.pool->timeouts.half_close_ms, 7000);
	import_fini(&import);
}
END_TEST

START_TEST(without_timeouts_nothing_ends_a_session)
{
	struct import import = import_text("listen l\n" BIND SERVER);

	ck_assert_uint_eq(import.pool->timeouts.connect_ms, 3600000);
	ck_assert_uint_eq(import.pool->timeouts.idle_ms, 0);
	ck_assert_uint_eq(import.pool->timeouts.half_close_ms, 0);
	import_fini(&import);
}
END_TEST

START_TEST(a_backend_has_the_timeout_of_its_most_hasty_frontend)
{
	struct import import =
		import_text("frontend f\nbind :1\ntimeout client 9s\ndefault_backend b\n"
			    "frontend g\nbind :2\ntimeout client 4s\ndefault_backend b\n"
			    "backend b\ntimeout server 8s\n" SERVER);

	ck_assert_uint_eq(import.pool->timeouts.idle_ms, 4000);
	import_fini(&import);
}
END_TEST

START_TEST(a_use_backend_without_a_condition_is_the_default)
{
	struct import import =
		import_text("frontend f\nbind :1\nuse_backend x if y\nuse_backend a\n"
			    "default_backend b\n"
			    "backend b\n" SERVER "backend a\n" SERVER);

	ck_assert_str_eq(import.config->pools[import.listener->pool].name, "a");
	ck_assert_uint_eq(lost(&import), 1);
	import_fini(&import);
}
END_TEST

START_TEST(defaults_are_the_last_ones_or_those_that_are_named)
{
	struct import import =
		import_text("defaults a\nretries 5\nmode tcp\n"
			    "defaults b from a\ntimeout queue 1s\n"
			    "defaults c\nretries 1\n"
			    "listen one\nbind :1\n" SERVER "listen two from b\nbind :2\n" SERVER);

	ck_assert_uint_eq(import.config->pools[0].retries, 1);
	ck_assert_uint_eq(import.config->pools[1].retries, 5);
	import_fini(&import);
}
END_TEST

START_TEST(what_haproxy_does_not_do_is_turned_off)
{
	struct import import = import_text(MINIMAL);

	ck_assert_uint_eq(import.pool->outlier.failures, 0);
	ck_assert_uint_eq(import.pool->retries, 3);
	ck_assert_uint_eq(import.pool->retry_budget_percent, 100);
	ck_assert_int_eq(import.pool->health.kind, HEALTH_OFF);
	import_fini(&import);
}
END_TEST

START_TEST(every_balance_has_its_like)
{
	static const struct {
		const char *line;
		enum balance_kind balance;
		size_t lost;
	} cases[] = {
		{"balance roundrobin\n", BALANCE_ROUND_ROBIN, 0},
		{"balance static-rr\n", BALANCE_ROUND_ROBIN, 0},
		{"balance leastconn\n", BALANCE_LEAST_CONNECTIONS, 0},
		{"balance first\n", BALANCE_FIRST, 0},
		{"balance source\n", BALANCE_MAGLEV, 0},
		{"balance random\n", BALANCE_RANDOM_TWO, 0},
		{"balance random(2)\n", BALANCE_RANDOM_TWO, 0},
		{"balance hdr(host)\n", BALANCE_ROUND_ROBIN, 1},
		{"", BALANCE_ROUND_ROBIN, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[512];

		snprintf(text, sizeof(text), MINIMAL "%s", cases[i].line);
		struct import import = import_text(text);

		ck_assert_msg(import.pool->balance == cases[i].balance, "%s", cases[i].line);
		ck_assert_msg(lost(&import) == cases[i].lost, "%s", cases[i].line);
		import_fini(&import);
	}
}
END_TEST

START_TEST(weights_are_one_where_another_server_has_some)
{
	struct import import =
		import_text(LISTEN "server a 10.0.0.1:1 weight 7\nserver b 10.0.0.2:1\n"
				   "server c 10.0.0.3:1 disabled\n");

	ck_assert_uint_eq(import.pool->targets[0].weight, 7);
	ck_assert_uint_eq(import.pool->targets[1].weight, 1);
	ck_assert_uint_eq(import.pool->targets[2].weight, 0);
	import_fini(&import);
}
END_TEST

START_TEST(a_server_begins_with_what_default_server_said_before_it)
{
	struct import import = import_text(
		LISTEN "server a 10.0.0.1:1\n"
		       "default-server maxconn 5 backup send-proxy no-send-proxy\n"
		       "server b 10.0.0.2:1\nserver c 10.0.0.3:1 maxconn 9 no-backup\n");

	ck_assert_uint_eq(import.pool->targets[0].max_connections, 0);
	ck_assert_uint_eq(import.pool->targets[1].max_connections, 5);
	ck_assert(import.pool->targets[1].backup);
	ck_assert_uint_eq(import.pool->targets[2].max_connections, 9);
	ck_assert(!import.pool->targets[2].backup);
	ck_assert_uint_gt(import.pool->queue_size, 0);
	ck_assert_uint_eq(import.pool->queue_timeout_ms, 1000);
	import_fini(&import);
}
END_TEST

START_TEST(a_server_without_a_port_has_that_of_its_clients)
{
	struct import import = import_text(LISTEN "server a 10.0.0.1\nserver b 10.0.0.2:+10\n");

	ck_assert_uint_eq(import.pool->targets[0].addr.port, 7000);
	ck_assert_uint_eq(import.pool->targets[1].addr.port, 7010);
	import_fini(&import);
	import = import_text(LISTEN "bind :7001\nserver a 10.0.0.1\n" SERVER);
	ck_assert_uint_eq(import.pool->target_count, 1);
	ck_assert_uint_eq(lost(&import), 1);
	import_fini(&import);
}
END_TEST

START_TEST(an_address_that_is_taken_is_left_out)
{
	struct import import =
		import_text(LISTEN SERVER "server twin 10.0.0.1:80\nserver s 10.0.0.2:80\n");

	ck_assert_uint_eq(import.pool->target_count, 2);
	ck_assert_str_eq(import.pool->targets[0].id, "s");
	ck_assert_msg(!import.pool->targets[1].id, "two of one id");
	assert_says(&import, "\"s\" has this address already");
	import_fini(&import);
}
END_TEST

START_TEST(a_redis_script_is_sent_at_once_and_its_longest_answer_awaited)
{
	struct import import = import_text(
		LISTEN "option tcp-check\ntcp-check connect\ntcp-check send PING\\r\\n\n"
		       "tcp-check expect string +PONG\ntcp-check send info\\ replication\\r\\n\n"
		       "tcp-check expect string role:master\n"
		       "server s 10.0.0.1:6379 check inter 1s rise 4 fall 5\n");
	const struct health_conf *health = &import.pool->health;
	static const char sent[] = "PING\r\ninfo replication\r\n";

	ck_assert_int_eq(health->kind, HEALTH_SEND_EXPECT);
	ck_assert_uint_eq(health->send.size, strlen(sent));
	ck_assert_mem_eq(health->send.data, sent, strlen(sent));
	ck_assert_mem_eq(health->expect.data, "role:master", health->expect.size);
	ck_assert_uint_eq(health->interval_ms, 1000);
	ck_assert_uint_eq(health->fast_interval_ms, 1000);
	ck_assert_uint_eq(health->rise, 4);
	ck_assert_uint_eq(health->fall, 5);
	assert_says(&import, "t.cfg:9: tcp-check expect string +PONG");
	ck_assert_uint_eq(lost(&import), 1);
	import_fini(&import);
}
END_TEST

START_TEST(an_http_check_keeps_its_request_and_range)
{
	struct import import = import_text(
		LISTEN
		"option httpchk HEAD /up HTTP/1.1\\r\\nHost:\\ a.example\n"
		"http-check expect status 200-204,301\nserver s 10.0.0.1:80 check port 81\n");
	const struct health_conf *health = &import.pool->health;

	ck_assert_int_eq(health->kind, HEALTH_HTTP);
	ck_assert_str_eq(health->method, "HEAD");
	ck_assert_str_eq(health->path, "/up");
	ck_assert_str_eq(health->host, "a.example");
	ck_assert_uint_eq(health->status_low, 200);
	ck_assert_uint_eq(health->status_high, 301);
	ck_assert_uint_eq(health->port, 81);
	import_fini(&import);
}
END_TEST

START_TEST(all_of_ipv4_is_not_all_of_ipv6)
{
	struct import import = import_text("listen l\nbind :1\nbind :::2\nbind ipv6@*:3 v6only\n"
					   "bind :::1\n" SERVER);
	const struct listener_conf *listeners = import.config->listeners;

	ck_assert_uint_eq(import.config->listener_count, 4);
	ck_assert_int_eq(listeners[0].bind.family, AF_INET);
	ck_assert_int_eq(listeners[1].bind.family, AF_INET6);
	ck_assert(!listeners[1].v6_only);
	ck_assert(listeners[2].v6_only);
	ck_assert_msg(listeners[3].v6_only, "it would overlap with the first");
	import_fini(&import);
}
END_TEST

START_TEST(proxy_headers_are_asked_of_those_who_were_named)
{
	struct import import = import_text(
		MINIMAL "bind :8000 accept-proxy\n"
			"tcp-request connection expect-proxy layer4 if { src 10.0.0.0/8 ::1 }\n");
	const struct listener_conf *listeners = import.config->listeners;

	ck_assert_int_eq(listeners[0].proxy_protocol, PROXY_ACCEPT_REQUIRED);
	ck_assert_uint_eq(listeners[0].trusted_count, 2);
	ck_assert_uint_eq(listeners[0].trusted[0].bits, 8);
	ck_assert_uint_eq(listeners[1].trusted[0].bits, 0);
	import_fini(&import);
}
END_TEST

START_TEST(names_are_made_valid_and_stay_apart)
{
	struct import import =
		import_text("listen Web:1\nbind :1\nbind :2\n" SERVER
			    "listen web-1\nbind :3\n" SERVER "listen ---\nbind :4 name Zoe\n" SERVER
			    "listen a-name-of-more-than-thirty-one-bytes\nbind :5,:6\n" SERVER);
	static const char *const names[] = {"web-1",
					    "web-1-2",
					    "web-1-3",
					    "zoe",
					    "a-name-of-more-than-thirty-one-",
					    "a-name-of-more-than-thirty-on-2"};

	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_str_eq(import.config->listeners[i].name, names[i]);
	ck_assert_str_eq(import.config->pools[1].name, "web-1-2");
	import_fini(&import);
}
END_TEST

START_TEST(a_path_survives_whatever_is_in_it)
{
	struct import import =
		import_text(LISTEN "server s 'unix@/run/a: #b \"c\" \\d'\n"
				   "server 'null' 10.0.0.1:1\nserver '*a' 10.0.0.2:1\n");

	ck_assert_str_eq(import.pool->targets[0].addr.path, "/run/a: #b \"c\" \\d");
	ck_assert_str_eq(import.pool->targets[1].id, "null");
	ck_assert_str_eq(import.pool->targets[2].id, "*a");
	import_fini(&import);
}
END_TEST

START_TEST(a_comment_cannot_end_early)
{
	struct import import = import_text(MINIMAL "bogus a\rb \xff \xf6\x9b\x9a\x99 \xef\xbf\xbf "
						   "\xc2\x85pools: [] \xe2\x80\xa8\x1b[31m\n");

	ck_assert_uint_eq(import.config->pool_count, 1);
	ck_assert_uint_eq(lost(&import), 1);
	assert_says(&import, "t.cfg:7: bogus a");
	import_fini(&import);
}
END_TEST

START_TEST(lines_that_go_on_count_as_they_stand)
{
	struct import import = import_text(MINIMAL "retries \\\n  6\nbogus\n");

	ck_assert_uint_eq(import.pool->retries, 6);
	assert_says(&import, "t.cfg:9: bogus");
	import_fini(&import);
}
END_TEST

START_TEST(a_line_with_a_nul_is_left_out)
{
	static const char text[] = MINIMAL "retries 5\0 6\n";
	struct import import = import_bytes(text, sizeof(text) - 1);

	ck_assert_uint_eq(import.pool->retries, 3);
	ck_assert_uint_eq(lost(&import), 1);
	import_fini(&import);
}
END_TEST

START_TEST(what_depends_on_a_condition_is_left_out)
{
	struct import import =
		import_text(MINIMAL ".if defined(X)\nretries 5\n.if defined(Y)\n.endif\n"
				    "retries 6\n.endif\nretries 4\n");

	ck_assert_uint_eq(import.pool->retries, 4);
	ck_assert_uint_eq(lost(&import), 6);
	import_fini(&import);
}
END_TEST

START_TEST(values_out_of_bounds_become_the_bound)
{
	struct import import = import_text("global\nmaxconn 99999999999\nlisten l\n" BIND
					   "timeout connect 3d\nretries 100\nserver s 10.0.0.1:80 "
					   "check inter 1ms weight 9999\n");

	ck_assert_uint_eq(import.pool->timeouts.connect_ms, 3600000);
	ck_assert_uint_eq(import.pool->retries, 7);
	ck_assert_uint_eq(import.pool->health.interval_ms, 10);
	ck_assert_uint_eq(import.pool->targets[0].weight, 1000);
	ck_assert_uint_ge(lost(&import), 5);
	import_fini(&import);
}
END_TEST

START_TEST(notes_on_defaults_stand_once_and_only_if_they_are_used)
{
	struct import import =
		import_text("defaults a\nbogus-a\ndefaults b\nbogus-b\nretries 50\n"
			    "listen l\nbind :1\n" SERVER "listen m\nbind :2\n" SERVER);

	ck_assert_ptr_null(strstr(import.text, "bogus-a"));
	assert_says(&import, "t.cfg:4: bogus-b");
	ck_assert_uint_eq(lost(&import), 2);
	import_fini(&import);
}
END_TEST

START_TEST(more_notes_than_anyone_reads_are_counted)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs(MINIMAL, out);
	for (unsigned i = 0; i < 4100; i++)
		fprintf(out, "bogus%u\n", i);
	fclose(out);
	struct import import = import_bytes(text, size);

	ck_assert_uint_eq(lost(&import), 4100);
	assert_says(&import, "# And 100 more.");
	import_fini(&import);
	free(text);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		a_listen_becomes_a_listener_and_a_pool,
		a_file_without_a_pair_of_both_is_none,
		the_shorter_timeout_is_the_idle_one_unless_there_is_a_tunnel,
		without_timeouts_nothing_ends_a_session,
		a_backend_has_the_timeout_of_its_most_hasty_frontend,
		a_use_backend_without_a_condition_is_the_default,
		defaults_are_the_last_ones_or_those_that_are_named,
		what_haproxy_does_not_do_is_turned_off,
		every_balance_has_its_like,
		weights_are_one_where_another_server_has_some,
		a_server_begins_with_what_default_server_said_before_it,
		a_server_without_a_port_has_that_of_its_clients,
		an_address_that_is_taken_is_left_out,
		a_redis_script_is_sent_at_once_and_its_longest_answer_awaited,
		an_http_check_keeps_its_request_and_range,
		all_of_ipv4_is_not_all_of_ipv6,
		proxy_headers_are_asked_of_those_who_were_named,
		names_are_made_valid_and_stay_apart,
		a_path_survives_whatever_is_in_it,
		a_comment_cannot_end_early,
		lines_that_go_on_count_as_they_stand,
		a_line_with_a_nul_is_left_out,
		what_depends_on_a_condition_is_left_out,
		values_out_of_bounds_become_the_bound,
		notes_on_defaults_stand_once_and_only_if_they_are_used,
		more_notes_than_anyone_reads_are_counted,
	};

	return run_tests("ctl_haproxy_convert", tests, COUNT(tests));
}
