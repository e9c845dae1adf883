/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets from DNS, asked of a name server in the same loop: what becomes of each kind of record,
 * and that nothing a resolver says when it is at fault is an empty set.
 */
/* link: -Wl,--wrap=ares_init_options */
#include <ares.h>

#include "tests/unit/dns_rig.h"

static struct source_rig rig;
static struct dns_rig server;

int __real_ares_init_options(ares_channel *channel, struct ares_options *options, int mask);
int __wrap_ares_init_options(ares_channel *channel, struct ares_options *options, int mask);

/* A server that keeps silent is given up on within a second instead of ten. */
int __wrap_ares_init_options(ares_channel *channel, struct ares_options *options, int mask)
{
	ck_assert(mask & ARES_OPT_TIMEOUTMS);
	if (server.silent)
		options->timeout = 50;
	return __real_ares_init_options(channel, options, mask);
}

/* `keys` beside the server's address. */
static void open_dns(const char *keys, const char *const *zone)
{
	char yaml[512];

	snprintf(yaml, sizeof(yaml), "servers: \"127.0.0.1:%u\"\n%s", server.port, keys);
	rig_open(&rig, &source_dns, NULL, yaml);
	server.zone = zone;
	dns_rig_run(&server, &rig.loop);
}

#define ZONE(...) ((const char *const[]){__VA_ARGS__, NULL})

static void setup(void)
{
	dns_rig_bind(&server);
}

static void teardown(void)
{
	rig_close(&rig);
	dns_rig_close(&server);
}

START_TEST(every_address_of_a_name_is_a_target)
{
	open_dns("name: api.test\nport: 80\n",
		 ZONE("api.test A 60 10.0.0.2", "api.test A 60 10.0.0.1", "api.test AAAA 5 ::1"));
	expect_answer(&rig, "10.0.0.1:80\n10.0.0.2:80");
}
END_TEST

START_TEST(ipv6_addresses_are_asked_for_by_type)
{
	open_dns("name: API.test.\nport: 80\ntype: AAAA\nweight: 7\nbackup: true\n",
		 ZONE("api.test A 60 10.0.0.2", "api.test AAAA 60 2001:db8::1"));
	expect_answer(&rig, "[2001:db8::1]:80 weight=7 backup");
}
END_TEST

START_TEST(aliases_are_followed)
{
	open_dns(
		"name: api.test\nport: 80\n",
		ZONE("api.test CNAME 60 b.test", "b.test CNAME 60 C.test", "c.test A 60 10.0.0.1"));
	expect_answer(&rig, "10.0.0.1:80");
}
END_TEST

START_TEST(an_alias_of_nothing_is_no_empty_set)
{
	open_dns("name: api.test\nport: 80\n",
		 ZONE("api.test CNAME 60 b.test", "b.test AAAA 60 ::1"));
	expect_answer(&rig, "failed: nodata");
}
END_TEST

static const struct {
	const char *keys;
	const char *const *zone;
	uint32_t wanted_ms;
} ttls[] = {
	{"", ZONE("a.test A 20 10.0.0.1"), 20000},
	{"", ZONE("a.test A 20 10.0.0.1", "a.test A 5 10.0.0.2"), 5000},
	{"", ZONE("a.test CNAME 3 b.test", "b.test A 20 10.0.0.1"), 3000},
	{"", ZONE("a.test A 0 10.0.0.1"), 1000},
	{"min_ttl: 500ms\n", ZONE("a.test A 0 10.0.0.1"), 500},
	{"", ZONE("a.test A 3000000000 10.0.0.1"), 1000}, /* RFC 2181: counts as 0 */
	{"", ZONE("a.test A 86400 10.0.0.1"), 30000},
	{"max_ttl: 5m\n", ZONE("a.test A 86400 10.0.0.1"), 300000},
	{"max_ttl: 5m\n", ZONE("a.test A 250 10.0.0.1"), 250000},
	{"interval: 10s\n", ZONE("a.test A 86400 10.0.0.1"), 10000},
};

START_TEST(the_shortest_ttl_is_honoured_within_bounds)
{
	char keys[64];

	snprintf(keys, sizeof(keys), "name: a.test\nport: 80\n%s", ttls[_i].keys);
	open_dns(keys, ttls[_i].zone);
	rig_fetch(&rig);
	ck_assert_ptr_nonnull(rig.set);
	ck_assert_uint_eq(rig.source->wanted_interval_ms, ttls[_i].wanted_ms);
}
END_TEST

/* FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED. Which of them are told apart once every server has
 * answered so depends on the version of c-ares. */
static const int refusals[] = {1, 2, 3, 4, 5};

START_TEST(no_kind_of_negative_answer_is_an_empty_set)
{
	open_dns("name: api.test\nport: 80\n", ZONE("api.test A 60 10.0.0.1"));
	expect_answer(&rig, "10.0.0.1:80");
	server.rcode = refusals[_i];
	rig_fetch(&rig);
	ck_assert_ptr_null(rig.set);
	expect_problem(&rig, "A records of api.test: ");
	if (server.rcode == 3)
		ck_assert_str_eq(rig.kind, "nxdomain");
	server.rcode = 0;
	expect_answer(&rig, "10.0.0.1:80");
}
END_TEST

START_TEST(a_name_without_such_records_is_no_empty_set)
{
	open_dns("name: api.test\nport: 80\n", ZONE("api.test AAAA 60 ::1"));
	expect_answer(&rig, "failed: nodata");
}
END_TEST

START_TEST(a_server_that_keeps_silent_is_given_up_on)
{
	server.silent = true;
	open_dns("name: api.test\nport: 80\n", ZONE("api.test A 60 10.0.0.1"));
	expect_answer(&rig, "failed: timeout");
	ck_assert_uint_eq(server.questions, 3);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_said_to_be_unreachable)
{
	open_dns("name: api.test\nport: 80\n", ZONE("api.test A 60 10.0.0.1"));
	dns_rig_close(&server);
	expect_answer(&rig, "failed: unreachable");
}
END_TEST

START_TEST(the_second_server_answers_when_the_first_is_down)
{
	char yaml[128];

	snprintf(yaml, sizeof(yaml),
		 "{name: a.test, port: 80, servers: [\"127.0.0.1:1\", \"127.0.0.1:%u\"]}",
		 server.port);
	rig_open(&rig, &source_dns, NULL, yaml);
	server.zone = ZONE("a.test A 60 10.0.0.1");
	dns_rig_run(&server, &rig.loop);
	expect_answer(&rig, "10.0.0.1:80");
}
END_TEST

START_TEST(an_answer_that_is_cut_in_a_record_is_not_believed)
{
	open_dns("name: api.test\nport: 80\n",
		 ZONE("api.test A 60 10.0.0.1", "api.test A 60 10.0.0.2"));
	server.garbage = true;
	expect_answer(&rig, "failed: garbage");
}
END_TEST

START_TEST(what_does_not_fit_comes_over_tcp_whole)
{
	static char lines[400][48];
	static const char *zone[401];

	for (unsigned i = 0; i < 400; i++) {
		snprintf(lines[i], sizeof(lines[i]), "api.test A 60 10.1.%u.%u", i / 200, i % 200);
		zone[i] = lines[i];
	}
	open_dns("name: api.test\nport: 80\n", zone);
	server.truncate = true;
	rig_fetch(&rig);
	ck_assert_uint_eq(target_set_count(rig.set), 400);
	ck_assert_uint_eq(server.tcp_questions, 1);
}
END_TEST

#define SRV "name: _x._tcp.test\ntype: SRV\n"

START_TEST(services_bring_ports_and_weights_and_higher_priorities_are_backup)
{
	server.additional = true;
	open_dns(SRV, ZONE("_x._tcp.test SRV 60 10 5 8001 a.test",
			   "_x._tcp.test SRV 60 10 0 8002 b.test",
			   "_x._tcp.test SRV 60 20 9 8003 C.test", "a.test A 60 10.0.0.1",
			   "b.test A 9 10.0.0.2", "c.test AAAA 60 2001:db8::3"));
	expect_answer(&rig, "10.0.0.1:8001 id=a.test weight=5\n"
			    "10.0.0.2:8002 id=b.test weight=1\n"
			    "[2001:db8::3]:8003 id=c.test weight=9 backup");
	ck_assert_uint_eq(server.questions, 1);
	ck_assert_uint_eq(rig.source->wanted_interval_ms, 9000);
}
END_TEST

