/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML to a tree: places are exact, and everything beyond plain mappings, lists and texts is
 * refused at its place.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/unit/conf_rig.h"

static void expect_refusal(const void *yaml, size_t size, const char *expected)
{
	struct conf_errors errors = {0};
	struct node *root = NULL;

	ck_assert_int_eq(yaml_tree_parse("f", yaml, size, &errors, &root), -EINVAL);
	ck_assert_ptr_null(root);
	ck_assert_str_eq(conf_error_text(&errors, 0), expected);
	conf_errors_fini(&errors);
}

static void expect_refusal_of(const char *yaml, const char *expected)
{
	expect_refusal(yaml, strlen(yaml), expected);
}

static void expect_place(const struct conf_where *where, uint32_t line, uint32_t column)
{
	ck_assert_str_eq(where->source, "f");
	ck_assert_uint_eq(where->line, line);
	ck_assert_uint_eq(where->column, column);
}

START_TEST(every_node_knows_its_place)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("# comment\nworkers: 3\npools:\n"
				    "  - { name: \"a b\", targets: [x, y] }\n",
				    &errors);
	const struct node *workers = node_get(root, "workers");
	const struct node *pool = node_get(root, "pools")->children[0];
	const struct node *targets = node_get(pool, "targets");

	ck_assert_str_eq(workers->text, "3");
	expect_place(&workers->name_where, 2, 1);
	expect_place(&workers->where, 2, 10);
	expect_place(&pool->where, 4, 5);
	expect_place(&node_get(pool, "name")->where, 4, 13);
	ck_assert_str_eq(node_get_text(pool, "name"), "a b");
	ck_assert_int_eq(targets->kind, NODE_SEQUENCE);
	ck_assert_uint_eq(targets->count, 2);
	expect_place(&targets->children[1]->where, 4, 33);
	node_free(root);
}
END_TEST

START_TEST(columns_count_characters_not_bytes)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("{\"\xc3\xbc\xc3\xbc\": x}", &errors);

	expect_place(&root->children[0]->where, 1, 8);
	node_free(root);
}
END_TEST

START_TEST(a_byte_order_mark_is_passed_over)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("\xef\xbb\xbf"
				    "a: 1\n",
				    &errors);

	ck_assert_str_eq(node_get_text(root, "a"), "1");
	node_free(root);
}
END_TEST

START_TEST(empty_files_and_wrong_roots_are_errors)
{
	expect_refusal_of("", "f:1:1: found an empty file; expected a mapping of keys such as "
			      "\"listeners:\" and \"pools:\"");
	expect_refusal_of("# only this\n",
			  "f:2:1: found an empty file; expected a mapping of keys such as "
			  "\"listeners:\" and \"pools:\"");
	expect_refusal_of("---\n", "f:2:1: found nothing; expected a mapping of keys such as "
				   "\"listeners:\" and \"pools:\"");
	expect_refusal_of("- a\n", "f:1:1: found a list; expected a mapping of keys such as "
				   "\"listeners:\" and \"pools:\"");
	expect_refusal_of("hello", "f:1:1: found \"hello\"; expected a mapping of keys such as "
				   "\"listeners:\" and \"pools:\"");
}
END_TEST

START_TEST(yaml_that_could_multiply_itself_is_refused)
{
	expect_refusal_of("a: &x 1\n",
			  "f:1:4: found an anchor; expected no YAML anchors or aliases");
	expect_refusal_of("a: &x [1]\n",
			  "f:1:4: found an anchor; expected no YAML anchors or aliases");
	expect_refusal_of("a: *x\n", "f:1:4: found an alias; expected no YAML anchors or aliases");
	expect_refusal_of("a: !!int 3\n", "f:1:4: found a tag; expected no YAML tags");
	expect_refusal_of("a: !x {}\n", "f:1:4: found a tag; expected no YAML tags");
	expect_refusal_of("a: 1\n---\nb: 2\n", "f:2:1: found a second document; expected one");
	expect_refusal_of("[1]: 2\n",
			  "f:1:1: found a list, mapping or alias as a key; expected a name");
}
END_TEST

