/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the guard: each rule, and over random rows of snapshots that no pool is ever emptied or
 * falls below what the rules allow.
 */
#include "control/guard.h"
#include "tests/unit/control_rig.h"

/* A source as the guard sees it from one snapshot to the next. */
struct trial {
	struct guard_conf conf;
	struct target_set *current;
	struct guard_hold hold;
	uint64_t now_us;
	const char *down; /* words: ids that health checks hold down, or NULL */
};

static bool listed_down(void *context, const struct found_target *target)
{
	const struct trial *trial = context;
	const char *at = target->id ? strstr(trial->down, target->id) : NULL;

	return at && (at[strlen(target->id)] == ' ' || !at[strlen(target->id)]);
}

static enum guard_verdict judge(struct trial *trial, struct target_set *next)
{
	enum guard_verdict verdict =
		guard_judge(&trial->conf, trial->current, &next, &trial->hold, ++trial->now_us,
			    trial->down ? listed_down : NULL, trial);

	ck_assert_int_eq(!next, verdict == GUARD_HOLD_EMPTY || verdict == GUARD_HOLD_SHRINK);
	ck_assert_int_eq(!next, trial->hold.set != NULL);
	if (verdict == GUARD_APPLY) {
		target_set_free(trial->current);
		trial->current = next;
	} else {
		target_set_free(next);
	}
	return verdict;
}

static struct trial trial_of(struct target_set *current)
{
	return (struct trial){.conf = {.max_shrink_percent = 30}, .current = current};
}

static void trial_end(struct trial *trial)
{
	guard_hold_clear(&trial->hold);
	target_set_free(trial->current);
}

START_TEST(additions_changes_and_small_shrinks_apply_at_once)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	ck_assert_int_eq(judge(&trial, set_of_range(0, 10)), GUARD_SAME);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 20)), GUARD_APPLY);
	ck_assert_int_eq(judge(&trial, set_of_range(6, 14)), GUARD_APPLY);
	ck_assert_int_eq(judge(&trial, set_of_range(100, 14)), GUARD_APPLY);
	ck_assert_uint_eq(target_set_count(trial.current), 14);
	trial_end(&trial);
}
END_TEST

START_TEST(the_first_set_applies_unless_nothing_of_it_is_usable)
{
	struct trial trial = trial_of(NULL);

	ck_assert_int_eq(judge(&trial, set_of("")), GUARD_HOLD_EMPTY);
	ck_assert_int_eq(judge(&trial, set_of("a=10.0.0.1:80,drain")), GUARD_HOLD_EMPTY);
	ck_assert_int_eq(judge(&trial, set_of("a=10.0.0.1:80")), GUARD_APPLY);
	trial_end(&trial);
}
END_TEST

START_TEST(an_empty_set_is_never_applied_however_often_confirmed)
{
	struct trial trial = trial_of(set_of_range(0, 1));

	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(judge(&trial, set_of("")), GUARD_HOLD_EMPTY);
	ck_assert_uint_eq(trial.hold.seen, 10000);
	ck_assert_uint_eq(trial.hold.since_wall_us, 1);
	ck_assert_uint_eq(target_set_count(trial.current), 1);
	trial_end(&trial);
}
END_TEST

START_TEST(health_checks_do_not_let_an_empty_set_through)
{
	struct trial trial = trial_of(set_of_range(0, 2));

	trial.down = "i-0 i-1";
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(judge(&trial, set_of("")), GUARD_HOLD_EMPTY);
	trial_end(&trial);
}
END_TEST

START_TEST(a_set_that_only_drains_counts_as_empty)
{
	struct trial trial = trial_of(set_of("a=10.0.0.1:80 b=10.0.0.2:80"));

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(judge(&trial, set_of("a=10.0.0.1:80,drain b=10.0.0.2:80,w0")),
				 GUARD_HOLD_EMPTY);
	trial_end(&trial);
}
END_TEST

START_TEST(what_was_let_through_without_a_usable_target_may_end)
{
	struct trial trial = trial_of(set_of("a=10.0.0.1:80,drain b=10.0.0.2:80,drain"));

	ck_assert_int_eq(judge(&trial, set_of("b=10.0.0.2:80,drain")), GUARD_APPLY);
	ck_assert_int_eq(judge(&trial, set_of("")), GUARD_HOLD_EMPTY);
	trial_end(&trial);
}
END_TEST

