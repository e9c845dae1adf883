/* SPDX-License-Identifier: Apache-2.0
 *
 * What tags and attributes say of a target, and the notes on what they say badly.
 */
#include "control/labels.h"
#include "control/notes.h"
#include "tests/unit/aws_double.h"

/* link: -Wl,--wrap=aws_start -Wl,--wrap=aws_start_batches -Wl,--wrap=aws_cancel */

static struct notes notes;
static struct node *conf;

static struct labels labels_of(const char *kind, const char *key, const char *yaml)
{
	const struct schema_map *map = discover_source_map(kind);
	struct conf_errors errors = {0};
	struct labels labels;

	conf = tree_of(yaml, &errors);
	schema_check(map, conf, &errors);
	ck_assert_msg(!conf_failed(&errors), "%s", conf_error_text(&errors, 0));
	ck_assert_int_eq(schema_complete(map, conf), 0);
	labels_open(kind, conf, key, &labels);
	return labels;
}

static const char *notes_text(void)
{
	static char text[200];

	notes_write(&notes, text, sizeof(text));
	return text;
}

START_TEST(attributes_are_read_like_tags)
{
	struct labels labels =
		labels_of("cloudmap", "from_attributes",
			  "{namespace: n, service: s, from_attributes: {weight: w}}");
	json_t *from = json_of("{'AWS_INSTANCE_PORT': '8080', 'AVAILABILITY_ZONE': 'eu-west-1a',"
			       " 'w': '0'}");
	struct said said = labels_read(&labels, "t", from, &notes);

	ck_assert_uint_eq(said.port, 8080);
	ck_assert_uint_eq(said.weight, 0);
	ck_assert_str_eq(said.zone, "eu-west-1a");
	ck_assert(!said.backup);
	ck_assert_str_eq(notes_text(), "");
	json_decref(from);
	node_free(conf);
}
END_TEST

START_TEST(what_is_not_said_is_as_the_mapping_says)
{
	struct labels labels =
		labels_of("ec2", "from_tags",
			  "{tags: {a: b}, port: 80, weight: 7, backup: true, from_tags: {port: p,"
			  " weight: w, zone: z, backup: b}}");
	json_t *from = json_of("[{'key': 'p', 'value': ''}, {'key': 'other', 'value': '1'}]");
	struct said said = labels_read(&labels, "t", from, &notes);

	ck_assert_uint_eq(said.port, 80);
	ck_assert_uint_eq(said.weight, 7);
	ck_assert_ptr_null(said.zone);
	ck_assert(said.backup);
	said = labels_read(&labels, "t", NULL, &notes);
	ck_assert_uint_eq(said.port, 80);
	ck_assert_str_eq(notes_text(), "");
	json_decref(from);
	node_free(conf);
}
END_TEST

START_TEST(numbers_are_taken_within_their_bounds)
{
	static const struct {
		const char *port, *weight;
		uint16_t port_is;
		uint32_t weight_is;
		uint32_t notes;
	} rows[] = {
		{"1", "0", 1, 0, 0},        {"65535", "1000", 65535, 1000, 0},
		{"0", "1001", 80, 100, 2},  {"65536", "-1", 80, 100, 2},
		{"http", " 5", 80, 100, 2}, {"18446744073709551617", "1.5", 80, 100, 2},
	};
	struct labels labels = labels_of(
		"ec2", "from_tags", "{tags: {a: b}, port: 80, from_tags: {port: p, weight: w}}");

	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *from = json_pack("[{s:s, s:s}, {s:s, s:s}]", "key", "p", "value",
					 rows[i].port, "key", "w", "value", rows[i].weight);
		struct notes some = {0};
		struct said said = labels_read(&labels, "t", from, &some);

		ck_assert_uint_eq(said.port, rows[i].port_is);
		ck_assert_uint_eq(said.weight, rows[i].weight_is);
		ck_assert_uint_eq(some.count, rows[i].notes);
		json_decref(from);
	}
	node_free(conf);
}
END_TEST

START_TEST(the_first_finding_is_told_and_the_rest_counted)
{
	struct labels labels =
		labels_of("ec2", "from_tags", "{tags: {a: b}, port: 80, from_tags: {backup: b}}");
	json_t *from = json_of("[{'key': 'b', 'value': 'yes'}]");

	labels_read(&labels, "i-1", from, &notes);
	ck_assert_str_eq(notes_text(), "i-1 says b \"yes\", which is neither true nor false");
	labels_read(&labels, "i-2", from, &notes);
	labels_read(&labels, "i-3", from, &notes);
	ck_assert_str_eq(notes_text(), "i-1 says b \"yes\", which is neither true nor false "
				       "(and 2 more findings)");
	json_decref(from);
	node_free(conf);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		attributes_are_read_like_tags,
		what_is_not_said_is_as_the_mapping_says,
		numbers_are_taken_within_their_bounds,
		the_first_finding_is_told_and_the_rest_counted,
	};

	return run_tests("control_labels", tests, COUNT(tests));
}
