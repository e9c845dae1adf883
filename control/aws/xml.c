/* SPDX-License-Identifier: Apache-2.0
 *
 * expat's events put together: a stack of open elements, each of which becomes a value when it
 * ends. Namespaces, attributes, comments and processing instructions are nothing to us.
 *
 * Failure modes: see control/aws/xml.h. The parser is stopped at the first of them. Answers of STS
 * hold secrets: expat's memory and the text at hand are wiped.
 */
#include "control/aws/xml.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/secret.h"
#include "control/aws/wipe.h"

struct element {
	char name[XML_NAME];
	json_t *children;  /* array or object; NULL: none so far */
	const char *first; /* the name of an array's first child */
};

struct xml {
	XML_Parser parser;
	struct element open[XML_DEPTH];
	size_t depth;
	size_t nodes;
	struct secret_text text; /* since the last tag */
	json_t *root;
	char root_name[XML_NAME];
	int err; /* 0, -ENOMEM or -EPROTO */
};

static void give_up(struct xml *xml, int err)
{
	if (xml->err)
		return;
	xml->err = err;
	XML_StopParser(xml->parser, XML_FALSE);
}

static bool is_blank(const struct secret_text *text)
{
	for (size_t i = 0; i < text->size; i++)
		if (!strchr(" \t\r\n", text->data[i]))
			return false;
	return true;
}

static bool is_member(const char *name)
{
	return !strcmp(name, "item") || !strcmp(name, "member");
}

static void XMLCALL on_start(void *context, const char *name, const char **attributes)
{
	struct xml *xml = context;
	struct element *element;

	(void)attributes;
	if (xml->err)
		return;
	if (xml->depth == XML_DEPTH || ++xml->nodes > XML_NODES || strlen(name) >= XML_NAME ||
	    !is_blank(&xml->text)) {
		give_up(xml, -EPROTO);
		return;
	}
	xml->text.size = 0;
	element = &xml->open[xml->depth++];
	strcpy(element->name, name);
	element->children = NULL;
}

/* A list whose second kind of child has come was an object: {"item": ..., "other": ...}. */
static int become_object(struct element *parent)
{
	json_t *object;

	if (json_array_size(parent->children) != 1)
		return -EPROTO;
	object = json_object();
	if (json_object_set(object, parent->first, json_array_get(parent->children, 0))) {
		json_decref(object);
		return -ENOMEM;
	}
	json_decref(parent->children);
	parent->children = object;
	return 0;
}

static int add_to_object(json_t *object, const char *name, json_t *value)
{
	json_t *had = json_object_get(object, name);

	if (had)
		return json_equal(had, value) ? 0 : -EPROTO;
	return json_object_set(object, name, value) ? -ENOMEM : 0;
}

static int add_child(struct element *parent, const char *name, json_t *value)
{
	int err = 0;

	if (!parent->children) {
		parent->children = is_member(name) ? json_array() : json_object();
		parent->first = *name == 'i' ? "item" : "member";
	}
	if (!parent->children)
		return -ENOMEM;
	if (json_is_array(parent->children) && is_member(name))
		return json_array_append(parent->children, value) ? -ENOMEM : 0;
	if (json_is_array(parent->children))
		err = become_object(parent);
	return err ?: add_to_object(parent->children, name, value);
}

/* The value of the element that ends, a reference; NULL with `err` set. */
static json_t *value_of(struct xml *xml, struct element *element)
{
	json_t *value = element->children;

	element->children = NULL;
	if (!value) {
		value = json_stringn(xml->text.size ? xml->text.data : "", xml->text.size);
		if (!value)
			give_up(xml, -ENOMEM);
	} else if (!is_blank(&xml->text)) {
		json_decref(value);
		value = NULL;
		give_up(xml, -EPROTO);
	}
	return value;
}

static void XMLCALL on_end(void *context, const char *name)
{
	struct xml *xml = context;
	struct element *element;
	json_t *value;
	int err;

	if (xml->err)
		return;
	element = &xml->open[--xml->depth];
	value = value_of(xml, element);
	xml->text.size = 0;
	if (!value)
		return;
	if (!xml->depth) {
		strcpy(xml->root_name, name);
		xml->root = value;
		return;
	}
	err = add_child(&xml->open[xml->depth - 1], name, value);
	json_decref(value);
	if (err)
		give_up(xml, err);
}

static void XMLCALL on_text(void *context, const char *text, int size)
{
	struct xml *xml = context;

	secret_add(&xml->text, text, (size_t)size);
	if (xml->text.failed)
		give_up(xml, -ENOMEM);
}

/* Entities need one, and nothing that AWS says does. */
static void XMLCALL on_doctype(void *context, const char *name, const char *system,
			       const char *public, int has_internal)
{
	(void)name, (void)system, (void)public, (void)has_internal;
	give_up(context, -EPROTO);
}

static int parse(struct xml *xml, const char *text, size_t size)
{
	enum XML_Status status;

	XML_SetUserData(xml->parser, xml);
	XML_SetElementHandler(xml->parser, on_start, on_end);
	XML_SetCharacterDataHandler(xml->parser, on_text);
	XML_SetStartDoctypeDeclHandler(xml->parser, on_doctype);
	status = XML_Parse(xml->parser, text, (int)size, XML_TRUE);
	if (xml->err)
		return xml->err;
	if (status == XML_STATUS_OK)
		return 0;
	return XML_GetErrorCode(xml->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -EPROTO;
}

int xml_read(const char *text, size_t size, char *ret_name, json_t **ret_root)
{
	static const XML_Memory_Handling_Suite memory = {malloc, wipe_realloc, wipe_free};
	struct xml *xml;
	int err = -ENOMEM;

	if (size > INT_MAX)
		return -EPROTO;
	xml = calloc(1, sizeof(*xml));
	if (!xml)
		return err;
	xml->parser = XML_ParserCreate_MM(NULL, &memory, NULL);
	if (xml->parser)
		err = parse(xml, text, size);
	if (!err) {
		strcpy(ret_name, xml->root_name);
		*ret_root = json_incref(xml->root);
	}
	for (size_t i = 0; i < xml->depth; i++)
		json_decref(xml->open[i].children);
	json_decref(xml->root);
	secret_discard(&xml->text);
	if (xml->parser)
		XML_ParserFree(xml->parser);
	free(xml);
	return err;
}
