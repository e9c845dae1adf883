/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes: made, linked, found, copied, printed. Depth is bounded by who builds the tree (the YAML
 * reader by its limit, the schema by its own), so recursion is safe.
 * Failure modes: without memory a half-made node is freed and NULL or -ENOMEM goes up.
 */
#include "proxy/base/conf/tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"

struct node *node_new(enum node_kind kind, const struct conf_where *where, const char *name,
		      const char *text)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->kind = kind;
	node->where = *where;
	node->name_where = *where;
	node->name = name ? strdup(name) : NULL;
	node->text = text ? strdup(text) : NULL;
	if ((name && !node->name) || (text && !node->text)) {
		node_free(node);
		return NULL;
	}
	return node;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->count; i++)
		node_free(node->children[i]);
	free(node->children);
	free(node->name);
	free(node->text);
	free(node);
}

static int node_grow(struct node *parent)
{
	size_t room = parent->room ? parent->room * 2 : 4;
	struct node **children = reallocarray(parent->children, room, sizeof(struct node *));

	if (!children)
		return -ENOMEM;
	parent->children = children;
	parent->room = room;
	return 0;
}

int node_add(struct node *parent, struct node *child)
{
	must(parent->kind != NODE_SCALAR);
	if (!child)
		return -ENOMEM;
	if (parent->count == parent->room && node_grow(parent) < 0) {
		node_free(child);
		return -ENOMEM;
	}
	parent->children[parent->count++] = child;
	return 0;
}

struct node *node_get(const struct node *mapping, const char *name)
{
	if (!mapping || mapping->kind != NODE_MAPPING)
		return NULL;
	for (size_t i = 0; i < mapping->count; i++)
		if (strcmp(mapping->children[i]->name, name) == 0)
			return mapping->children[i];
	return NULL;
}

const char *node_get_text(const struct node *mapping, const char *name)
{
	const struct node *node = node_get(mapping, name);

	return node && node->kind == NODE_SCALAR ? node->text : NULL;
}

size_t node_items(const struct node *list)
{
	return list && list->kind == NODE_SEQUENCE ? list->count : 0;
}

void node_remove(struct node *mapping, const char *name)
{
	for (size_t i = 0; mapping->kind == NODE_MAPPING && i < mapping->count; i++) {
		if (strcmp(mapping->children[i]->name, name) != 0)
			continue;
		node_free(mapping->children[i]);
		mapping->count--;
		memmove(&mapping->children[i], &mapping->children[i + 1],
			(mapping->count - i) * sizeof(struct node *));
		return;
	}
}

struct node *node_clone(const struct node *node)
{
	struct node *copy = node_new(node->kind, &node->where, node->name, node->text);

	if (!copy)
		return NULL;
	copy->name_where = node->name_where;
	for (size_t i = 0; i < node->count; i++) {
		if (node_add(copy, node_clone(node->children[i])) < 0) {
			node_free(copy);
			return NULL;
		}
	}
	return copy;
}

const char *node_describe(const struct node *node, char *buf, size_t size)
{
	if (node->kind == NODE_MAPPING)
		snprintf(buf, size, "a mapping");
	else if (node->kind == NODE_SEQUENCE)
		snprintf(buf, size, "a list");
	else if (node->text[0] == '\0')
		snprintf(buf, size, "nothing");
	else
		snprintf(buf, size, "\"%.80s\"%s", node->text,
			 strlen(node->text) > 80 ? " (cut)" : "");
	return buf;
}

/* Conservative: what needs no quotes in YAML wherever it stands, and is not a YAML 1.1 null. */
static bool is_plain(const char *text)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_./+%@-";

	return text[0] && text[0] != '-' && text[0] != '%' && text[0] != '@' && text[0] != '.' &&
	       text[strspn(text, safe)] == '\0';
}

void node_print_text(const char *text, FILE *out)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			fputc('\\', out);
		fputc(*p, out);
	}
	fputc('"', out);
}

static void print_children(const struct node *node, unsigned depth, bool indent_first, FILE *out);

/* What follows `key:` or `-`, with the newline. */
static void print_value(const struct node *node, unsigned depth, bool in_sequence, FILE *out)
{
	if (node->kind == NODE_SCALAR) {
		fputc(' ', out);
		node_print_text(node->text, out);
		fputc('\n', out);
	} else if (node->count == 0) {
		fputs(node->kind == NODE_MAPPING ? " {}\n" : " []\n", out);
	} else if (in_sequence) {
		fputc(' ', out);
		print_children(node, depth, false, out);
	} else {
		fputc('\n', out);
		print_children(node, depth, true, out);
	}
}

static void print_children(const struct node *node, unsigned depth, bool indent_first, FILE *out)
{
	for (size_t i = 0; i < node->count; i++) {
		const struct node *child = node->children[i];

		if (i > 0 || indent_first)
			fprintf(out, "%*s", (int)depth * 2, "");
		if (node->kind == NODE_MAPPING) {
			node_print_text(child->name, out);
			fputc(':', out);
		} else {
			fputc('-', out);
		}
		print_value(child, depth + 1, node->kind == NODE_SEQUENCE, out);
	}
}

void node_print(const struct node *node, FILE *out)
{
	if (node->count == 0)
		fputs(node->kind == NODE_MAPPING ? "{}\n" : "[]\n", out);
	print_children(node, 0, true, out);
}
