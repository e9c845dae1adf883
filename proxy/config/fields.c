/* SPDX-License-Identifier: Apache-2.0
 *
 * See fields.h. Failure modes: -ENOMEM alone; a value that does not parse is a programmer's error.
 */
#include "proxy/config/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/bytes.h"
#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/tree.h"
#include "proxy/base/panic.h"
#include "proxy/model.h"

uint64_t fields_number(const struct fields *fields, const char *key)
{
	return schema_number(fields->map, fields->node, key);
}

uint32_t fields_number32(const struct fields *fields, const char *key)
{
	uint64_t value = fields_number(fields, key);

	must(value <= UINT32_MAX);
	return (uint32_t)value;
}

int fields_text(const struct fields *fields, const char *key, char **ret_text)
{
	const char *written = schema_text(fields->node, key);

	if (!written)
		return 0;
	*ret_text = strdup(written);
	return *ret_text ? 0 : -ENOMEM;
}

int fields_bytes(const struct fields *fields, const char *key, struct bytes_conf *ret_bytes)
{
	const char *written = schema_text(fields->node, key), *why;

	if (!written)
		return 0;
	size_t room = strlen(written);

	ret_bytes->data = malloc(room);
	if (!ret_bytes->data)
		return -ENOMEM;
	must(bytes_parse(written, room, ret_bytes->data, &ret_bytes->size, &why) == 0);
	return 0;
}

struct fields fields_part(const struct fields *fields, const char *name)
{
	return (struct fields){schema_find(fields->map, name)->map, node_get(fields->node, name)};
}

struct fields fields_item(const struct fields *fields, const char *name, size_t i)
{
	return (struct fields){schema_find(fields->map, name)->item->map,
			       node_get(fields->node, name)->children[i]};
}

size_t fields_items(const struct fields *fields, const char *name)
{
	const struct node *list = node_get(fields->node, name);

	return list ? list->count : 0;
}

const char *fields_item_text(const struct fields *fields, const char *name, size_t i)
{
	return node_get(fields->node, name)->children[i]->text;
}

int fields_blocks(const struct fields *fields, const char *name, struct addr_block **ret_blocks,
		  size_t *ret_count)
{
	size_t count = fields_items(fields, name);
	struct addr_block *blocks;

	if (!count)
		return 0;
	blocks = calloc(count, sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		must(addr_block_parse(fields_item_text(fields, name, i), &blocks[i]) == 0);
	*ret_blocks = blocks;
	*ret_count = count;
	return 0;
}
