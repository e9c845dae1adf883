/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of when a source is asked and what an answer or an error does to what is in force.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event */
#include <malloc.h>

#include "tests/unit/control_feed_rig.h"

#define TEN                                                                                        \
	"a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80 d=10.0.0.4:80 e=10.0.0.5:80 f=10.0.0.6:80 "     \
	"g=10.0.0.7:80 h=10.0.0.8:80 i=10.0.0.9:80 j=10.0.0.10:80"
#define FIVE "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80 d=10.0.0.4:80 e=10.0.0.5:80"

static void begin_with_proxy(void)
{
	rig_begin(true);
	proxy.up = true;
	feed_start(rig.feed);
}

START_TEST(an_answer_is_pushed_and_every_target_noted)
{
	begin_with_proxy();
	rig_says("a=10.0.0.1:80 b=10.0.0.2:80");
	in_force("a=10.0.0.1:80 b=10.0.0.2:80");
	pushed("a=10.0.0.1:80 b=10.0.0.2:80", false);
	ck_assert_uint_eq(events_of("target_added", "the source says so"), 2);
	rig_says("a=10.0.0.1:80,drain b=10.0.0.2:80,w50");
	ck_assert_uint_eq(events_of("target_draining", "a drains"), 1);
	ck_assert_uint_eq(events_of("target_changed", "weight 50, was 100"), 1);
	rig_says("a=10.0.0.1:80");
	ck_assert_uint_eq(events_of("target_changed", "takes connections again"), 1);
	ck_assert_uint_eq(events_of("target_removed", "b removed"), 1);
	ck_assert_int_eq(rig.feed->origin, FEED_SOURCE);
	ck_assert_uint_eq(rig.feed->applies, 3);
	ck_assert_uint_eq(proxy.pushes, 3);
	rig_end();
}
END_TEST

START_TEST(the_same_answer_again_is_not_pushed_again)
{
	begin_with_proxy();
	for (int i = 0; i < 10; i++)
		rig_says("b=10.0.0.2:80 a=10.0.0.1:80");
	ck_assert_uint_eq(proxy.pushes, 1);
	ck_assert_uint_eq(rig.feed->applies, 1);
	rig_end();
}
END_TEST

START_TEST(polls_keep_their_interval_with_jitter)
{
	uint64_t least = UINT64_MAX, most = 0;

	begin_with_proxy();
	ck_assert_uint_le(rig_wait(), 201);
	for (int i = 0; i < 200; i++) {
		rig_says("a=10.0.0.1:80");
		uint64_t waited_ms = rig_wait();

		least = waited_ms < least ? waited_ms : least;
		most = waited_ms > most ? waited_ms : most;
	}
	ck_assert_uint_ge(least, 9000);
	ck_assert_uint_le(most, 11001);
	ck_assert_uint_lt(least, most);
	rig_end();
}
END_TEST

START_TEST(an_interval_is_stretched_for_the_fleet)
{
	begin_with_proxy();
	rig_says("a=10.0.0.1:80");
	ck_assert_uint_le(rig_wait(), 11001);
	rig.feed->stretch = 6;
	rig_says("a=10.0.0.1:80");
	ck_assert_uint_ge(rig_wait(), 54000);
	rig_end();
}
END_TEST

START_TEST(a_source_may_wish_for_another_interval)
{
	begin_with_proxy();
	rig_says("a=10.0.0.1:80");
	rig_wait();
	rig.source.wanted_interval_ms = 2000;
	rig_says("a=10.0.0.1:80");
	ck_assert_uint_le(rig_wait(), 2201);
	rig_end();
}
END_TEST

START_TEST(an_error_keeps_what_is_in_force_for_ever)
{
	begin_with_proxy();
	rig_says(TEN);
	for (int i = 0; i < 5000; i++)
		rig_fails("throttled");
	in_force(TEN);
	ck_assert_uint_eq(proxy.pushes, 1);
	ck_assert_uint_eq(rig.feed->failures_in_a_row, 5000);
	ck_assert_str_eq(rig.feed->error_kind, "throttled");
	ck_assert_uint_eq(events_of("source_failed", NULL), 1);
	rig_says(TEN);
	ck_assert_uint_eq(rig.feed->failures_in_a_row, 0);
	ck_assert_str_eq(rig.feed->error_kind, "");
	ck_assert_uint_eq(events_of("source_up", "again after 5000"), 1);
	rig_end();
}
END_TEST

START_TEST(an_answer_that_contradicts_itself_changes_nothing)
{
	begin_with_proxy();
	rig_says(TEN);
	rig_says("a=10.0.0.1:80 a=10.0.0.1:80,drain");
	in_force(TEN);
	ck_assert_str_eq(rig.feed->error_kind, "contradiction");
	ck_assert_uint_eq(rig.feed->failures, 1);
	rig_end();
}
END_TEST