START_TEST(a_source_that_may_be_empty_is_still_confirmed)
{
	struct trial trial = trial_of(set_of_range(0, 4));

	trial.conf.allow_empty = true;
	ck_assert_int_eq(judge(&trial, set_of("")), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of("")), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of("")), GUARD_APPLY);
	ck_assert_int_eq(judge(&trial, set_of("")), GUARD_SAME);
	trial_end(&trial);
}
END_TEST

START_TEST(a_large_shrink_applies_after_three_identical_snapshots)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_uint_eq(trial.hold.seen, 2);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_APPLY);
	ck_assert_uint_eq(target_set_count(trial.current), 6);
	trial_end(&trial);
}
END_TEST

START_TEST(a_differing_snapshot_begins_the_count_anew)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 5)), GUARD_HOLD_SHRINK);
	ck_assert_uint_eq(trial.hold.seen, 1);
	ck_assert_uint_eq(trial.hold.since_wall_us, 1);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_APPLY);
	trial_end(&trial);
}
END_TEST

START_TEST(the_set_in_force_seen_again_ends_a_hold)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 10)), GUARD_SAME);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_uint_eq(trial.hold.seen, 1);
	trial_end(&trial);
}
END_TEST

START_TEST(one_target_less_never_blocks)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	trial.conf.max_shrink_percent = 0;
	for (unsigned left = 9; left; left--)
		ck_assert_int_eq(judge(&trial, set_of_range(0, left)), GUARD_APPLY);
	ck_assert_int_eq(judge(&trial, set_of("")), GUARD_HOLD_EMPTY);
	trial_end(&trial);
}
END_TEST

START_TEST(the_bound_itself_is_allowed)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	ck_assert_int_eq(judge(&trial, set_of_range(0, 6)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 7)), GUARD_APPLY);
	trial_end(&trial);
	trial = trial_of(set_of_range(0, 10));
	trial.conf.max_shrink_percent = 100;
	ck_assert_int_eq(judge(&trial, set_of_range(0, 1)), GUARD_APPLY);
	trial_end(&trial);
}
END_TEST

START_TEST(draining_counts_as_gone)
{
	struct trial trial = trial_of(set_of("a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80"));

	ck_assert_int_eq(judge(&trial, set_of("a=10.0.0.1:80,drain b=10.0.0.2:80,drain "
					      "c=10.0.0.3:80")),
			 GUARD_HOLD_SHRINK);
	trial_end(&trial);
}
END_TEST

START_TEST(targets_that_are_down_go_at_once)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	trial.down = "i-0 i-1 i-2 i-3 i-4";
	ck_assert_int_eq(judge(&trial, set_of_range(5, 5)), GUARD_APPLY);
	trial_end(&trial);
}
END_TEST

START_TEST(targets_that_are_down_do_not_stand_in_for_those_that_go)
{
	struct trial trial = trial_of(set_of_range(0, 10));

	trial.down = "i-0 i-1 i-2 i-3 i-4 i-5 i-6";
	ck_assert_int_eq(judge(&trial, set_of_range(0, 7)), GUARD_HOLD_SHRINK);
	ck_assert_int_eq(judge(&trial, set_of_range(0, 9)), GUARD_APPLY);
	trial_end(&trial);
}
END_TEST

START_TEST(a_hold_is_explained_in_a_sentence)
{
	struct trial trial = trial_of(set_of_range(0, 6));
	char buf[128];

	ck_assert_str_eq(guard_explain(&trial.hold, trial.current, buf, sizeof(buf)),
			 "nothing is held");
	judge(&trial, set_of_range(0, 1));
	ck_assert_str_eq(guard_explain(&trial.hold, trial.current, buf, sizeof(buf)),
			 "5 of 6 usable targets would go: seen 1 of 3 times");
	judge(&trial, set_of(""));
	ck_assert_str_eq(guard_explain(&trial.hold, trial.current, buf, sizeof(buf)),
			 "all 6 usable targets would go: only an approval lets that through");
	ck_assert_str_eq(guard_explain(&trial.hold, NULL, buf, sizeof(buf)),
			 "the source names no usable target");
	ck_assert_uint_eq(strlen(trial.hold.digest), SET_DIGEST_TEXT - 1);
	trial_end(&trial);
}
END_TEST

