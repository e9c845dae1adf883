/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the configuration share: running a list of tests, and configurations as text.
 */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/yaml_tree.h"
#include "proxy/config.h"
#include "proxy/options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Two lines that make a file valid, to put other things in front of. */
#define VALID_LISTENERS "listeners: [{name: a, bind: \":80\", pool: p}]\n"
#define VALID_POOLS     "pools: [{name: p, targets: [\"10.0.0.1:80\"]}]\n"
#define VALID           VALID_LISTENERS VALID_POOLS

static inline int run_tests(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	for (size_t i = 0; i < count; i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* All errors that were kept, one a line; the caller frees. */
static inline char *errors_text(const struct conf_errors *errors)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	conf_errors_print(errors, out);
	fclose(out);
	return text;
}

/* A tree of `yaml`, which must parse; findings go to `errors`. */
static inline struct node *tree_of(const char *yaml, struct conf_errors *errors)
{
	struct node *root = NULL;
	int err = yaml_tree_parse("f", yaml, strlen(yaml), errors, &root);

	ck_assert_msg(err == 0, "%s", conf_error_text(errors, 0));
	return root;
}

/* Load `yaml` from a file of its own; `ret_config` may stay untouched. */
static inline int load_text(const char *yaml, struct conf_errors *errors,
			    struct config **ret_config)
{
	char path[] = "/tmp/sluice-conf-XXXXXX";
	int fd = mkstemp(path);
	struct options options = {.line.config_file = path};

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
	close(fd);
	int err = config_load(&options, errors, ret_config);

	unlink(path);
	return err;
}

/* The same, valid or not a test. */
static inline struct config *load_valid(const char *yaml)
{
	struct conf_errors errors = {0};
	struct config *config = NULL;
	int err = load_text(yaml, &errors, &config);

	ck_assert_msg(err == 0, "%s", conf_error_text(&errors, 0));
	conf_errors_fini(&errors);
	return config;
}

/* `yaml` has errors, all of them of the form PLACE: TEXT, in this order. */
static inline void expect_errors(const char *yaml, const char *const *expected, size_t count)
{
	struct conf_errors errors = {0};
	struct config *config = NULL;

	ck_assert_msg(load_text(yaml, &errors, &config) < 0, "was accepted: %s", yaml);
	for (size_t i = 0; i < count; i++) {
		const char *text = conf_error_text(&errors, i);

		/* Past the path of the file, which differs each time. */
		const char *place = strchr(text ? text : "", ':');

		ck_assert_msg(place != NULL, "error %zu is missing: %s", i, expected[i]);
		ck_assert_str_eq(place + 1, expected[i]);
	}
	ck_assert_msg(errors.errors.count == count, "one more: %s",
		      conf_error_text(&errors, count));
	conf_errors_fini(&errors);
}

static inline void expect_error(const char *yaml, const char *expected)
{
	expect_errors(yaml, &expected, 1);
}
