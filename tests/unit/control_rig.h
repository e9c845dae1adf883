/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of sluice-control share: sets of targets written as text.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/target_set.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* `setup` and `teardown` go round each test, and may be NULL. */
static inline int run_tests_in(const char *name, const TTest *const *tests, size_t count,
			       void (*setup)(void), void (*teardown)(void))
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, 60);
	if (setup)
		tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline int run_tests(const char *name, const TTest *const *tests, size_t count)
{
	return run_tests_in(name, tests, count, NULL, NULL);
}

/* One word of set_of(); `word` is cut up. */
static inline int add_word(struct target_set *set, char *word)
{
	struct found_target target = {.weight = FOUND_WEIGHT};
	char *at = strchr(word, '='), *rest = NULL;

	if (at) {
		*at++ = '\0';
		target.id = word;
	} else {
		at = word;
	}
	target.address = strtok_r(at, ",", &rest);
	while ((at = strtok_r(NULL, ",", &rest))) {
		if (!strcmp(at, "drain"))
			target.draining = true;
		else if (!strcmp(at, "backup"))
			target.backup = true;
		else if (at[0] == 'w')
			target.weight = (uint32_t)atoi(at + 1);
		else
			target.zone = at;
	}
	return target_set_add(set, &target);
}

/* Not sealed: "i-1=10.0.0.1:80,w50,drain,backup,use1-az1 10.0.0.2:80" and so on. */
static inline struct target_set *open_set_of(const char *words)
{
	struct target_set *set = target_set_new();
	char *copy = strdup(words), *rest = NULL;

	ck_assert(set && copy);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		ck_assert_int_eq(add_word(set, word), 0);
	free(copy);
	return set;
}

static inline struct target_set *set_of(const char *words)
{
	const struct found_target *twice;
	struct target_set *set = open_set_of(words);

	ck_assert_int_eq(target_set_seal(set, &twice), 0);
	return set;
}

/* `count` targets "i-FIRST" and so on at addresses of their own, all usable. */
static inline struct target_set *set_of_range(unsigned first, unsigned count)
{
	struct target_set *set = target_set_new();
	const struct found_target *twice;

	ck_assert_ptr_nonnull(set);
	for (unsigned i = first; i < first + count; i++) {
		char id[16], address[32];

		snprintf(id, sizeof(id), "i-%u", i);
		snprintf(address, sizeof(address), "10.0.%u.%u:80", i / 256, i % 256);
		ck_assert_int_eq(target_set_add(set, &(struct found_target){.id = id,
									    .address = address,
									    .weight = 100}),
				 0);
	}
	ck_assert_int_eq(target_set_seal(set, &twice), 0);
	return set;
}
