/* SPDX-License-Identifier: Apache-2.0
 *
 * libyaml's events, turned into nodes.
 *
 * Happy path: STREAM-START, DOCUMENT-START, then read_node() by recursive descent, DOCUMENT-END,
 * STREAM-END. The reader keeps one event; read_node() is entered with its first event in hand.
 * Failure modes: a syntax error or anything refused outright (alias, anchor, tag, second document,
 * a limit) ends the reading with one error at its place; a duplicate key is noted and read past, so
 * that what follows is checked too. Of a template tags are not refused but written out, as the
 * mappings that they are short for.
 */
#include "proxy/base/conf/yaml_tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "proxy/base/conf/text.h"
#include "proxy/base/conf/yaml_places.h"

#define TEMPLATE_DEPTH_MAX 40
#define TEMPLATE_KEYS_MAX  500 /* resources: the service's own limit */

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	const char *source;
	const unsigned char *bytes;
	size_t size;
	struct conf_errors *errors;
	const char *expected; /* of the root */
	bool list_ok;
	bool template; /* short tags and texts of several lines are fine */
};

static struct conf_where where_of(const struct reader *reader, const yaml_mark_t *mark)
{
	return (struct conf_where){reader->source, (uint32_t)mark->line + 1,
				   (uint32_t)mark->column + 1};
}

__attribute__((format(printf, 3, 4))) static int
refuse_at(const struct reader *reader, const yaml_mark_t *mark, const char *format, ...)
{
	struct conf_where where = where_of(reader, mark);
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	conf_error(reader->errors, &where, "%s", text);
	return -EINVAL;
}

static int syntax_error(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR) {
		struct conf_where where = yaml_place_of_byte(reader->source, reader->bytes,
							     reader->size, parser->problem_offset);

		conf_error(reader->errors, &where,
			   "found a byte that is not text (%s); expected UTF-8", parser->problem);
		return -EINVAL;
	}
	return refuse_at(reader, &parser->problem_mark, "not valid YAML: %s%s%s%s",
			 parser->context ? parser->context : "", parser->context ? ", " : "",
			 parser->problem ? parser->problem : "unknown error",
			 yaml_hint_on(reader->bytes, reader->size, parser->problem_mark.line));
}

/* Replace the event in hand by the next one. */
static int next_event(struct reader *reader)
{
	yaml_event_delete(&reader->event);
	memset(&reader->event, 0, sizeof(reader->event));
	return yaml_parser_parse(&reader->parser, &reader->event) ? 0 : syntax_error(reader);
}

static int refuse_decorations(const struct reader *reader, const void *anchor, const void *tag)
{
	const yaml_mark_t *mark = &reader->event.start_mark;

	if (anchor)
		return refuse_at(reader, mark,
				 "found an anchor; expected no YAML anchors or aliases");
	if (tag && !reader->template)
		return refuse_at(reader, mark, "found a tag; expected no YAML tags");
	return 0;
}

static int read_scalar(struct reader *reader, struct node **ret_node)
{
	const yaml_event_t *event = &reader->event;
	const char *text = (const char *)event->data.scalar.value;
	struct conf_where where = where_of(reader, &event->start_mark);
	int err = refuse_decorations(reader, event->data.scalar.anchor, event->data.scalar.tag);

	if (err < 0)
		return err;
	if (strlen(text) != event->data.scalar.length || !(reader->template || text_is_clean(text)))
		return refuse_at(reader, &event->start_mark,
				 "found a control character or a line break; expected plain "
				 "text (or hex:0d0a, for what a health check sends)");
	*ret_node = node_new(NODE_SCALAR, &where, NULL, text);
	return *ret_node ? 0 : -ENOMEM;
}

static int read_node(struct reader *reader, unsigned depth, struct node **ret_node);

