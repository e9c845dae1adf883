/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of how a feed begins: the last-known-good file, what the proxy has, and the source's first
 * answer, in whatever order they come; and what is shown of it all.
 */
/* link: -Wl,--wrap=clock_gettime,--wrap=epoll_wait,--wrap=log_event */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/jot.h"
#include "tests/unit/control_feed_rig.h"

#define THREE "a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80"
#define ONE   "a=10.0.0.1:80"

static char directory[64];

static void begin(void)
{
	strcpy(directory, "/tmp/feed_test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	rig_begin(true);
	ck_assert_int_eq(lastgood_open(directory, &rig.feeds.lastgood), 0);
}

static void finish(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(directory);
	rig_end();
}

/* A file from `age_us` ago. */
static void file_has(const char *words, uint64_t age_us)
{
	struct target_set *set = set_of(words);

	ck_assert_int_eq(lastgood_save(rig.feeds.lastgood, RIG_KEY, "api", "fake", set,
				       clock_wall_us() - age_us),
			 0);
	target_set_free(set);
}

/* The file has just this, saved `age_us` ago. */
static void file_is(const char *words, uint64_t age_us)
{
	struct target_set *set = set_of(words), *loaded = NULL;
	uint64_t saved_us = 0;

	ck_assert_int_eq(lastgood_load(rig.feeds.lastgood, RIG_KEY, "api", "fake", clock_wall_us(),
				       24 * RIG_HOUR, &loaded, &saved_us),
			 0);
	ck_assert(target_set_equal(set, loaded));
	ck_assert_uint_eq(saved_us, clock_wall_us() - age_us);
	target_set_free(set);
	target_set_free(loaded);
}

static void proxy_comes(const char *words)
{
	proxy.up = true;
	target_set_free(proxy.has);
	proxy.has = NULL;
	if (words)
		proxy.has = set_of(words);
	feed_on_proxy(rig.feed);
}

START_TEST(without_answer_file_and_proxy_nothing_is_pushed)
{
	begin();
	feed_start(rig.feed);
	proxy_comes(NULL);
	rig_fails("denied");
	ck_assert_ptr_null(rig.feed->current);
	ck_assert_int_eq(rig.feed->origin, FEED_NOTHING);
	ck_assert_uint_eq(proxy.pushes, 0);
	finish();
}
END_TEST

START_TEST(a_fresh_proxy_gets_the_file_unverified_until_the_source_says_the_same)
{
	begin();
	file_has(THREE, RIG_HOUR);
	feed_start(rig.feed);
	ck_assert_int_eq(rig.feed->origin, FEED_LASTGOOD);
	ck_assert_uint_eq(events_of("last_good", "3 targets"), 1);
	ck_assert_uint_eq(proxy.pushes, 0);
	proxy_comes(NULL);
	pushed(THREE, true);
	rig_fails("unreachable");
	rig_fails("unreachable");
	ck_assert_uint_eq(proxy.pushes, 1);
	rig_says(THREE);
	pushed(THREE, false);
	ck_assert_uint_eq(proxy.pushes, 2);
	ck_assert_int_eq(rig.feed->origin, FEED_SOURCE);
	file_is(THREE, 0);
	finish();
}
END_TEST

START_TEST(the_first_answer_is_judged_against_the_file)
{
	begin();
	file_has(THREE, RIG_HOUR);
	feed_start(rig.feed);
	proxy_comes(NULL);
	rig_says(ONE);
	rig_says("");
	in_force(THREE);
	pushed(THREE, true);
	ck_assert_uint_eq(rig.feed->holds, 1);
	file_is(THREE, RIG_HOUR + (sim_us - 1000 * US_PER_SEC));
	finish();
}
END_TEST

START_TEST(a_file_that_is_too_old_is_not_used_and_that_is_loud)
{
	begin();
	file_has(THREE, 25 * RIG_HOUR);
	feed_start(rig.feed);
	proxy_comes(NULL);
	ck_assert_ptr_null(rig.feed->current);
	ck_assert_uint_eq(proxy.pushes, 0);
	ck_assert_uint_eq(events_of("last_good", "older than last_good_max_age"), 1);
	finish();
}
END_TEST

START_TEST(a_file_that_gets_too_old_in_use_stays_and_that_is_loud)
{
	begin();
	file_has(THREE, 23 * RIG_HOUR);
	feed_start(rig.feed);
	proxy_comes(NULL);
	for (int i = 0; i < 200; i++)
		rig_fails("unreachable");
	in_force(THREE);
	ck_assert_uint_eq(events_of("last_good", "old by now"), 1);
	finish();
}
END_TEST

START_TEST(a_damaged_file_is_not_used_and_that_is_loud)
{
	int fd;

	begin();
	file_has(THREE, 0);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(faccessat(fd, RIG_KEY ".set", F_OK, 0), 0);
	close(openat(fd, RIG_KEY ".set", O_WRONLY | O_TRUNC | O_CLOEXEC));
	feed_start(rig.feed);
	ck_assert_ptr_null(rig.feed->current);
	ck_assert_uint_eq(events_of("last_good", "damaged"), 1);
	ck_assert_int_eq(faccessat(fd, RIG_KEY ".set.bad", F_OK, 0), 0);
	close(fd);
	finish();
}
END_TEST

START_TEST(what_the_proxy_has_counts_more_than_the_file)
{
	begin();
	file_has(ONE, RIG_HOUR);
	feed_start(rig.feed);
	proxy_comes(THREE);
	in_force(THREE);
	ck_assert_int_eq(rig.feed->origin, FEED_PROXY);
	pushed(THREE, true);
	rig_says(ONE);
	in_force(THREE);
	ck_assert_ptr_nonnull(rig.feed->hold.set);
	rig_says(THREE);
	ck_assert_int_eq(rig.feed->origin, FEED_SOURCE);
	pushed(THREE, false);
	finish();
}
END_TEST

START_TEST(an_answer_before_the_proxy_is_judged_against_what_the_proxy_has)
{
	begin();
	feed_start(rig.feed);
	rig_says(ONE);
	rig_says(ONE);
	rig_says("");
	rig_says(ONE);
	ck_assert_ptr_null(rig.feed->current);
	proxy_comes(THREE);
	in_force(THREE);
	ck_assert_uint_eq(rig.feed->hold.seen, 1);
	pushed(THREE, true);
	rig_says(ONE);
	rig_says(ONE);
	in_force(ONE);
	pushed(ONE, false);
	finish();
}
END_TEST

START_TEST(an_answer_before_a_fresh_proxy_is_pushed_when_it_comes)
{
	begin();
	feed_start(rig.feed);
	rig_says(THREE);
	ck_assert_uint_eq(proxy.pushes, 0);
	proxy_comes(NULL);
	pushed(THREE, false);
	in_force(THREE);
	file_is(THREE, 0);
	finish();
}
END_TEST

START_TEST(a_proxy_that_comes_again_changes_nothing_here)
{
	begin();
	feed_start(rig.feed);
	proxy_comes(THREE);
	rig_says(THREE " d=10.0.0.4:80");
	proxy_comes(ONE);
	in_force(THREE " d=10.0.0.4:80");
	rig_says(THREE);
	in_force(THREE);
	finish();
}
END_TEST

START_TEST(a_proxy_that_is_there_already_is_met_at_the_start)
{
	begin();
	proxy.up = true;
	proxy.has = set_of(THREE);
	feed_start(rig.feed);
	in_force(THREE);
	rig_says("");
	in_force(THREE);
	ck_assert_uint_eq(rig.feed->holds, 1);
	finish();
}
END_TEST

START_TEST(a_set_that_stays_is_written_again_so_that_it_does_not_get_old)
{
	struct target_set *set = NULL;
	uint64_t saved_us;

	begin();
	feed_start(rig.feed);
	proxy_comes(NULL);
	for (int i = 0; i < 10000; i++)
		rig_says(THREE);
	ck_assert_uint_eq(rig.feed->applies, 1);
	ck_assert_int_eq(lastgood_load(rig.feeds.lastgood, RIG_KEY, "api", "fake", clock_wall_us(),
				       RIG_HOUR + 20 * US_PER_SEC, &set, &saved_us),
			 0);
	target_set_free(set);
	finish();
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_said_once_and_stops_nothing)
{
	char way[200];

	begin();
	snprintf(way, sizeof(way), "%s/" RIG_KEY ".set.new", directory);
	ck_assert_int_eq(mkdir(way, 0700), 0);
	feed_start(rig.feed);
	proxy_comes(NULL);
	rig_says(THREE);
	rig_says(THREE " d=10.0.0.4:80");
	rig_says(THREE);
	pushed(THREE, false);
	ck_assert_uint_eq(events_of("last_good", "cannot be written"), 1);
	ck_assert_int_eq(rmdir(way), 0);
	for (int i = 0; i < 8; i++)
		rig_says(THREE);
	ck_assert_int_eq(rig.feed->save_err, 0);
	finish();
}
END_TEST

START_TEST(a_push_that_found_no_memory_is_tried_again)
{
	begin();
	feed_start(rig.feed);
	proxy_comes(NULL);
	proxy.push_err = -ENOMEM;
	rig_says(THREE);
	ck_assert_str_eq(rig.feed->push_problem, "out of memory");
	proxy.push_err = 0;
	rig_says(THREE);
	pushed(THREE, false);
	finish();
}
END_TEST

START_TEST(what_became_of_a_push_is_kept_and_noted_once)
{
	begin();
	feed_start(rig.feed);
	proxy_comes(NULL);
	rig_says(THREE);
	feed_on_pushed(rig.feed, 7, "no such pool");
	feed_on_pushed(rig.feed, 7, "no such pool");
	ck_assert_str_eq(rig.feed->push_problem, "no such pool");
	ck_assert_uint_eq(events_of("push_refused", "no such pool"), 1);
	feed_on_pushed(rig.feed, 8, NULL);
	ck_assert_str_eq(rig.feed->push_problem, "");
	ck_assert_uint_eq(rig.feed->generation, 8);
	ck_assert_uint_eq(events_of("pushed", "generation 8, of 3 targets"), 1);
	finish();
}
END_TEST

START_TEST(feeds_are_found_by_pool_and_name)
{
	begin();
	ck_assert_ptr_eq(feed_find(&rig.feeds, "api", "fake"), rig.feed);
	ck_assert_ptr_null(feed_find(&rig.feeds, "web", "fake"));
	ck_assert_ptr_null(feed_find(&rig.feeds, "api", "ecs"));
	finish();
}
END_TEST

/* A value of the description, at most one level down. */
static void describes(const char *key, const char *below, const char *want)
{
	json_t *feed = feed_describe(rig.feed, true);
	json_t *value = json_object_get(feed, key);
	char *text = json_dumps(below ? json_object_get(value, below) : value,
				JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, want);
	free(text);
	json_decref(feed);
}

START_TEST(everything_known_of_a_feed_is_described)
{
	begin();
	feed_start(rig.feed);
	describes("origin", NULL, "\"nothing\"");
	describes("age_s", NULL, "null");
	describes("applied", NULL, "null");
	describes("error", NULL, "null");
	describes("held", NULL, "null");
	describes("push_problem", NULL, "null");
	describes("members", NULL, "[]");
	describes("region", NULL, "null");
	proxy_comes(NULL);
	rig_says("a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80,drain");
	strcpy(rig.source.notice, "one has no address");
	describes("pool", NULL, "\"api\"");
	describes("source", NULL, "\"fake\"");
	describes("kind", NULL, "\"fake\"");
	describes("origin", NULL, "\"source\"");
	describes("targets", NULL, "3");
	describes("usable", NULL, "2");
	describes("age_s", NULL, "0.0");
	describes("interval_s", NULL, "10.0");
	describes("notice", NULL, "\"one has no address\"");
	rig_says("");
	describes("held", "why", "\"empty\"");
	describes("held", "seen", "1");
	describes("held", "targets", "0");
	describes("held", "diff",
		  "[{\"change\":\"removed\",\"address\":\"10.0.0.1:80\",\"id\":\"a\"},"
		  "{\"change\":\"removed\",\"address\":\"10.0.0.2:80\",\"id\":\"b\"},"
		  "{\"change\":\"removed\",\"address\":\"10.0.0.3:80\",\"id\":\"c\"}]");
	rig_fails("denied");
	describes("error", "kind", "\"denied\"");
	describes("error", "text", "\"the source says denied\"");
	describes("error", "in_a_row", "1");
	finish();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		without_answer_file_and_proxy_nothing_is_pushed,
		a_fresh_proxy_gets_the_file_unverified_until_the_source_says_the_same,
		the_first_answer_is_judged_against_the_file,
		a_file_that_is_too_old_is_not_used_and_that_is_loud,
		a_file_that_gets_too_old_in_use_stays_and_that_is_loud,
		a_damaged_file_is_not_used_and_that_is_loud,
		what_the_proxy_has_counts_more_than_the_file,
		an_answer_before_the_proxy_is_judged_against_what_the_proxy_has,
		an_answer_before_a_fresh_proxy_is_pushed_when_it_comes,
		a_proxy_that_comes_again_changes_nothing_here,
		a_proxy_that_is_there_already_is_met_at_the_start,
		a_set_that_stays_is_written_again_so_that_it_does_not_get_old,
		a_file_that_cannot_be_written_is_said_once_and_stops_nothing,
		a_push_that_found_no_memory_is_tried_again,
		what_became_of_a_push_is_kept_and_noted_once,
		feeds_are_found_by_pool_and_name,
		everything_known_of_a_feed_is_described,
	};

	return run_tests("control_feed_start", tests, COUNT(tests));
}
