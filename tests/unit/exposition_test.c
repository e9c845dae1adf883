/* SPDX-License-Identifier: Apache-2.0
 *
 * How samples are written, what labels may hold, and what becomes of a text without memory.
 */
/* link: -Wl,--wrap=realloc */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/exposition.h"

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool refuse_memory;

void *__wrap_realloc(void *memory, size_t size)
{
	return refuse_memory ? NULL : __real_realloc(memory, size);
}

static void is_text(struct exposition *out, const char *text)
{
	char *got = exposition_take(out);

	ck_assert_str_eq(got, text);
	free(got);
}

START_TEST(metric_has_help_type_and_samples)
{
	struct exposition out = {0};

	exposition_metric(&out, "x_seconds", "histogram", "How long.");
	exposition_sample(&out, "_bucket");
	exposition_label(&out, "pool", "web");
	exposition_label_real(&out, "le", 0.000064);
	exposition_integer(&out, UINT64_MAX);
	exposition_sample(&out, "_sum");
	exposition_real(&out, 4294.967296);
	exposition_sample(&out, "");
	exposition_label_number(&out, "worker", 10);
	exposition_integer(&out, 0);
	is_text(&out, "# HELP x_seconds How long.\n# TYPE x_seconds histogram\n"
		      "x_seconds_bucket{pool=\"web\",le=\"6.4e-05\"} 18446744073709551615\n"
		      "x_seconds_sum 4294.967296\n"
		      "x_seconds{worker=\"10\"} 0\n");
}
END_TEST

START_TEST(labels_hold_any_bytes)
{
	struct exposition out = {0};

	exposition_metric(&out, "x", "gauge", "X.");
	exposition_sample(&out, "");
	exposition_label(&out, "a", "\\ \"q\"\n\t\xc3\xa4\x7f");
	exposition_label(&out, "b", "");
	exposition_integer(&out, 1);
	is_text(&out, "# HELP x X.\n# TYPE x gauge\n"
		      "x{a=\"\\\\ \\\"q\\\"\\n\\\\x09\\\\xc3\\\\xa4\\\\x7f\",b=\"\"} 1\n");
}
END_TEST

START_TEST(shared_labels_are_copied_and_may_be_followed)
{
	struct exposition out = {0}, labels = {0};
	size_t second;

	exposition_labels_begin(&labels);
	exposition_label(&labels, "a", "1");
	exposition_label(&labels, "b", "2");
	second = labels.size;
	exposition_labels_begin(&labels);
	exposition_label(&labels, "a", "3");
	exposition_metric(&out, "x", "gauge", "X.");
	exposition_sample(&out, "");
	exposition_labels(&out, labels.text, second);
	exposition_integer(&out, 1);
	exposition_sample(&out, "");
	exposition_labels(&out, labels.text + second, labels.size - second);
	exposition_label(&out, "c", "4");
	exposition_integer(&out, 2);
	is_text(&out, "# HELP x X.\n# TYPE x gauge\nx{a=\"1\",b=\"2\"} 1\nx{a=\"3\",c=\"4\"} 2\n");
	free(exposition_take(&labels));
}
END_TEST

START_TEST(nothing_written_is_an_empty_text)
{
	struct exposition out = {0};

	is_text(&out, "");
}
END_TEST

static void write_much(struct exposition *out, unsigned count)
{
	exposition_metric(out, "x", "counter", "X.");
	for (unsigned i = 0; i < count; i++) {
		exposition_sample(out, "");
		exposition_label_number(out, "n", i);
		exposition_integer(out, i);
	}
}

START_TEST(buffer_grows_and_loses_nothing)
{
	struct exposition out = {0};
	char *text;

	write_much(&out, 100000);
	ck_assert_uint_gt(out.size, 1000000);
	text = exposition_take(&out);
	ck_assert_uint_eq(out.size, 0);
	ck_assert_ptr_nonnull(strstr(text, "\nx{n=\"54321\"} 54321\n"));
	ck_assert_str_eq(text + strlen(text) - strlen("x{n=\"99999\"} 99999\n"),
			 "x{n=\"99999\"} 99999\n");
	free(text);
}
END_TEST

START_TEST(without_memory_there_is_no_text_at_all)
{
	struct exposition out = {0};

	write_much(&out, 10);
	refuse_memory = true;
	write_much(&out, 100000);
	refuse_memory = false;
	write_much(&out, 10);
	ck_assert_ptr_null(exposition_take(&out));
	ck_assert(!out.failed);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		metric_has_help_type_and_samples,
		labels_hold_any_bytes,
		shared_labels_are_copied_and_may_be_followed,
		nothing_written_is_an_empty_text,
		buffer_grows_and_loses_nothing,
		without_memory_there_is_no_text_at_all,
	};
	Suite *suite = suite_create("exposition");
	TCase *tcase = tcase_create("exposition");
	SRunner *runner = srunner_create(suite);
	int failed;

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