/* The event in hand is the key's. Gives its node the name, or frees it when it is a duplicate. */
static int read_entry(struct reader *reader, unsigned depth, struct node *mapping)
{
	struct node *key = NULL, *value = NULL;
	const struct node *twin;
	int err;

	if (reader->event.type != YAML_SCALAR_EVENT)
		return refuse_at(reader, &reader->event.start_mark,
				 "found a list, mapping or alias as a key; expected a name");
	err = read_scalar(reader, &key);
	if (err == 0)
		err = next_event(reader);
	if (err == 0)
		err = read_node(reader, depth, &value);
	if (err < 0)
		goto done;
	twin = node_get(mapping, key->text);
	if (twin) {
		conf_error(reader->errors, &key->where,
			   "found \"%.80s\" again; expected it once, and line %u has it", key->text,
			   twin->name_where.line);
		goto done;
	}
	value->name = key->text;
	value->name_where = key->where;
	key->text = NULL;
	err = node_add(mapping, value);
	value = NULL;
done:
	node_free(key);
	node_free(value);
	return err;
}

static int read_children(struct reader *reader, unsigned depth, struct node *parent)
{
	bool mapping = parent->kind == NODE_MAPPING;
	yaml_event_type_t end = mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
	size_t most = !mapping           ? YAML_ITEMS_MAX
		      : reader->template ? TEMPLATE_KEYS_MAX
					 : YAML_KEYS_MAX;

	for (;;) {
		struct node *child = NULL;
		int err = next_event(reader);

		if (err < 0)
			return err;
		if (reader->event.type == end)
			return 0;
		if (parent->count == most)
			return refuse_at(reader, &reader->event.start_mark,
					 "found more than %zu %s; expected fewer", most,
					 mapping ? "keys in one mapping" : "items in one list");
		if (mapping)
			err = read_entry(reader, depth + 1, parent);
		else
			err = read_node(reader, depth + 1, &child);
		if (err == 0 && child)
			err = node_add(parent, child);
		if (err < 0)
			return err;
	}
}

static int read_collection(struct reader *reader, unsigned depth, struct node **ret_node)
{
	const yaml_event_t *event = &reader->event;
	bool mapping = event->type == YAML_MAPPING_START_EVENT;
	struct conf_where where = where_of(reader, &event->start_mark);
	int err = mapping ? refuse_decorations(reader, event->data.mapping_start.anchor,
					       event->data.mapping_start.tag)
			  : refuse_decorations(reader, event->data.sequence_start.anchor,
					       event->data.sequence_start.tag);

	if (err < 0)
		return err;
	unsigned most = reader->template ? TEMPLATE_DEPTH_MAX : YAML_DEPTH_MAX;

	if (depth == most)
		return refuse_at(reader, &event->start_mark,
				 "found more than %u levels; expected a flatter file", most);
	struct node *node = node_new(mapping ? NODE_MAPPING : NODE_SEQUENCE, &where, NULL, NULL);

	if (!node)
		return -ENOMEM;
	err = read_children(reader, depth, node);
	if (err < 0) {
		node_free(node);
		return err;
	}
	*ret_node = node;
	return 0;
}

static int read_plain_node(struct reader *reader, unsigned depth, struct node **ret_node)
{
	switch (reader->event.type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(reader, ret_node);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return read_collection(reader, depth, ret_node);
	default:
		return refuse_at(reader, &reader->event.start_mark,
				 "found an alias; expected no YAML anchors or aliases");
	}
}

/* The tag of the event in hand if it is one like !Ref, without the exclamation mark; or NULL. */
static const char *short_tag(const yaml_event_t *event)
{
	const char *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT)
		tag = (const char *)event->data.scalar.tag;
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		tag = (const char *)event->data.sequence_start.tag;
	else if (event->type == YAML_MAPPING_START_EVENT)
		tag = (const char *)event->data.mapping_start.tag;
	return tag && tag[0] == '!' && tag[1] ? tag + 1 : NULL;
}

/* Put `node` below the function that its tag is short for: `!Sub x` is `{"Fn::Sub": x}`, and Ref
 * and Condition alone have no prefix. Takes `node`. */
static int write_out(const char *function, struct node *node, struct node **ret_node)
{
	struct node *outer = node_new(NODE_MAPPING, &node->where, NULL, NULL);

	node->name = strdup(function);
	node->name_where = node->where;
	if (!node->name || !outer) {
		node_free(node);
		node_free(outer);
		return -ENOMEM;
	}
	int err = node_add(outer, node);

	if (err < 0)
		node_free(outer);
	else
		*ret_node = outer;
	return err;
}

