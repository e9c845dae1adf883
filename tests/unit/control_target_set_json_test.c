/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of sets of targets as JSON: there and back, and what is refused with which words.
 */
#include "proxy/base/jot.h"
#include "tests/unit/control_rig.h"

static int read_json(const char *text, struct target_set **ret_set, char *ret_problem, size_t size)
{
	json_t *array =
		json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	int err;

	ck_assert_ptr_nonnull(array);
	err = target_set_from_json(array, ret_set, ret_problem, size);
	json_decref(array);
	return err;
}

static void refused(const char *text, const char *want)
{
	struct target_set *set = NULL;
	char problem[256] = "";

	ck_assert_int_eq(read_json(text, &set, problem, sizeof(problem)), -EINVAL);
	ck_assert_ptr_null(set);
	ck_assert_msg(strstr(problem, want), "\"%s\" is not in \"%s\"", want, problem);
}

START_TEST(a_set_survives_the_way_to_json_and_back)
{
	struct target_set *set = set_of("arn:aws:ecs:x=10.0.0.1:80,w7,use1-az1,backup "
					"10.0.0.2:80,drain [2001:db8::1]:443 unix:/run/a");
	json_t *json = target_set_to_json(set);
	char *text = jot_dump(json), problem[64];
	struct target_set *again = NULL;

	ck_assert_int_eq(read_json(text, &again, problem, sizeof(problem)), 0);
	ck_assert(target_set_equal(set, again));
	target_set_free(again);
	target_set_free(set);
	free(text);
	json_decref(json);
}
END_TEST

START_TEST(json_is_written_as_the_admin_api_takes_it)
{
	struct target_set *set = set_of("a=10.0.0.1:80");
	json_t *json = target_set_to_json(set);
	char *text = jot_dump(json);

	ck_assert_str_eq(text, "[{\"id\":\"a\",\"address\":\"10.0.0.1:80\",\"weight\":100,"
			       "\"zone\":null,\"backup\":false,\"max_connections\":0,"
			       "\"draining\":false}]");
	free(text);
	json_decref(json);
	json = target_set_to_json(NULL);
	ck_assert_uint_eq(json_array_size(json), 0);
	json_decref(json);
	target_set_free(set);
}
END_TEST

START_TEST(what_is_not_said_has_its_default)
{
	struct target_set *set = NULL;
	char problem[64];

	ck_assert_int_eq(read_json("[{\"address\":\"10.0.0.1:80\"}]", &set, problem, 64), 0);
	ck_assert_uint_eq(target_set_at(set, 0)->weight, FOUND_WEIGHT);
	ck_assert_ptr_null(target_set_at(set, 0)->id);
	ck_assert_ptr_null(target_set_at(set, 0)->zone);
	target_set_free(set);
}
END_TEST

START_TEST(what_cannot_be_a_set_is_refused_with_its_place)
{
	refused("{}", "not a list");
	refused("[1]", "targets[0]: not an object");
	refused("[{}]", "targets[0]: has no address");
	refused("[{\"address\":\"10.0.0.1:80\"},{\"address\":\"x:80\"}]",
		"targets[1]: its address");
	refused("[{\"address\":\"10.0.0.1:80\",\"port\":1}]", "\"port\" is not known");
	refused("[{\"address\":\"10.0.0.1:80\",\"weight\":1001}]", "weight must be");
	refused("[{\"address\":\"10.0.0.1:80\",\"weight\":-1}]", "weight must be");
	refused("[{\"address\":\"10.0.0.1:80\",\"weight\":1.5}]", "weight must be");
	refused("[{\"address\":\"10.0.0.1:80\",\"max_connections\":4294967296}]",
		"max_connections must be");
	refused("[{\"address\":\"10.0.0.1:80\",\"backup\":1}]", "backup must be");
	refused("[{\"address\":\"10.0.0.1:80\",\"draining\":null}]", "draining must be");
	refused("[{\"address\":7}]", "address must be a text");
	refused("[{\"address\":null}]", "has no address");
	refused("[{\"address\":\"10.0.0.1:80\",\"id\":\"a b\"}]", "its address, id");
	refused("[{\"address\":\"10.0.0.1:80\",\"id\":\"a\\u0000b\"}]", "NUL");
	refused("[{\"address\":\"10.0.0.1:80\"},{\"address\":\"10.0.0.1:80\",\"weight\":1}]",
		"10.0.0.1:80 is there twice");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_set_survives_the_way_to_json_and_back,
		json_is_written_as_the_admin_api_takes_it,
		what_is_not_said_has_its_default,
		what_cannot_be_a_set_is_refused_with_its_place,
	};

	return run_tests("control_target_set_json", tests, COUNT(tests));
}
