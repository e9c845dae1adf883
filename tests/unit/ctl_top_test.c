/* SPDX-License-Identifier: Apache-2.0
 *
 * The picture of `top`: bars, rates between two samples, and how much of it there is room for.
 */
#include "control/ctl/top/picture.h"
#include "proxy/base/clock.h"
#include "tests/unit/ctl_rig.h"

static const struct screen screen = {.width = 100, .height = 30, .utf8 = true};

/* `sessions` of target 1 and of the proxy, at `at_us`. */
static struct top_sample sample_of(int sessions, uint64_t at_us)
{
	json_t *status = json_pack("{s:s s:b s:{s:i s:i s:i}}", "phase", "serving", "ready", 1,
				   "totals", "sessions", sessions, "client_sent_bytes",
				   sessions * 1000, "client_received_bytes", 0);
	json_t *pools = json_pack(
		"[{s:s s:i s:i s:[{s:s s:s s:s s:s s:i s:i s:s} {s:s s:s s:s s:s s:i s:i s:s}]}]",
		"name", "api", "targets", 2, "usable", 1, "members", "key", "1", "name",
		"10.0.0.1:80", "pool", "api", "state", "serving", "open", 3, "sessions", sessions,
		"reason", "serves", "key", "2", "name", "10.0.0.2:80", "pool", "api", "state",
		"down", "open", 9, "sessions", 7, "reason", "refused");
	struct top_sample sample;

	ck_assert_ptr_nonnull(pools);
	ck_assert_int_eq(top_sample_init(&sample, status, pools, at_us), 0);
	return sample;
}

/* Of 10 and 30 sessions, 2 s apart; the caller frees. */
static char *picture_of(const struct top_view *view, const struct screen *on)
{
	struct top_sample before = sample_of(10, US_PER_SEC), now = sample_of(30, 3 * US_PER_SEC);
	struct top_history history = {0};
	char *picture;

	top_history_add(&history, &before, &now);
	picture = top_picture(&before, &now, &history, view, on);
	ck_assert_ptr_nonnull(picture);
	top_sample_fini(&before);
	top_sample_fini(&now);
	return picture;
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

START_TEST(sparklines_are_as_high_as_their_greatest_value)
{
	static const uint64_t values[] = {0, 1, 50, 100};
	char buf[TOP_SPARK];

	ck_assert_str_eq(top_spark(values, 4, 60, true, buf), " ▁▄█");
	ck_assert_str_eq(top_spark(values, 4, 60, false, buf), " .=#");
	ck_assert_str_eq(top_spark(values, 4, 2, true, buf), "▄█");
	ck_assert_str_eq(top_spark(values, 1, 60, true, buf), " ");
	ck_assert_str_eq(top_spark(values, 0, 60, true, buf), "");
}
END_TEST

START_TEST(bars_show_a_share_and_anything_above_nothing)
{
	char buf[TOP_BAR_TEXT];

	ck_assert_str_eq(top_bar(10, 10, true, buf), "██████████");
	ck_assert_str_eq(top_bar(20, 10, true, buf), "██████████");
	ck_assert_str_eq(top_bar(5, 10, false, buf), "#####");
	ck_assert_str_eq(top_bar(1, 1000000, true, buf), "▏");
	ck_assert_str_eq(top_bar(0, 10, true, buf), "");
	ck_assert_str_eq(top_bar(0, 0, true, buf), "");
}
END_TEST

START_TEST(rates_are_what_grew_between_two_samples)
{
	struct top_view view = {0};
	char *picture = picture_of(&view, &screen);

	ck_assert_ptr_nonnull(strstr(picture, "10/s"));
	ck_assert_ptr_nonnull(strstr(picture, "10 kB/s out"));
	ck_assert_ptr_nonnull(strstr(picture, " 0/s"));
	free(picture);
}
END_TEST

START_TEST(a_new_target_counts_from_nothing_and_a_known_one_is_found_anywhere)
{
	struct top_sample sample = sample_of(1, 1);
	struct top_target unknown = {.key = "99"}, second = {.key = "2"};

	ck_assert_ptr_null(top_sample_find(&sample, 0, &unknown)->key);
	ck_assert_ptr_eq(top_sample_find(&sample, 0, &second), &sample.targets[1]);
	top_sample_fini(&sample);
}
END_TEST

START_TEST(targets_are_sorted_by_what_the_view_says)
{
	static const struct {
		enum top_sort sort;
		const char *first, *second;
	} cases[] = {
		{TOP_AS_CONFIGURED, "10.0.0.1:80", "10.0.0.2:80"},
		{TOP_BY_RATE, "10.0.0.1:80", "10.0.0.2:80"},
		{TOP_BY_OPEN, "10.0.0.2:80", "10.0.0.1:80"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct top_view view = {.sort = cases[i].sort};
		char *picture = picture_of(&view, &screen);

		ck_assert(strstr(picture, cases[i].first) < strstr(picture, cases[i].second));
		free(picture);
	}
}
END_TEST

START_TEST(a_low_screen_shows_what_there_is_room_for)
{
	for (unsigned height = 6; height < 20; height++) {
		struct screen low = {.width = 100, .height = height};
		struct top_view view = {0};
		char *picture = picture_of(&view, &low);

		ck_assert_uint_le(lines_of(picture), height);
		ck_assert_ptr_nonnull(strstr(picture, "10.0.0.1:80"));
		free(picture);
	}
}
END_TEST

START_TEST(scrolling_past_the_end_keeps_the_last_target)
{
	struct top_view view = {.offset = 99};
	char *picture = picture_of(&view, &screen);

	ck_assert_ptr_nonnull(strstr(picture, "10.0.0.2:80"));
	ck_assert_ptr_null(strstr(picture, "10.0.0.1:80"));
	free(picture);
}
END_TEST

START_TEST(trouble_is_the_first_line)
{
	struct top_view view = {.trouble = "Connection refused"};
	char *picture = picture_of(&view, &screen);

	ck_assert_int_eq(strncmp(picture, "sluice: Connection refused; trying again\n", 41), 0);
	free(picture);
}
END_TEST

START_TEST(history_keeps_the_newest_rates)
{
	struct top_sample before = sample_of(0, US_PER_SEC), now = sample_of(5, 2 * US_PER_SEC);
	struct top_history history = {0};

	for (int i = 0; i < TOP_HISTORY; i++)
		top_history_add(&history, &before, &before);
	top_history_add(&history, &before, &now);
	ck_assert_uint_eq(history.count, TOP_HISTORY);
	ck_assert_uint_eq(history.rates[TOP_SESSIONS][TOP_HISTORY - 1], 5);
	ck_assert_uint_eq(history.rates[TOP_SESSIONS][TOP_HISTORY - 2], 0);
	top_sample_fini(&before);
	top_sample_fini(&now);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		sparklines_are_as_high_as_their_greatest_value,
		bars_show_a_share_and_anything_above_nothing,
		rates_are_what_grew_between_two_samples,
		a_new_target_counts_from_nothing_and_a_known_one_is_found_anywhere,
		targets_are_sorted_by_what_the_view_says,
		a_low_screen_shows_what_there_is_room_for,
		scrolling_past_the_end_keeps_the_last_target,
		trouble_is_the_first_line,
		history_keeps_the_newest_rates,
	};

	return run_tests("ctl_top", tests, COUNT(tests));
}
