/* SPDX-License-Identifier: Apache-2.0
 *
 * What sessions tell of their targets: failures in a row, counted over sessions, main woken when
 * they reach the pool's number, and what counts as one by choice.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait */
#include "tests/unit/session_rig.h"

static struct target *target(void)
{
	return rig.snapshot->pools[0].targets[0];
}

/* How often main was woken since the last look. */
static uint64_t woken(void)
{
	uint64_t count = 0;

	return read(rig.env.outlier_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void forget_client(void)
{
	close(rig.client);
	rig.client = -1;
}

static void fail_once(void)
{
	rig_begin(0);
	rig_until(!rig.env.session_count);
	forget_client();
}

/* The backend stops listening: it refuses from now on. */
static void refuse(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	in.sin_port = htons(rig.backend.port);
	close(rig.listener);
	rig.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(rig.listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	ck_assert_int_eq(bind(rig.listener, (struct sockaddr *)&in, sizeof(in)), 0);
}

START_TEST(failures_in_a_row_wake_main_once_and_at_each_multiple)
{
	rig_open(", outlier: {failures: 3}");
	refuse();
	fail_once();
	fail_once();
	ck_assert_uint_eq(target()->failures, 2);
	ck_assert_uint_eq(woken(), 0);
	fail_once();
	ck_assert_uint_eq(woken(), 1);
	fail_once();
	fail_once();
	ck_assert_uint_eq(woken(), 0);
	fail_once();
	ck_assert_uint_eq(woken(), 1);
	rig_close();
}
END_TEST

START_TEST(connection_that_works_begins_a_new_row)
{
	rig_open("");
	target()->failures = 4;
	rig_relay();
	ck_assert_uint_eq(target()->failures, 0);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

START_TEST(switched_off_it_counts_nothing)
{
	rig_open(", outlier: {failures: off}");
	refuse();
	for (int i = 0; i < 10; i++)
		fail_once();
	ck_assert_uint_eq(target()->failures, 0);
	ck_assert_uint_eq(woken(), 0);
	rig_close();
}
END_TEST

START_TEST(what_a_client_can_provoke_counts_by_choice_alone)
{
	rig_open("");
	rig_relay();
	close_hard(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_BACKEND_RST);
	ck_assert_uint_eq(target()->failures, 0);
	rig_close();
}
END_TEST

START_TEST(reset_before_the_first_byte_counts_if_wanted)
{
	rig_open(", outlier: {failures: 2, resets: true}");
	for (int i = 1; i <= 2; i++) {
		rig_relay();
		close_hard(rig.server);
		rig.server = -1;
		rig_until(!rig.env.session_count);
		ck_assert_uint_eq(target()->failures, i);
		forget_client();
	}
	ck_assert_uint_eq(woken(), 1);
	rig_close();
}
END_TEST

START_TEST(first_byte_proves_that_the_target_works_where_resets_count)
{
	rig_open(", outlier: {failures: 2, resets: true}");
	target()->failures = 1;
	rig_relay();
	ck_assert_uint_eq(target()->failures, 1);
	send_pattern(rig.server, 0, 10);
	rig_until_readable(rig.client);
	ck_assert_uint_eq(target()->failures, 0);
	close_hard(rig.server);
	rig.server = -1;
	rig_expect_end(REASON_BACKEND_RST);
	ck_assert_uint_eq(target()->failures, 0);
	rig_close();
}
END_TEST

START_TEST(durations_are_counted_in_histograms)
{
	unsigned bucket = histogram_bucket(3000000);

	rig_open("");
	rig_relay();
	rig_pass(2000);
	send_pattern(rig.server, 0, 10);
	rig_until_readable(rig.client);
	rig_pass(1000);
	session_abort(rig.session, REASON_DRAIN_RST);
	ck_assert_uint_eq(rig.counts.connect_time.buckets[0], 1);
	ck_assert_uint_eq(rig.counts.first_byte_time.buckets[histogram_bucket(2000000)], 1);
	ck_assert_uint_eq(rig.counts.session_time.buckets[bucket], 1);
	ck_assert_uint_eq(rig.counts.session_time.sum_us, 3000000);
	rig_close();
}
END_TEST

START_TEST(bytes_to_another_zone_are_counted)
{
	rig_open("");
	atomic_store(&target()->cross_zone, true);
	rig_relay();
	send_pattern(rig.client, 0, 100);
	rig_until_readable(rig.server);
	send_pattern(rig.server, 0, 20);
	rig_until_readable(rig.client);
	ck_assert_uint_eq(target()->counts[0].c.cross_zone_bytes, 120);
	session_abort(rig.session, REASON_DRAIN_RST);
	rig_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		failures_in_a_row_wake_main_once_and_at_each_multiple,
		connection_that_works_begins_a_new_row,
		switched_off_it_counts_nothing,
		what_a_client_can_provoke_counts_by_choice_alone,
		reset_before_the_first_byte_counts_if_wanted,
		first_byte_proves_that_the_target_works_where_resets_count,
		durations_are_counted_in_histograms,
		bytes_to_another_zone_are_counted,
	};

	return run_tests("session_outlier", tests, COUNT(tests));
}
