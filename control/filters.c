/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels of the configuration to filters of a call. See control/filters.h.
 */
#include "control/filters.h"

#include <errno.h>

#include "proxy/base/conf/tree.h"
#include "proxy/base/jot.h"

static json_t *item_text(const void *of, size_t index)
{
	const struct node *list = of;

	return json_string(list->children[index]->text);
}

static json_t *values_of(const struct node *label)
{
	if (label->kind == NODE_SEQUENCE)
		return jot_array(label->count, item_text, label);
	return json_pack("[s]", label->text);
}

int filters_add(json_t *filters, const struct node *labels, const char *prefix, const char *values)
{
	for (size_t i = 0; labels && i < labels->count; i++) {
		const struct node *label = labels->children[i];
		json_t *filter = JOT({"Name", json_sprintf("%s%s", prefix, label->name)},
				     {values, values_of(label)});

		if (json_array_append_new(filters, filter) < 0)
			return -ENOMEM;
	}
	return 0;
}

size_t filters_values(const json_t *filters, const char *values)
{
	size_t count = 0, i;
	json_t *filter;

	json_array_foreach (filters, i, filter)
		count += json_array_size(json_object_get(filter, values));
	return count;
}