START_TEST(syntax_errors_have_a_place_and_a_hint)
{
	expect_refusal_of("a: 1\n b: 2\n",
			  "f:2:3: not valid YAML: mapping values are not allowed in this context");
	expect_refusal_of(
		"l: [ { bind: [::]:443 } ]\n",
		"f:1:15: not valid YAML: while parsing a flow node, did not find expected "
		"node content; an address in brackets needs quotes, as in \"[::]:443\"");
	expect_refusal_of("a:\n\t- x\n",
			  "f:2:1: not valid YAML: while scanning for the next token, found "
			  "character that cannot start any token; YAML is indented by spaces, and "
			  "here is a tab");
	expect_refusal_of("a: \"x\n",
			  "f:2:1: not valid YAML: while scanning a quoted scalar, found unexpected "
			  "end of stream");
}
END_TEST

START_TEST(bytes_that_are_not_text_are_refused_at_their_place)
{
	expect_refusal("ab: 1\nc: \xff\n", 10,
		       "f:2:4: found a byte that is not text (invalid leading UTF-8 octet); "
		       "expected UTF-8");
	expect_refusal("\xff\xfe"
		       "a\0",
		       4,
		       "f:1:1: found a byte that is not text (invalid leading UTF-8 octet); "
		       "expected UTF-8");
	expect_refusal("a: \0b", 5,
		       "f:1:4: found a byte that is not text (control characters are not allowed); "
		       "expected UTF-8");
	expect_refusal_of("a: \"x\\0y\"\n",
			  "f:1:4: found a control character or a line break; "
			  "expected plain text (or hex:0d0a, for what a health check sends)");
	expect_refusal_of("a: |\n  x\n  y\n",
			  "f:1:4: found a control character or a line break; "
			  "expected plain text (or hex:0d0a, for what a health check sends)");
}
END_TEST

START_TEST(duplicate_keys_are_noted_and_read_past)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("a: 1\nb: {c: 1, c: [2]}\na: 2\n", &errors);

	ck_assert_str_eq(conf_error_text(&errors, 0),
			 "f:2:11: found \"c\" again; expected it once, and line 2 has it");
	ck_assert_str_eq(conf_error_text(&errors, 1),
			 "f:3:1: found \"a\" again; expected it once, and line 1 has it");
	ck_assert_uint_eq(errors.errors.count, 2);
	ck_assert_str_eq(node_get_text(root, "a"), "1");
	ck_assert_uint_eq(root->count, 2);
	node_free(root);
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(depth_is_limited)
{
	char yaml[64] = "a: ", closing[32] = "";
	struct conf_errors errors = {0};

	memset(yaml + 3, '[', YAML_DEPTH_MAX - 1);
	memset(closing, ']', YAML_DEPTH_MAX - 1);
	strcat(yaml, closing);
	node_free(tree_of(yaml, &errors));
	yaml[0] = '\0';
	strcat(strcpy(yaml, "a: "), "[[[[[[[[[[[[[[[[");
	strcat(yaml, closing);
	strcat(yaml, "]");
	expect_refusal_of(yaml, "f:1:19: found more than 16 levels; expected a flatter file");
}
END_TEST

START_TEST(breadth_is_limited)
{
	char *yaml = NULL;
	size_t size;
	FILE *out = open_memstream(&yaml, &size);

	for (int i = 0; i <= YAML_KEYS_MAX; i++)
		fprintf(out, "k%d: 1\n", i);
	fclose(out);
	expect_refusal_of(yaml, "f:257:1: found more than 256 keys in one mapping; expected fewer");
	free(yaml);
	out = open_memstream(&yaml, &size);
	fputs("a:\n", out);
	for (int i = 0; i <= YAML_ITEMS_MAX; i++)
		fputs("- x\n", out);
	fclose(out);
	expect_refusal_of(yaml,
			  "f:70002:3: found more than 70000 items in one list; expected fewer");
	free(yaml);
}
END_TEST