START_TEST(errors_are_met_with_longer_and_longer_waits)
{
	static const uint64_t least[] = {10000, 20000, 40000, 60000, 60000};

	begin_with_proxy();
	rig_says("a=10.0.0.1:80");
	for (size_t i = 0; i < COUNT(least); i++) {
		rig_fails("server");
		uint64_t waited_ms = rig_wait();

		ck_assert_uint_ge(waited_ms, least[i]);
		ck_assert_uint_le(waited_ms, least[i] * 3 / 2 + 1);
	}
	rig_says("a=10.0.0.1:80");
	ck_assert_uint_le(rig_wait(), 11001);
	rig_end();
}
END_TEST

START_TEST(a_long_interval_is_its_own_longest_wait)
{
	begin_with_proxy();
	rig.feed->interval_ms = 3600000;
	for (int i = 0; i < 40; i++)
		rig_fails("server");
	ck_assert_uint_ge(rig_wait(), 3600000);
	rig_fails("server");
	ck_assert_uint_le(rig_wait(), 5400001);
	rig_end();
}
END_TEST

START_TEST(a_trigger_asks_at_once_and_while_asked_once_more)
{
	begin_with_proxy();
	rig_says("a=10.0.0.1:80");
	feed_trigger(rig.feed, "a message came");
	ck_assert_uint_le(rig_wait(), 1);
	for (int i = 0; i < 10; i++)
		feed_trigger(rig.feed, NULL);
	rig_says("a=10.0.0.1:80");
	ck_assert_uint_le(rig_wait(), 1);
	rig_says("a=10.0.0.1:80");
	ck_assert_uint_ge(rig_wait(), 9000);
	ck_assert_uint_eq(events_of("triggered", "a message came"), 1);
	rig_end();
}
END_TEST

START_TEST(a_hint_of_the_source_asks_at_once)
{
	begin_with_proxy();
	rig_says("a=10.0.0.1:80");
	rig.source.on_hint(&rig.source);
	ck_assert_uint_le(rig_wait(), 1);
	rig_end();
}
END_TEST

START_TEST(triggers_ask_aws_once_a_second_at_most)
{
	begin_with_proxy();
	rig.kind.is_aws = true;
	rig_says("a=10.0.0.1:80");
	feed_trigger(rig.feed, NULL);
	ck_assert_uint_ge(rig_wait(), 999);
	feed_trigger(rig.feed, NULL);
	rig_says("a=10.0.0.1:80");
	uint64_t waited_ms = rig_wait();

	ck_assert_uint_ge(waited_ms, 999);
	ck_assert_uint_le(waited_ms, 1001);
	rig_end();
}
END_TEST

START_TEST(an_empty_answer_is_held_for_an_hour_and_an_approval_lets_it_through)
{
	char digest[SET_DIGEST_TEXT];

	begin_with_proxy();
	rig_says(TEN);
	for (int i = 0; i < 360; i++)
		rig_says("");
	in_force(TEN);
	ck_assert_uint_eq(proxy.pushes, 1);
	ck_assert_uint_eq(rig.feed->holds, 1);
	ck_assert_uint_eq(rig.feed->hold.seen, 360);
	ck_assert_uint_eq(events_of("held", "all 10 usable targets would go"), 1);
	strcpy(digest, rig.feed->hold.digest);
	ck_assert_int_eq(feed_approve(rig.feed, "0000", "uid 0"), -ESTALE);
	in_force(TEN);
	ck_assert_int_eq(feed_approve(rig.feed, digest, "uid 0"), 0);
	in_force("");
	pushed("", false);
	ck_assert_uint_eq(events_of("target_removed", "approved by uid 0"), 10);
	ck_assert_uint_eq(events_of("approved", "uid 0 lets"), 1);
	ck_assert_int_eq(feed_approve(rig.feed, NULL, "uid 0"), -ENOENT);
	rig_says("");
	ck_assert_ptr_null(rig.feed->hold.set);
	rig_end();
}
END_TEST

START_TEST(a_large_shrink_waits_for_three_answers)
{
	begin_with_proxy();
	rig_says(TEN);
	rig_says(FIVE);
	rig_says(FIVE);
	in_force(TEN);
	ck_assert_uint_eq(events_of("held", "5 of 10 usable targets would go"), 1);
	rig_says(FIVE);
	in_force(FIVE);
	pushed(FIVE, false);
	ck_assert_uint_eq(events_of("released", "confirmed"), 1);
	ck_assert_uint_eq(events_of("target_removed", "the source confirms it"), 5);
	rig_end();
}
END_TEST

START_TEST(an_error_between_confirmations_confirms_nothing)
{
	begin_with_proxy();
	rig_says(TEN);
	rig_says(FIVE);
	for (int i = 0; i < 5; i++)
		rig_fails("timeout");
	ck_assert_uint_eq(rig.feed->hold.seen, 1);
	rig_says(FIVE);
	in_force(TEN);
	rig_says(FIVE);
	in_force(FIVE);
	rig_end();
}
END_TEST

