/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes: found, removed, copied, and printed so that they read back the same.
 */
#include "proxy/base/conf/tree.h"
#include "tests/unit/conf_rig.h"

static char *printed(const struct node *node)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	node_print(node, out);
	fclose(out);
	return text;
}

START_TEST(lookups_answer_only_for_mappings)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("a: 1\nb: [x]\nc: {d: 2}\n", &errors);

	ck_assert_str_eq(node_get_text(root, "a"), "1");
	ck_assert_ptr_null(node_get(root, "z"));
	ck_assert_ptr_null(node_get(NULL, "a"));
	ck_assert_ptr_null(node_get(node_get(root, "a"), "a"));
	ck_assert_ptr_null(node_get(node_get(root, "b"), "x"));
	ck_assert_ptr_null(node_get_text(root, "b"));
	ck_assert_str_eq(node_get_text(node_get(root, "c"), "d"), "2");
	ck_assert_uint_eq(node_items(node_get(root, "b")), 1);
	ck_assert_uint_eq(node_items(node_get(root, "c")), 0);
	ck_assert_uint_eq(node_items(NULL), 0);
	node_free(root);
}
END_TEST

START_TEST(removal_closes_the_gap)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("{a: 1, b: [x, y], c: 3}", &errors);

	node_remove(root, "b");
	node_remove(root, "nothing");
	node_remove(root->children[0], "a");
	ck_assert_uint_eq(root->count, 2);
	ck_assert_str_eq(root->children[1]->name, "c");
	node_free(root);
}
END_TEST

START_TEST(clones_share_nothing)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("a: {b: [x, y]}\n", &errors);
	struct node *copy = node_clone(root);
	char *text;

	node_free(root);
	text = printed(copy);
	ck_assert_str_eq(text, "a:\n  b:\n    - x\n    - y\n");
	ck_assert_uint_eq(node_get(copy, "a")->name_where.column, 1);
	ck_assert_uint_eq(node_get(copy, "a")->where.column, 4);
	free(text);
	node_free(copy);
}
END_TEST

START_TEST(printed_trees_read_back_the_same)
{
	static const char *const texts[] = {
		"{}\n",
		"a:\n  - - x\n    - y\n  - b: 1\n    c:\n      - z\n  - {}\n  - []\n",
		"\"a b\": \"[::]:80\"\n\"-\": \"- x\"\n",
		"a: \"\"\nb: \"quo\\\"te and \\\\\"\nc: \"#x\"\nd: \"x: y\"\ne: \" lead\"\n",
		"a: \"\xc3\xbc\"\nb: \"%x\"\nc: \"@x\"\nd: \"...\"\ne: \"---\"\nf: 20%\n",
	};

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct conf_errors errors = {0};
		struct node *root = tree_of(texts[i], &errors);
		char *text = printed(root);

		ck_assert_str_eq(text, texts[i]);
		free(text);
		node_free(root);
	}
}
END_TEST

START_TEST(descriptions_fit_messages)
{
	struct conf_errors errors = {0};
	struct node *root = tree_of("{a: {}, b: [], c: '', d: x}", &errors);
	char buf[128], text[201] = "";
	const struct conf_where where = {"f", 1, 1};
	struct node *node;

	ck_assert_str_eq(node_describe(root->children[0], buf, sizeof(buf)), "a mapping");
	ck_assert_str_eq(node_describe(root->children[1], buf, sizeof(buf)), "a list");
	ck_assert_str_eq(node_describe(root->children[2], buf, sizeof(buf)), "nothing");
	ck_assert_str_eq(node_describe(root->children[3], buf, sizeof(buf)), "\"x\"");
	memset(text, 'y', 200);
	node = node_new(NODE_SCALAR, &where, NULL, text);
	node_describe(node, buf, sizeof(buf));
	ck_assert_uint_eq(strspn(buf + 1, "y"), 80);
	ck_assert_str_eq(buf + 81, "\" (cut)");
	node_free(node);
	node_free(root);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {
		lookups_answer_only_for_mappings, removal_closes_the_gap,    clones_share_nothing,
		printed_trees_read_back_the_same, descriptions_fit_messages,
	};

	return run_tests("tree", tests, COUNT(tests));
}