START_TEST(hosts_of_services_are_asked_for_when_they_do_not_come_along)
{
	open_dns(SRV,
		 ZONE("_x._tcp.test SRV 60 0 0 8001 a.test", "_x._tcp.test SRV 60 0 0 8002 a.test",
		      "_x._tcp.test SRV 60 0 0 8001 b.test", "a.test CNAME 60 real.test",
		      "real.test A 4 10.0.0.1", "real.test AAAA 60 ::1",
		      "b.test AAAA 60 2001:db8::2"));
	expect_answer(&rig, "10.0.0.1:8001 id=a.test\n10.0.0.1:8002 id=a.test\n"
			    "[2001:db8::2]:8001 id=b.test");
	ck_assert_uint_eq(server.questions, 4); /* SRV, a A, b A, b AAAA */
	ck_assert_uint_eq(rig.source->wanted_interval_ms, 4000);
}
END_TEST

START_TEST(great_weights_are_scaled_and_shared_by_the_addresses_of_a_host)
{
	server.additional = true;
	open_dns(SRV, ZONE("_x._tcp.test SRV 60 0 60000 80 a.test",
			   "_x._tcp.test SRV 60 0 30000 80 b.test", "a.test A 60 10.0.0.1",
			   "a.test A 60 10.0.0.2", "b.test A 60 10.0.0.3"));
	expect_answer(&rig, "10.0.0.1:80 id=a.test weight=500\n10.0.0.2:80 id=a.test weight=500\n"
			    "10.0.0.3:80 id=b.test weight=500");
}
END_TEST

START_TEST(one_host_that_cannot_be_resolved_fails_all_services)
{
	open_dns(SRV, ZONE("_x._tcp.test SRV 60 0 0 80 a.test", "_x._tcp.test SRV 60 0 0 80 b.test",
			   "a.test A 60 10.0.0.1"));
	expect_answer(&rig, "failed: nxdomain");
	expect_problem(&rig, "records of b.test");
	server.zone = ZONE("_x._tcp.test SRV 60 0 0 80 a.test", "a.test A 60 10.0.0.1");
	server.rcode = 2;
	server.rcode_of_type = DNS_A;
	rig_fetch(&rig);
	ck_assert_ptr_null(rig.set);
	expect_problem(&rig, "A records of a.test: ");
}
END_TEST

START_TEST(a_root_target_says_that_there_is_no_service)
{
	open_dns(SRV, ZONE("_x._tcp.test SRV 60 0 0 0 ."));
	expect_answer(&rig, "");
}
END_TEST

START_TEST(services_that_are_missing_are_no_empty_set)
{
	open_dns(SRV, ZONE("_x._tcp.test A 60 10.0.0.1"));
	expect_answer(&rig, "failed: nodata");
	server.zone = ZONE("other.test A 60 10.0.0.1");
	expect_answer(&rig, "failed: nxdomain");
}
END_TEST

START_TEST(a_service_with_port_0_is_not_believed)
{
	server.additional = true;
	open_dns(SRV, ZONE("_x._tcp.test SRV 60 0 0 0 a.test", "a.test A 60 10.0.0.1"));
	expect_answer(&rig, "failed: garbage");
}
END_TEST

START_TEST(a_source_closed_while_it_asks_is_silent)
{
	server.silent = true;
	open_dns("name: api.test\nport: 80\n", ZONE("api.test A 60 10.0.0.1"));
	source_dns.fetch(rig.source);
	while (!server.questions)
		loop_turn(&rig.loop);
	ck_assert_uint_eq(rig.answers, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_source_dns");
	TCase *tcase = tcase_create("all");
	const TTest *const tests[] = {
		every_address_of_a_name_is_a_target,
		ipv6_addresses_are_asked_for_by_type,
		aliases_are_followed,
		an_alias_of_nothing_is_no_empty_set,
		a_name_without_such_records_is_no_empty_set,
		a_server_that_keeps_silent_is_given_up_on,
		a_server_that_is_not_there_is_said_to_be_unreachable,
		the_second_server_answers_when_the_first_is_down,
		an_answer_that_is_cut_in_a_record_is_not_believed,
		what_does_not_fit_comes_over_tcp_whole,
		services_bring_ports_and_weights_and_higher_priorities_are_backup,
		hosts_of_services_are_asked_for_when_they_do_not_come_along,
		great_weights_are_scaled_and_shared_by_the_addresses_of_a_host,
		one_host_that_cannot_be_resolved_fails_all_services,
		a_root_target_says_that_there_is_no_service,
		services_that_are_missing_are_no_empty_set,
		a_service_with_port_0_is_not_believed,
		a_source_closed_while_it_asks_is_silent,
	};

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, the_shortest_ttl_is_honoured_within_bounds, 0, COUNT(ttls));
	tcase_add_loop_test(tcase, no_kind_of_negative_answer_is_an_empty_set, 0, COUNT(refusals));
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