START_TEST(a_rejected_set_is_counted_anew)
{
	begin_with_proxy();
	ck_assert_int_eq(feed_reject(rig.feed, "uid 0"), -ENOENT);
	rig_says(TEN);
	rig_says(FIVE);
	rig_says(FIVE);
	ck_assert_int_eq(feed_reject(rig.feed, "uid 0"), 0);
	ck_assert_uint_eq(events_of("released", "uid 0 rejects"), 1);
	rig_says(FIVE);
	ck_assert_uint_eq(rig.feed->hold.seen, 1);
	in_force(TEN);
	rig_end();
}
END_TEST

START_TEST(the_whole_answer_seen_again_releases_a_hold)
{
	begin_with_proxy();
	rig_says(TEN);
	rig_says(FIVE);
	rig_says(TEN);
	ck_assert_ptr_null(rig.feed->hold.set);
	ck_assert_uint_eq(events_of("released", "says otherwise"), 1);
	rig_says(FIVE);
	ck_assert_uint_eq(rig.feed->holds, 2);
	rig_end();
}
END_TEST

START_TEST(targets_that_the_proxy_holds_down_go_at_once)
{
	begin_with_proxy();
	rig_says("a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80");
	proxy.down = "a";
	rig_says("c=10.0.0.3:80");
	in_force("c=10.0.0.3:80");
	rig_says("c=10.0.0.3:80 d=10.0.0.4:80 e=10.0.0.5:80");
	proxy.down = NULL;
	rig_says("c=10.0.0.3:80");
	ck_assert_ptr_nonnull(rig.feed->hold.set);
	rig_end();
}
END_TEST

START_TEST(a_new_task_at_an_old_address_is_removed_and_added)
{
	begin_with_proxy();
	rig_says("task/1=10.0.0.1:80 task/2=10.0.0.2:80");
	rig_says("task/3=10.0.0.1:80 task/2=10.0.0.2:80");
	pushed("task/2=10.0.0.2:80 task/3=10.0.0.1:80", false);
	ck_assert_uint_eq(events_of("target_removed", "task/1 removed"), 1);
	ck_assert_uint_eq(events_of("target_added", "task/3 added"), 1);
	rig_end();
}
END_TEST

START_TEST(a_source_sees_what_is_in_force)
{
	begin_with_proxy();
	ck_assert_ptr_null(source_current(&rig.source, "a"));
	rig_says("a=10.0.0.1:80");
	ck_assert_str_eq(source_current(&rig.source, "a")->address, "10.0.0.1:80");
	rig_end();
}
END_TEST

/* What the source says at its nth answer; NULL: it fails. */
static const char *say(unsigned turn)
{
	static const char *const script[] = {
		TEN, TEN, NULL, FIVE, FIVE, FIVE, "", "", NULL, TEN, FIVE " k=10.0.1.1:80", TEN};

	return script[turn % COUNT(script)];
}

static void poll_until(uint64_t end_us)
{
	for (unsigned turn = 0; sim_us < end_us; turn++) {
		if (say(turn))
			rig_says(say(turn));
		else
			rig_fails(turn % 2 ? "timeout" : "throttled");
		ck_assert_uint_gt(target_set_usable(rig.feed->current), 0);
	}
}

START_TEST(a_day_of_polling_empties_nothing_and_leaks_nothing)
{
	struct mallinfo2 before;

	begin_with_proxy();
	poll_until(sim_us + 12 * RIG_HOUR);
	ck_assert_uint_gt(journal_count(rig.feeds.journal), JOURNAL_KEPT);
	before = mallinfo2();
	poll_until(sim_us + 24 * RIG_HOUR);
	ck_assert_uint_lt(mallinfo2().uordblks, before.uordblks + (64 << 10));
	ck_assert_uint_gt(rig.feed->fetches, 5000);
	ck_assert_uint_gt(rig.feed->applies, 1000);
	rig_end();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_answer_is_pushed_and_every_target_noted,
		the_same_answer_again_is_not_pushed_again,
		polls_keep_their_interval_with_jitter,
		an_interval_is_stretched_for_the_fleet,
		a_source_may_wish_for_another_interval,
		an_error_keeps_what_is_in_force_for_ever,
		an_answer_that_contradicts_itself_changes_nothing,
		errors_are_met_with_longer_and_longer_waits,
		a_long_interval_is_its_own_longest_wait,
		a_trigger_asks_at_once_and_while_asked_once_more,
		a_hint_of_the_source_asks_at_once,
		triggers_ask_aws_once_a_second_at_most,
		an_empty_answer_is_held_for_an_hour_and_an_approval_lets_it_through,
		a_large_shrink_waits_for_three_answers,
		an_error_between_confirmations_confirms_nothing,
		a_rejected_set_is_counted_anew,
		the_whole_answer_seen_again_releases_a_hold,
		targets_that_the_proxy_holds_down_go_at_once,
		a_new_task_at_an_old_address_is_removed_and_added,
		a_source_sees_what_is_in_force,
		a_day_of_polling_empties_nothing_and_leaks_nothing,
	};

	return run_tests("control_feed", tests, COUNT(tests));
}
