/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of sets of targets: what may be in one, identity, and what leads from one to the next.
 */
#include "tests/unit/control_rig.h"

static int try_add(const char *id, const char *address, const char *zone, uint32_t weight)
{
	struct target_set *set = target_set_new();
	int err = target_set_add(
		set, &(struct found_target){
			     .id = id, .address = address, .zone = zone, .weight = weight});

	ck_assert_uint_eq(target_set_count(set), err ? 0 : 1);
	target_set_free(set);
	return err;
}

START_TEST(what_the_admin_api_would_refuse_is_refused)
{
	char long_id[257], long_zone[65];

	memset(long_id, 'i', 256);
	long_id[256] = '\0';
	memset(long_zone, 'z', 64);
	long_zone[64] = '\0';
	ck_assert_int_eq(try_add("i-1", "10.0.0.1:80", "use1-az1", 1000), 0);
	ck_assert_int_eq(try_add(long_id + 1, "[::1]:80", long_zone + 1, 0), 0);
	ck_assert_int_eq(try_add(NULL, "unix:/run/a.sock", NULL, 0), 0);
	ck_assert_int_eq(try_add(long_id, "10.0.0.1:80", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add("", "10.0.0.1:80", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add("i 1", "10.0.0.1:80", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add("i\n1", "10.0.0.1:80", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add("i\xff", "10.0.0.1:80", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "10.0.0.1:80", long_zone, 1), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "10.0.0.1:80", "", 1), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "10.0.0.1:80", NULL, 1001), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "10.0.0.1", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "10.0.0.1:0", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "db.internal:80", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "unix:/a b", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add(NULL, "", NULL, 1), -EINVAL);
	ck_assert_int_eq(try_add("i-1", NULL, NULL, 1), -EINVAL);
}
END_TEST

START_TEST(a_set_has_its_own_texts_sorted)
{
	char id[] = "b", address[] = "10.0.0.2:80", zone[] = "z";
	struct target_set *set = open_set_of("c=10.0.0.3:80 10.0.0.9:80");
	const struct found_target *twice, *target;

	ck_assert_int_eq(
		target_set_add(set, &(struct found_target){id, address, zone, 7, 9, false, false}),
		0);
	memset(id, 'x', 1);
	memset(address, 'x', 3);
	memset(zone, 'x', 1);
	ck_assert_int_eq(target_set_seal(set, &twice), 0);
	ck_assert_uint_eq(target_set_count(set), 3);
	ck_assert_ptr_null(target_set_at(set, 0)->id);
	target = target_set_at(set, 1);
	ck_assert_str_eq(target->id, "b");
	ck_assert_str_eq(target->address, "10.0.0.2:80");
	ck_assert_str_eq(target->zone, "z");
	ck_assert_uint_eq(target->weight, 7);
	ck_assert_uint_eq(target->max_connections, 9);
	ck_assert_str_eq(target_set_at(set, 2)->id, "c");
	target_set_free(set);
}
END_TEST

START_TEST(repetitions_are_dropped_and_contradictions_found)
{
	struct target_set *set = set_of("a=10.0.0.1:80 b=10.0.0.2:80 a=10.0.0.1:80");
	const struct found_target *twice = NULL;

	ck_assert_uint_eq(target_set_count(set), 2);
	ck_assert_uint_eq(target_set_usable(set), 2);
	target_set_free(set);
	set = open_set_of("a=10.0.0.1:80 b=10.0.0.2:80 a=10.0.0.1:80,drain");
	ck_assert_int_eq(target_set_seal(set, &twice), -EEXIST);
	ck_assert_str_eq(twice->id, "a");
	target_set_free(set);
}
END_TEST

START_TEST(one_address_in_two_notations_is_one_target)
{
	struct target_set *set = set_of("[2001:DB8:0::1]:80 [2001:db8::1]:80");

	ck_assert_uint_eq(target_set_count(set), 1);
	ck_assert_ptr_nonnull(target_set_find(set, NULL, "[2001:0db8::1]:80"));
	target_set_free(set);
}
END_TEST

START_TEST(targets_are_found_by_id_and_address_together)
{
	struct target_set *set = set_of("a=10.0.0.1:80 a=10.0.0.1:81 b=10.0.0.1:80 10.0.0.7:80");

	ck_assert_uint_eq(target_set_count(set), 4);
	ck_assert_str_eq(target_set_find(set, "a", "10.0.0.1:81")->address, "10.0.0.1:81");
	ck_assert_str_eq(target_set_find(set, "b", "10.0.0.1:80")->id, "b");
	ck_assert_ptr_null(target_set_find(set, "b", "10.0.0.1:81"));
	ck_assert_ptr_null(target_set_find(set, NULL, "10.0.0.1:80"));
	ck_assert_ptr_nonnull(target_set_find(set, NULL, "10.0.0.7:80"));
	ck_assert_ptr_null(target_set_find(set, NULL, "no address"));
	ck_assert_ptr_null(target_set_find(NULL, NULL, "10.0.0.7:80"));
	target_set_free(set);
}
END_TEST

START_TEST(draining_and_weightless_targets_are_not_usable)
{
	struct target_set *set = set_of("a=10.0.0.1:80 b=10.0.0.2:80,drain c=10.0.0.3:80,w0");

	ck_assert_uint_eq(target_set_usable(set), 1);
	ck_assert_uint_eq(target_set_usable(NULL), 0);
	ck_assert_uint_eq(target_set_count(NULL), 0);
	target_set_free(set);
}
END_TEST

/* Whether two sets are equal, by comparison and by digest, which must agree. */
static bool same(const char *a_words, const char *b_words)
{
	struct target_set *a = set_of(a_words), *b = set_of(b_words);
	char a_digest[SET_DIGEST_TEXT], b_digest[SET_DIGEST_TEXT];
	bool equal = target_set_equal(a, b);

	target_set_digest(a, a_digest);
	target_set_digest(b, b_digest);
	ck_assert_uint_eq(strlen(a_digest), SET_DIGEST_TEXT - 1);
	ck_assert_int_eq(!strcmp(a_digest, b_digest), equal);
	ck_assert_int_eq(target_set_diff(a, b, NULL, NULL) == 0, equal);
	target_set_free(a);
	target_set_free(b);
	return equal;
}

START_TEST(sets_are_equal_whatever_the_order_and_differ_in_any_value)
{
	ck_assert(same("", ""));
	ck_assert(same("a=10.0.0.1:80 b=10.0.0.2:80", "b=10.0.0.2:80 a=10.0.0.1:80"));
	ck_assert(!same("a=10.0.0.1:80", ""));
	ck_assert(!same("a=10.0.0.1:80", "a=10.0.0.1:81"));
	ck_assert(!same("a=10.0.0.1:80", "10.0.0.1:80"));
	ck_assert(!same("a=10.0.0.1:80", "a=10.0.0.1:80,w99"));
	ck_assert(!same("a=10.0.0.1:80", "a=10.0.0.1:80,z"));
	ck_assert(!same("a=10.0.0.1:80,y", "a=10.0.0.1:80,z"));
	ck_assert(!same("a=10.0.0.1:80", "a=10.0.0.1:80,drain"));
	ck_assert(!same("a=10.0.0.1:80", "a=10.0.0.1:80,backup"));
}
END_TEST

static void print_change(void *context, enum set_change change, const struct found_target *was,
			 const struct found_target *is)
{
	char *text = context;

	sprintf(text + strlen(text), "%s %s;", set_change_names[change],
		is ? is->address : was->address);
}

START_TEST(a_diff_names_every_change_once)
{
	struct target_set *before = set_of("a=10.0.0.1:80 b=10.0.0.2:80 c=10.0.0.3:80,drain "
					   "d=10.0.0.4:80 e=10.0.0.5:80 f=10.0.0.6:80");
	struct target_set *after = set_of("a=10.0.0.1:80 b=10.0.0.2:80,drain c=10.0.0.3:80 "
					  "d=10.0.0.4:80,w5 f=10.0.0.6:80 g=10.0.0.7:80");
	char text[400] = "";

	ck_assert_uint_eq(target_set_diff(before, after, print_change, text), 5);
	ck_assert_str_eq(text, "drained 10.0.0.2:80;returned 10.0.0.3:80;changed 10.0.0.4:80;"
			       "removed 10.0.0.5:80;added 10.0.0.7:80;");
	ck_assert_uint_eq(target_set_diff(NULL, after, NULL, NULL), 6);
	ck_assert_uint_eq(target_set_diff(after, NULL, NULL, NULL), 6);
	target_set_free(before);
	target_set_free(after);
}
END_TEST

START_TEST(a_new_id_at_an_old_address_is_another_target)
{
	struct target_set *before = set_of("task/old=10.0.0.1:80");
	struct target_set *after = set_of("task/new=10.0.0.1:80");
	char text[200] = "";

	ck_assert_uint_eq(target_set_diff(before, after, print_change, text), 2);
	ck_assert_str_eq(text, "added 10.0.0.1:80;removed 10.0.0.1:80;");
	target_set_free(before);
	target_set_free(after);
}
END_TEST

START_TEST(a_large_set_is_sealed_whole)
{
	struct target_set *set = set_of_range(0, 5000);

	ck_assert_uint_eq(target_set_count(set), 5000);
	ck_assert_uint_eq(target_set_usable(set), 5000);
	ck_assert_ptr_nonnull(target_set_find(set, "i-4999", "10.0.19.135:80"));
	target_set_free(set);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_the_admin_api_would_refuse_is_refused,
		a_set_has_its_own_texts_sorted,
		repetitions_are_dropped_and_contradictions_found,
		one_address_in_two_notations_is_one_target,
		targets_are_found_by_id_and_address_together,
		draining_and_weightless_targets_are_not_usable,
		sets_are_equal_whatever_the_order_and_differ_in_any_value,
		a_diff_names_every_change_once,
		a_new_id_at_an_old_address_is_another_target,
		a_large_set_is_sealed_whole,
	};

	return run_tests("control_target_set", tests, COUNT(tests));
}
