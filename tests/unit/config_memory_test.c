/* SPDX-License-Identifier: Apache-2.0
 *
 * Without memory: each allocation of parsing options, loading and showing fails once, and every
 * time the result is -ENOMEM, nothing is returned and (under a leak checker) nothing is lost.
 */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray,--wrap=strdup,--wrap=strndup */
#include <errno.h>

#include "tests/unit/conf_rig.h"

#define EXAMPLE "tests/net/conf/example.yaml"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

static unsigned fail_at; /* 0: never */
static unsigned asked;

static bool fails(void)
{
	return fail_at && ++asked == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(old, count, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
	return fails() ? NULL : __real_strndup(text, size);
}

/* The attempts assert nothing, since the test library's own allocations would be counted. */

/* Run `attempt` with its first allocation failing, then its second, until it needs no more. */
static unsigned exhaust(int (*attempt)(struct conf_errors *errors))
{
	for (unsigned n = 1;; n++) {
		struct conf_errors errors = {0};
		int err;

		asked = 0;
		fail_at = n;
		err = attempt(&errors);
		fail_at = 0;
		conf_errors_fini(&errors);
		if (asked < n) {
			ck_assert_int_eq(err, 0);
			return n - 1;
		}
		ck_assert_msg(err == -ENOMEM, "allocation %u gave %d", n, err);
	}
}

static int load_file(struct conf_errors *errors)
{
	struct options options = {.line.config_file = EXAMPLE};
	struct config *config = NULL;
	int err = config_load(&options, errors, &config);

	config_free(config);
	return config || err < 0 ? err : -EPROTO;
}

static int load_flags(struct conf_errors *errors)
{
	static char *const argv[] = {"sluice",   "--listen",   ":80",     "--listen", "unix:/x",
				     "--target", "a:1",        "--relay", "copy",     "--log-file",
				     "/x",       "--log=json", NULL};
	static char *const envp[] = {"SLUICE_TARGETS=b:1,c:1", "SLUICE_WORKERS=3",
				     "STATE_DIRECTORY=/a:/b", NULL};
	struct config *config = NULL;
	struct options options;
	int err = options_parse(COUNT(argv) - 1, argv, envp, errors, &options);

	if (err < 0)
		return err;
	err = options_add_target(&options, "d:1");
	if (err == 0)
		err = config_load(&options, errors, &config);
	options_fini(&options);
	config_free(config);
	return err;
}

START_TEST(loading_a_file_survives_every_failed_allocation)
{
	ck_assert_uint_gt(exhaust(load_file), 500);
}
END_TEST

START_TEST(options_survive_every_failed_allocation)
{
	ck_assert_uint_gt(exhaust(load_flags), 100);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		loading_a_file_survives_every_failed_allocation,
		options_survive_every_failed_allocation,
	};

	return run_tests("config_memory", tests, COUNT(tests));
}
