/* SPDX-License-Identifier: Apache-2.0
 *
 * Request paths: what is encoded, and what becomes of one that is too long.
 */
#include "control/ctl/client.h"
#include "tests/unit/ctl_rig.h"

START_TEST(segments_are_encoded_and_prefixes_are_not)
{
	struct path path;

	path_init(&path, "/v1/targets/");
	path_add_encoded(&path, "db:5432/10.0.0.1 ü~%?");
	path_add(&path, "/explain");
	ck_assert_str_eq(path.text, "/v1/targets/db%3A5432%2F10.0.0.1%20%C3%BC~%25%3F/explain");
	ck_assert(!path.cut);
}
END_TEST

START_TEST(queries_are_joined_and_missing_values_left_out)
{
	struct path path;

	path_init(&path, "/v1/sessions");
	path_query(&path, "pool", NULL);
	path_query(&path, "target", "a&b=c");
	path_query_number(&path, "limit", 18446744073709551615ULL);
	ck_assert_str_eq(path.text, "/v1/sessions?target=a%26b%3Dc&limit=18446744073709551615");
}
END_TEST

START_TEST(a_path_that_is_too_long_is_marked)
{
	char longest[PATH_BYTES + 1];
	struct path path;

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	path_init(&path, "/");
	path_add_encoded(&path, longest);
	ck_assert(path.cut);
	ck_assert_uint_lt(strlen(path.text), PATH_BYTES);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		segments_are_encoded_and_prefixes_are_not,
		queries_are_joined_and_missing_values_left_out,
		a_path_that_is_too_long_is_marked,
	};

	return run_tests("ctl_path", tests, COUNT(tests));
}