/* A fixed row of numbers (xorshift64), so that a failure comes again. */
static unsigned roll(uint64_t *state, unsigned below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (unsigned)(*state >> 33) % below;
}

static struct target_set *random_set(uint64_t *state)
{
	struct target_set *set = target_set_new();
	unsigned presence = roll(state, 5), size = 1 + roll(state, 12);
	const struct found_target *twice;

	for (unsigned i = 0; i < size; i++) {
		char id[16], address[32];

		if (roll(state, 4) >= presence)
			continue;
		snprintf(id, sizeof(id), "i-%c", 'a' + i);
		snprintf(address, sizeof(address), "10.0.0.%u:80", i);
		ck_assert_int_eq(
			target_set_add(set,
				       &(struct found_target){.id = id,
							      .address = address,
							      .weight = roll(state, 9) ? 100 : 0,
							      .draining = !roll(state, 6)}),
			0);
	}
	ck_assert_int_eq(target_set_seal(set, &twice), 0);
	return set;
}

static size_t live_of(const struct trial *trial, const struct target_set *set)
{
	size_t live = 0;

	for (size_t i = 0; i < target_set_count(set); i++) {
		const struct found_target *target = target_set_at(set, i);

		live += !target->draining && target->weight &&
			!(trial->down && listed_down((void *)trial, target));
	}
	return live;
}

/* Give one snapshot to the guard and hold what it did against the rules. `row` counts identical
 * snapshots; the copy of the last one is `*last`. */
static void step(struct trial *trial, struct target_set *next, struct target_set **last,
		 unsigned *row)
{
	size_t before = live_of(trial, trial->current), after = live_of(trial, next);
	size_t usable = target_set_usable(trial->current);
	json_t *json = target_set_to_json(next);
	bool had = trial->current != NULL;
	char problem[64];

	*row = *last && target_set_equal(*last, next) ? *row + 1 : 1;
	target_set_free(*last);
	ck_assert_int_eq(target_set_from_json(json, last, problem, sizeof(problem)), 0);
	json_decref(json);
	if (judge(trial, next) != GUARD_APPLY)
		return;
	ck_assert(target_set_count(trial->current));
	ck_assert(target_set_usable(trial->current) || (had && !usable));
	if (*row < GUARD_CONFIRMATIONS && before > after)
		ck_assert(before - after == 1 ||
			  (before - after) * 100 <= trial->conf.max_shrink_percent * before);
}

START_TEST(no_row_of_snapshots_empties_or_shrinks_beyond_the_rules)
{
	static const char *const down[] = {NULL, "i-a i-b i-c", "i-d i-g", "i-a i-c i-e i-f i-k"};
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	for (int row = 0; row < 2000; row++) {
		struct trial trial = trial_of(NULL);
		struct target_set *last = NULL;
		unsigned identical = 0;

		trial.conf.max_shrink_percent = roll(&state, 101);
		for (int i = 0; i < 30; i++) {
			uint64_t again = state;
			unsigned times = 1 + roll(&state, 4);

			trial.down = down[roll(&state, COUNT(down))];
			for (unsigned j = 0; j < times; j++) {
				uint64_t replay = again;

				step(&trial, random_set(&replay), &last, &identical);
			}
		}
		target_set_free(last);
		trial_end(&trial);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		additions_changes_and_small_shrinks_apply_at_once,
		the_first_set_applies_unless_nothing_of_it_is_usable,
		an_empty_set_is_never_applied_however_often_confirmed,
		health_checks_do_not_let_an_empty_set_through,
		a_set_that_only_drains_counts_as_empty,
		what_was_let_through_without_a_usable_target_may_end,
		a_source_that_may_be_empty_is_still_confirmed,
		a_large_shrink_applies_after_three_identical_snapshots,
		a_differing_snapshot_begins_the_count_anew,
		the_set_in_force_seen_again_ends_a_hold,
		one_target_less_never_blocks,
		the_bound_itself_is_allowed,
		draining_counts_as_gone,
		targets_that_are_down_go_at_once,
		targets_that_are_down_do_not_stand_in_for_those_that_go,
		a_hold_is_explained_in_a_sentence,
		no_row_of_snapshots_empties_or_shrinks_beyond_the_rules,
	};

	return run_tests("control_guard", tests, COUNT(tests));
}
