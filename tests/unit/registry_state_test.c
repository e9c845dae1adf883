/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators said, over restarts: the state directory, and all that may be wrong with it.
 */
/* link: -Wl,--wrap=log_event,--wrap=clock_gettime,--wrap=fsync */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/registry_rig.h"

int __wrap_fsync(int fd);
int __real_fsync(int fd);

static char directory[64];
static int fsync_error;
static unsigned fsyncs;

int __wrap_fsync(int fd)
{
	fsyncs++;
	errno = fsync_error;
	return fsync_error ? -1 : __real_fsync(fd);
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void setup(void)
{
	strcpy(directory, "/tmp/sluice-state-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	fsync_error = 0;
	rig_defaults();
	rig_config.pool_count = 2;
	rig_open(directory);
	rig_configure();
	put_range("config", 1, 3);
}

static void teardown(void)
{
	rig_shut();
	unlink(path_of("overrides.json"));
	unlink(path_of("overrides.json.bad"));
	unlink(path_of("overrides.json.new"));
	chmod(directory, 0700);
	rmdir(directory);
}

/* A new process, which gets the same targets from the file. */
static void restart(void)
{
	rig_shut();
	rig_open(directory);
	rig_configure();
	put_range("config", 1, 3);
}

static void write_state(const char *text)
{
	FILE *file = fopen(path_of("overrides.json"), "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static bool is_there(const char *name)
{
	return !access(path_of(name), F_OK);
}

START_TEST(word_survives_restart_push_and_reload)
{
	struct override word = {.kind = OVERRIDE_DRAIN, .weight = 7, .who = "uid 1 (\"a\")"};

	snprintf(word.why, sizeof(word.why), "näher\nansehen");
	word.until_wall_us = clock_wall_us() + 1000 * US_PER_SEC;
	ck_assert_int_eq(registry_override(rig, nth(2), &word), 0);
	put_range("config", 1, 3);
	rig_configure();
	expect_standing(nth(2), STANDING_DRAINING);
	rig_now_us += 100 * US_PER_SEC;
	restart();
	expect_standing(nth(2), STANDING_DRAINING);
	ck_assert_int_eq(nth(2)->override.weight, 7);
	ck_assert_str_eq(nth(2)->override.who, word.who);
	ck_assert_str_eq(nth(2)->override.why, word.why);
	ck_assert_uint_eq(nth(2)->override.until_wall_us, word.until_wall_us);
	ck_assert_uint_eq(nth(2)->override.since_wall_us, clock_wall_us() - 100 * US_PER_SEC);
	expect_standing(nth(1), STANDING_SERVING);
	ck_assert(!is_there("overrides.json.new"));
}
END_TEST

START_TEST(lifted_word_is_gone_after_a_restart)
{
	say(nth(2), OVERRIDE_MAINTENANCE, -1);
	say(nth(2), OVERRIDE_NONE, -1);
	ck_assert_str_eq(event_text("override_end"),
			 "maintenance by uid 0 (root) lifted by uid 0 (root)");
	restart();
	expect_standing(nth(2), STANDING_SERVING);
	ck_assert_uint_eq(nth(2)->override.since_wall_us, 0);
	/* Nothing to lift is no change. */
	say(nth(2), OVERRIDE_NONE, -1);
	ck_assert_uint_eq(events_of("override"), 0);
}
END_TEST

START_TEST(word_that_ended_meanwhile_is_dropped)
{
	struct override word = {.kind = OVERRIDE_DRAIN, .weight = -1, .who = "root"};

	word.until_wall_us = clock_wall_us() + US_PER_SEC;
	registry_override(rig, nth(2), &word);
	rig_shut();
	rig_now_us += 2 * US_PER_SEC;
	rig_open(directory);
	rig_configure();
	put_range("config", 1, 3);
	expect_standing(nth(2), STANDING_SERVING);
}
END_TEST

START_TEST(word_waits_for_its_target_but_not_for_a_namesake)
{
	struct target_spec spec = spec_of(9);
	uint64_t generation;

	spec.id = "i-1";
	registry_put(rig, "a", "control", 1, &spec, 1, &generation);
	say(find("i-1"), OVERRIDE_MAINTENANCE, -1);
	restart();
	spec.id = "i-2";
	registry_put(rig, "a", "control", 2, &spec, 1, &generation);
	expect_standing(find("i-2"), STANDING_SERVING);
	spec.id = "i-1";
	registry_put(rig, "b", "control", 2, &spec, 1, &generation);
	expect_standing(find("i-1"), STANDING_SERVING);
	registry_put(rig, "a", "control", 3, &spec, 1, &generation);
	ck_assert_int_eq(registry_find(rig, "a", "i-1", &(struct target_record *){0}), 0);
	ck_assert_uint_eq(pool_a()->eligible, 3);
}
END_TEST

START_TEST(word_on_a_target_unseen_for_a_month_is_dropped)
{
	uint64_t then = rig_now_us;

	say(nth(3), OVERRIDE_MAINTENANCE, -1);
	put_range("config", 1, 2);
	say(nth(2), OVERRIDE_MAINTENANCE, -1);
	rig_now_us += 31 * 86400 * US_PER_SEC;
	say(nth(2), OVERRIDE_MAINTENANCE, -1);
	restart();
	expect_standing(nth(2), STANDING_MAINTENANCE);
	expect_standing(nth(3), STANDING_SERVING);
	rig_now_us = then;
}
END_TEST

START_TEST(operators_own_targets_survive_with_what_they_are)
{
	struct target_spec spec = spec_of(7);
	struct target_spec unix_spec = {.weight = 1};

	ck_assert_int_eq(addr_parse("unix:/run/x.sock", &unix_spec.addr), 0);
	spec.id = "mine";
	spec.zone = "z";
	spec.weight = 33;
	spec.max_connections = 4;
	spec.backup = true;
	ck_assert_int_eq(registry_add(rig, "a", &spec), 0);
	ck_assert_int_eq(registry_add(rig, "a", &unix_spec), 0);
	say(find("unix:/run/x.sock"), OVERRIDE_DRAIN, -1);
	restart();
	ck_assert_str_eq(find("mine")->zone, "z");
	ck_assert_uint_eq(find("mine")->weight, 33);
	ck_assert_uint_eq(find("mine")->max_connections, 4);
	ck_assert(find("mine")->backup);
	ck_assert_str_eq(find("mine")->source, "operator");
	expect_standing(find("unix:/run/x.sock"), STANDING_DRAINING);
	ck_assert_int_eq(registry_remove(rig, find("mine")), 0);
	restart();
	ck_assert_uint_eq(pool_a()->target_count, 4);
}
END_TEST

START_TEST(pool_that_leaves_the_configuration_keeps_its_words_for_its_return)
{
	struct target_spec spec = spec_of(7);

	say(nth(2), OVERRIDE_MAINTENANCE, -1);
	ck_assert_int_eq(registry_add(rig, "a", &spec), 0);
	rig_config.pools = rig_pools + 1;
	rig_config.pool_count = 1;
	rig_configure();
	restart();
	rig_config.pools = rig_pools;
	restart();
	expect_standing(nth(2), STANDING_MAINTENANCE);
	expect_standing(nth(7), STANDING_SERVING);
}
END_TEST

START_TEST(corrupt_file_is_kept_aside_and_said)
{
	static const char *const texts[] = {"",
					    "{",
					    "[]",
					    "{\"version\": 1",
					    "\xff\xfe",
					    "null",
					    "{\"version\":1,\"version\":1,\"pools\":{}}",
					    "{\"version\": 2, \"pools\": {}}",
					    "{\"version\": 1, \"pools\": []}"};

	for (size_t i = 0; i < COUNT(texts); i++) {
		write_state(texts[i]);
		restart();
		ck_assert_msg(events_of("state_bad") == 1, "%s", texts[i]);
		ck_assert(is_there("overrides.json.bad"));
		unlink(path_of("overrides.json.bad"));
		say(nth(1), OVERRIDE_DRAIN, -1);
		restart();
		ck_assert_uint_eq(events_of("state_bad"), 0);
		expect_standing(nth(1), STANDING_DRAINING);
	}
}
END_TEST

#define WORD(address, more)                                                                        \
	"{\"address\": \"" address "\", \"kind\": \"drain\", \"who\": \"x\"" more "}"

START_TEST(parts_that_make_no_sense_are_left_out_and_the_file_kept)
{
	static const char text[] =
		"{\"version\": 1, \"pools\": {\"b\": 3, \"a\": {\"overrides\": "
		"[" WORD("10.0.0.1:80", "") "," WORD("10.0.0.2", "") "," WORD(
			"10.0.0.2:80", ", \"weight\": 1001") "," WORD("10.0.0.2:80",
								      ", \"until\": 5") ", 7, {}],"
											"\"targets"
											"\": "
											"[{"
											"\"address"
											"\": "
											"\"10.0.0."
											"8:80\"}, "
											"{\"addres"
											"s\": 3}, "
											"null,"
											"{\"addres"
											"s\": "
											"\"10.0.0."
											"9:80\", "
											"\"weight"
											"\": "
											"-1}]}}}";

	write_state(text);
	restart();
	ck_assert_uint_eq(events_of("state_bad"), 1);
	ck_assert(is_there("overrides.json.bad"));
	expect_standing(nth(1), STANDING_DRAINING);
	expect_standing(nth(2), STANDING_SERVING);
	expect_standing(nth(8), STANDING_SERVING);
	ck_assert_uint_eq(pool_a()->target_count, 4);
	ck_assert_uint_eq(events_of("state_target"), 3);
	/* What was understood is written again, although nobody says anything more. */
	restart();
	ck_assert_uint_eq(events_of("state_bad"), 0);
	expect_standing(nth(1), STANDING_DRAINING);
	expect_standing(nth(8), STANDING_SERVING);
}
END_TEST

START_TEST(file_that_cannot_be_read_is_kept_aside)
{
	ck_assert_int_eq(mkdir(path_of("overrides.json"), 0700), 0);
	restart();
	ck_assert_uint_eq(events_of("state_bad"), 1);
	ck_assert_int_eq(rmdir(path_of("overrides.json.bad")), 0);
	say(nth(1), OVERRIDE_DRAIN, -1);
	restart();
	expect_standing(nth(1), STANDING_DRAINING);
}
END_TEST

START_TEST(disk_that_fails_is_the_operators_error_but_the_word_holds)
{
	struct override word = {.kind = OVERRIDE_DRAIN, .weight = -1, .who = "root"};

	say(nth(1), OVERRIDE_DRAIN, -1);
	rig_now_us += US_PER_SEC;
	fsync_error = ENOSPC;
	ck_assert_int_eq(registry_override(rig, nth(2), &word), -ENOSPC);
	expect_standing(nth(2), STANDING_DRAINING);
	ck_assert_uint_eq(events_of("state_not_written"), 1);
	ck_assert(!is_there("overrides.json.new"));
	rig_now_us += US_PER_SEC;
	ck_assert_int_eq(registry_override(rig, nth(3), &word), -ENOSPC);
	ck_assert_uint_eq(events_of("state_not_written"), 1);
	fsync_error = 0;
	pass_us(11 * US_PER_SEC);
	ck_assert_uint_eq(events_of("state_written"), 1);
	restart();
	expect_standing(nth(3), STANDING_DRAINING);
}
END_TEST

START_TEST(directory_that_cannot_be_used_is_said_and_tried_again)
{
	struct override word = {.kind = OVERRIDE_DRAIN, .weight = -1, .who = "root"};

	rig_shut();
	unlink(path_of("overrides.json"));
	ck_assert_int_eq(rmdir(directory), 0);
	close(open(directory, O_CREAT | O_WRONLY, 0600));
	rig_open(directory);
	rig_configure();
	put_range("config", 1, 3);
	ck_assert_uint_eq(events_of("state_unusable"), 1);
	ck_assert_int_eq(registry_override(rig, nth(2), &word), -ENOTDIR);
	expect_standing(nth(2), STANDING_DRAINING);
	unlink(directory);
	pass_us(11 * US_PER_SEC);
	ck_assert(is_there("overrides.json"));
	restart();
	expect_standing(nth(2), STANDING_DRAINING);
}
END_TEST

START_TEST(burst_of_words_is_written_together)
{
	unsigned before;

	say(nth(1), OVERRIDE_DRAIN, -1);
	before = fsyncs;
	for (int32_t i = 0; i < 1000; i++)
		say(nth(1), OVERRIDE_DRAIN, i);
	ck_assert_uint_eq(fsyncs, before);
	ck_assert_uint_le(tick(), 100 * US_PER_MS);
	pass_us(US_PER_SEC);
	ck_assert_uint_eq(fsyncs, before + 2);
	pass_us(1000 * US_PER_SEC);
	ck_assert_uint_eq(fsyncs, before + 2);
}
END_TEST

/* What was answered must not be lost to a kill. */
START_TEST(burst_is_written_before_it_is_answered)
{
	unsigned before;

	say(nth(1), OVERRIDE_DRAIN, -1);
	before = fsyncs;
	say(nth(2), OVERRIDE_DRAIN, -1);
	ck_assert_uint_eq(fsyncs, before);
	registry_flush(rig);
	ck_assert_uint_eq(fsyncs, before + 2);
	registry_flush(rig);
	ck_assert_uint_eq(fsyncs, before + 2);
}
END_TEST

START_TEST(start_writes_nothing)
{
	struct target_spec spec = spec_of(7);

	registry_add(rig, "a", &spec);
	pass_us(US_PER_SEC);
	fsyncs = 0;
	restart();
	pass_us(US_PER_SEC);
	ck_assert_uint_eq(fsyncs, 0);
	expect_standing(nth(7), STANDING_SERVING);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		word_survives_restart_push_and_reload,
		lifted_word_is_gone_after_a_restart,
		word_that_ended_meanwhile_is_dropped,
		word_waits_for_its_target_but_not_for_a_namesake,
		word_on_a_target_unseen_for_a_month_is_dropped,
		operators_own_targets_survive_with_what_they_are,
		pool_that_leaves_the_configuration_keeps_its_words_for_its_return,
		corrupt_file_is_kept_aside_and_said,
		parts_that_make_no_sense_are_left_out_and_the_file_kept,
		file_that_cannot_be_read_is_kept_aside,
		disk_that_fails_is_the_operators_error_but_the_word_holds,
		directory_that_cannot_be_used_is_said_and_tried_again,
		burst_of_words_is_written_together,
		burst_is_written_before_it_is_answered,
		start_writes_nothing,
	};

	return run_rigged("registry_state", tests, COUNT(tests), setup, teardown);
}