static int read_node(struct reader *reader, unsigned depth, struct node **ret_node)
{
	const char *tag = reader->template ? short_tag(&reader->event) : NULL;
	struct node *node = NULL;
	char function[64] = "";

	if (tag)
		snprintf(function, sizeof(function), "%s%s",
			 strcmp(tag, "Ref") == 0 || strcmp(tag, "Condition") == 0 ? "" : "Fn::",
			 tag);
	int err = read_plain_node(reader, depth, &node);

	if (err == 0 && function[0])
		return write_out(function, node, ret_node);
	if (err == 0)
		*ret_node = node;
	return err;
}

static int read_root(struct reader *reader, struct node **ret_root)
{
	int err = read_node(reader, 0, ret_root);
	char found[128];

	if (err < 0)
		return err;
	if ((*ret_root)->kind == NODE_MAPPING ||
	    ((*ret_root)->kind == NODE_SEQUENCE && reader->list_ok))
		return 0;
	conf_error(reader->errors, &(*ret_root)->where, "found %s; expected %s",
		   node_describe(*ret_root, found, sizeof(found)), reader->expected);
	return -EINVAL;
}

static int read_stream(struct reader *reader, struct node **ret_root)
{
	int err = next_event(reader);

	if (err == 0)
		err = next_event(reader);
	if (err < 0)
		return err;
	if (reader->event.type == YAML_STREAM_END_EVENT)
		return refuse_at(reader, &reader->event.start_mark,
				 "found an empty file; expected %s", reader->expected);
	err = next_event(reader);
	if (err == 0)
		err = read_root(reader, ret_root);
	if (err == 0)
		err = next_event(reader);
	if (err == 0)
		err = next_event(reader);
	if (err == 0 && reader->event.type != YAML_STREAM_END_EVENT)
		return refuse_at(reader, &reader->event.start_mark,
				 "found a second document; expected one");
	return err;
}

/* The rest of `reader` is set. */
static int reader_init(struct reader *reader)
{
	static const unsigned char bom[] = {0xef, 0xbb, 0xbf};

	if (!yaml_parser_initialize(&reader->parser))
		return -ENOMEM;
	if (reader->size >= sizeof(bom) && memcmp(reader->bytes, bom, sizeof(bom)) == 0) {
		reader->bytes += sizeof(bom);
		reader->size -= sizeof(bom);
	}
	/* Set, not guessed: a byte order mark of UTF-16 is then one of the bytes refused. */
	yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader->parser, reader->bytes, reader->size);
	return 0;
}

/* `reader` says what to read and how; the rest of it is zero. */
static int parse(struct reader reader, struct node **ret_root)
{
	struct conf_where whole = {.source = reader.source};
	struct node *root = NULL;

	if (reader.size > YAML_BYTES_MAX) {
		conf_error(reader.errors, &whole, "found more than %u MiB; expected a smaller file",
			   YAML_BYTES_MAX >> 20);
		return -EINVAL;
	}
	int err = reader_init(&reader);

	if (err < 0)
		return err;
	err = read_stream(&reader, &root);
	yaml_event_delete(&reader.event);
	yaml_parser_delete(&reader.parser);
	if (err < 0)
		node_free(root);
	else
		*ret_root = root;
	return err;
}

int yaml_tree_parse(const char *source, const void *bytes, size_t size, struct conf_errors *errors,
		    struct node **ret_root)
{
	struct reader reader = {.source = source, .bytes = bytes, .size = size, .errors = errors};

	reader.expected = "a mapping of keys such as \"listeners:\" and \"pools:\"";
	return parse(reader, ret_root);
}

int yaml_tree_parse_list(const char *source, const void *bytes, size_t size, const char *expected,
			 struct conf_errors *errors, struct node **ret_root)
{
	struct reader reader = {.source = source, .bytes = bytes, .size = size, .errors = errors};

	reader.expected = expected;
	reader.list_ok = true;
	return parse(reader, ret_root);
}

int yaml_tree_parse_template(const char *source, const void *bytes, size_t size,
			     struct conf_errors *errors, struct node **ret_root)
{
	struct reader reader = {.source = source, .bytes = bytes, .size = size, .errors = errors};

	reader.expected = "a template with \"Resources:\"";
	reader.template = true;
	return parse(reader, ret_root);
}