START_TEST(size_is_limited)
{
	char *yaml = malloc(YAML_BYTES_MAX + 1);

	memset(yaml, '#', YAML_BYTES_MAX + 1);
	expect_refusal(yaml, YAML_BYTES_MAX + 1,
		       "f: found more than 8 MiB; expected a smaller file");
	free(yaml);
}
END_TEST

START_TEST(unreadable_files_are_errors_too)
{
	struct conf_errors errors = {0};
	struct node *root = NULL;

	ck_assert_int_eq(yaml_tree_load("/nonexistent.yaml", &errors, &root), -EINVAL);
	ck_assert_str_eq(conf_error_text(&errors, 0),
			 "/nonexistent.yaml: cannot read it (No such file or directory); expected "
			 "a configuration file");
	ck_assert_int_eq(yaml_tree_load("/", &errors, &root), -EINVAL);
	ck_assert_str_eq(conf_error_text(&errors, 1),
			 "/: cannot read it (Is a directory); expected a configuration file");
	ck_assert_ptr_null(root);
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(the_environment_is_a_place_for_a_file)
{
	struct conf_errors errors = {0};
	struct node *root = NULL;

	ck_assert_int_eq(setenv("YAML_TREE_TEST", "workers: 3\nworkers: 4\n", 1), 0);
	ck_assert_int_eq(yaml_tree_load("env:YAML_TREE_TEST", &errors, &root), 0);
	ck_assert_str_eq(node_get_text(root, "workers"), "3");
	ck_assert_str_eq(conf_error_text(&errors, 0),
			 "env:YAML_TREE_TEST:2:1: found \"workers\" again; expected it once, and "
			 "line 1 has it");
	node_free(root);
	conf_errors_fini(&errors);
	ck_assert_int_eq(unsetenv("YAML_TREE_TEST"), 0);
	ck_assert_int_eq(yaml_tree_load("env:YAML_TREE_TEST", &errors, &root), -EINVAL);
	ck_assert_str_eq(conf_error_text(&errors, 0),
			 "env:YAML_TREE_TEST: found no such variable in the environment; expected "
			 "one whose value is the configuration");
	conf_errors_fini(&errors);
}
END_TEST

START_TEST(short_tags_of_templates_are_written_out_at_their_place)
{
	static const char text[] = "a: !Ref b\nc: !Sub [\"x\\ny\", {d: !GetAtt e.f}]\n";
	struct conf_errors errors = {0};
	struct node *root = NULL;

	ck_assert_int_eq(yaml_tree_parse_template("f", text, strlen(text), &errors, &root), 0);
	const struct node *sub = node_get(node_get(root, "c"), "Fn::Sub");

	ck_assert_str_eq(node_get_text(node_get(root, "a"), "Ref"), "b");
	expect_place(&node_get(root, "a")->where, 1, 4);
	ck_assert_str_eq(sub->children[0]->text, "x\ny");
	ck_assert_str_eq(node_get_text(node_get(sub->children[1], "d"), "Fn::GetAtt"), "e.f");
	node_free(root);
	conf_errors_fini(&errors);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		every_node_knows_its_place,
		columns_count_characters_not_bytes,
		a_byte_order_mark_is_passed_over,
		empty_files_and_wrong_roots_are_errors,
		yaml_that_could_multiply_itself_is_refused,
		syntax_errors_have_a_place_and_a_hint,
		bytes_that_are_not_text_are_refused_at_their_place,
		duplicate_keys_are_noted_and_read_past,
		depth_is_limited,
		breadth_is_limited,
		size_is_limited,
		unreadable_files_are_errors_too,
		the_environment_is_a_place_for_a_file,
		short_tags_of_templates_are_written_out_at_their_place,
	};

	return run_tests("yaml_tree", tests, COUNT(tests));
}
