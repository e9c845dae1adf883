/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents as trees, and documents that are not believed.
 */
#include <errno.h>

#include "control/aws/xml.h"
#include "tests/unit/conf_rig.h"

static void expect_tree(const char *text, const char *name, const char *expected)
{
	char root_name[XML_NAME];
	json_t *root = NULL;
	char *dump;

	ck_assert_msg(xml_read(text, strlen(text), root_name, &root) == 0, "%s", text);
	ck_assert_str_eq(root_name, name);
	dump = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);
	ck_assert_str_eq(dump, expected);
	free(dump);
	json_decref(root);
}

static void expect_refused(const char *text)
{
	char root_name[XML_NAME];
	json_t *root = NULL;

	ck_assert_msg(xml_read(text, strlen(text), root_name, &root) == -EPROTO, "%s", text);
	ck_assert_ptr_null(root);
}

START_TEST(leaves_are_texts_lists_are_arrays_and_the_rest_objects)
{
	expect_tree(
		"<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\"><b>1</b><c/><d x='1'> t </d></a>\n",
		"a", "{\"b\":\"1\",\"c\":\"\",\"d\":\" t \"}");
	expect_tree("<a>\n <s>\n  <item>1</item>\n  <item><k>v</k></item>\n </s>\n</a>", "a",
		    "{\"s\":[\"1\",{\"k\":\"v\"}]}");
	expect_tree("<a><s><member>1</member></s></a>", "a", "{\"s\":[\"1\"]}");
	expect_tree("<a>x&lt;y&#65;<![CDATA[<z>]]><!-- not --></a>", "a", "\"x<yA<z>\"");
}
END_TEST

START_TEST(item_beside_others_is_a_name_like_any_other)
{
	expect_tree("<a><item>1</item><b>2</b></a>", "a", "{\"item\":\"1\",\"b\":\"2\"}");
	expect_tree("<a><member>1</member><b>2</b></a>", "a", "{\"member\":\"1\",\"b\":\"2\"}");
	expect_tree("<a><b>2</b><item>1</item></a>", "a", "{\"b\":\"2\",\"item\":\"1\"}");
	expect_refused("<a><item>1</item><item>2</item><b>3</b></a>");
}
END_TEST

START_TEST(document_types_and_entities_are_refused)
{
	expect_refused("<!DOCTYPE a><a>1</a>");
	expect_refused("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>");
	expect_refused("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>");
	expect_refused("<a>&e;</a>");
}
END_TEST

START_TEST(documents_that_end_early_or_late_are_refused)
{
	static const char whole[] = "<r><s><item><k>v</k></item></s></r>";
	char root_name[XML_NAME];
	json_t *root = NULL;

	for (size_t size = 0; size < sizeof(whole) - 1; size++)
		ck_assert_int_eq(xml_read(whole, size, root_name, &root), -EPROTO);
	expect_refused("<a/><b/>");
	expect_refused("<a/>x");
	expect_refused("<a></b>");
	expect_refused("{\"a\":1}");
}
END_TEST

START_TEST(text_beside_elements_is_refused)
{
	expect_refused("<a>x<b/></a>");
	expect_refused("<a><b/>x</a>");
	expect_refused("<a><b/>x<c/></a>");
}
END_TEST

START_TEST(name_that_comes_twice_must_say_the_same)
{
	expect_tree("<a><b>1</b><b>1</b></a>", "a", "{\"b\":\"1\"}");
	expect_refused("<a><b>1</b><b>2</b></a>");
	expect_refused("<a><b>1</b><b><c/></b></a>");
}
END_TEST

/* `count` times `open`, `middle`, `count` times `close`. */
static char *repeat(size_t count, const char *open, const char *middle, const char *close)
{
	char *text = malloc(count * (strlen(open) + strlen(close)) + strlen(middle) + 1);
	char *at = text;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, open);
	at = stpcpy(at, middle);
	*at = '\0';
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, close);
	return text;
}

START_TEST(depth_and_number_of_elements_are_bounded)
{
	char *deep = repeat(XML_DEPTH, "<a>", "", "</a>");
	char *deeper = repeat(XML_DEPTH + 1, "<a>", "", "</a>");
	char *many = repeat(XML_NODES, "", "<a>", "<item/>");
	char root_name[XML_NAME];
	json_t *root = NULL;

	ck_assert_int_eq(xml_read(deep, strlen(deep), root_name, &root), 0);
	json_decref(root);
	root = NULL;
	ck_assert_int_eq(xml_read(deeper, strlen(deeper), root_name, &root), -EPROTO);
	/* It has no end as well; but the bound is what is met first. */
	ck_assert_int_eq(xml_read(many, strlen(many), root_name, &root), -EPROTO);
	free(deep);
	free(deeper);
	free(many);
}
END_TEST

START_TEST(names_too_long_and_bytes_that_are_no_text_are_refused)
{
	char *name = repeat(XML_NAME, "a", "", "");
	char text[2 * XML_NAME];

	snprintf(text, sizeof(text), "<%s/>", name);
	expect_refused(text);
	expect_refused("<a>\xff\xfe</a>");
	expect_refused("<a>\x01</a>");
	free(name);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		leaves_are_texts_lists_are_arrays_and_the_rest_objects,
		item_beside_others_is_a_name_like_any_other,
		document_types_and_entities_are_refused,
		documents_that_end_early_or_late_are_refused,
		text_beside_elements_is_refused,
		name_that_comes_twice_must_say_the_same,
		depth_and_number_of_elements_are_bounded,
		names_too_long_and_bytes_that_are_no_text_are_refused,
	};

	return run_tests("control_aws_xml", tests, COUNT(tests));
}
