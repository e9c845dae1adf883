/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting the sessions of a Maglev pool whose clients are hidden behind a trusted balancer, and
 * when that is all of them.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait */
#include "tests/unit/session_rig.h"

static struct listener_counts *counts(void)
{
	return &rig.snapshot->listeners[0]->counts[0].c;
}

static void serve_one(void)
{
	rig_relay();
	close(rig.client);
	close(rig.server);
	rig.client = rig.server = -1;
	rig_until(!rig.env.session_count);
}

START_TEST(session_of_a_trusted_balancer_is_counted)
{
	rig_open_with(", trusted: [127.0.0.0/8]", ", balance: maglev", "@", "log: json");
	serve_one();
	ck_assert_uint_eq(counts()->keyed, 1);
	ck_assert_uint_eq(counts()->keyed_trusted, 1);
	rig_close();
}
END_TEST

START_TEST(session_of_anybody_else_is_no_sign_of_hiding)
{
	rig_open_with(", trusted: [192.0.2.0/24]", ", balance: maglev", "@", "log: json");
	serve_one();
	ck_assert_uint_eq(counts()->keyed, 1);
	ck_assert_uint_eq(counts()->keyed_trusted, 0);
	rig_close();
}
END_TEST

START_TEST(pool_that_does_not_look_at_addresses_counts_none)
{
	rig_open_with(", trusted: [127.0.0.0/8]", "", "@", "log: json");
	serve_one();
	ck_assert_uint_eq(counts()->keyed, 0);
	ck_assert_uint_eq(counts()->keyed_trusted, 0);
	rig_close();
}
END_TEST

START_TEST(retries_do_not_count_again)
{
	/* Nobody listens at the discard port of an address that nobody uses. */
	rig_open_with(", trusted: [127.0.0.0/8]", ", balance: maglev, retries: 1",
		      "\"127.9.9.9:9\", \"127.9.9.8:9\"", "log: json");
	rig_begin(0);
	rig_expect_end(REASON_CONNECT_REFUSED);
	ck_assert_uint_eq(rig.counts.connects, 2);
	ck_assert_uint_eq(counts()->keyed, 1);
	rig_close();
}
END_TEST

START_TEST(clients_are_hidden_once_enough_sessions_had_no_address_of_their_own)
{
	struct listener_stats *stats = listener_stats_new("a", 2);

	ck_assert(!listener_stats_clients_hidden(stats));
	stats->counts[0].c.keyed = stats->counts[0].c.keyed_trusted = LISTENER_KEYED_MIN - 1;
	ck_assert(!listener_stats_clients_hidden(stats));
	stats->counts[1].c.keyed = stats->counts[1].c.keyed_trusted = 1;
	ck_assert(listener_stats_clients_hidden(stats));
	stats->counts[1].c.keyed++;
	ck_assert(!listener_stats_clients_hidden(stats));
	listener_stats_put(stats);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		session_of_a_trusted_balancer_is_counted,
		session_of_anybody_else_is_no_sign_of_hiding,
		pool_that_does_not_look_at_addresses_counts_none,
		retries_do_not_count_again,
		clients_are_hidden_once_enough_sessions_had_no_address_of_their_own,
	};

	return run_tests("session_key", tests, COUNT(tests));
}
