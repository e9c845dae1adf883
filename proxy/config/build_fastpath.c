/* SPDX-License-Identifier: Apache-2.0
 *
 * The fast path's struct from a completed tree. Failure modes: -ENOMEM alone; what is half built is
 * freed by config_fast_path_fini().
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/config/fields.h"
#include "proxy/config/parts.h"
#include "proxy/model.h"

static int build_interface(struct fields fields, struct fast_interface_conf *interface)
{
	interface->hook = (enum fast_hook)fields_number(&fields, "hook");
	return fields_text(&fields, "name", &interface->name);
}

int config_build_fast_path(struct fields fields, struct fast_path_conf *fast)
{
	size_t count = fields_items(&fields, "interfaces");
	int err = fields_text(&fields, "pin", &fast->pin);

	fast->hook = (enum fast_hook)fields_number(&fields, "hook");
	fast->sessions = fields_number32(&fields, "sessions");
	if (err || !count)
		return err;
	fast->interfaces = calloc(count, sizeof(*fast->interfaces));
	if (!fast->interfaces)
		return -ENOMEM;
	fast->interface_count = count;
	for (size_t i = 0; i < count && !err; i++)
		err = build_interface(fields_item(&fields, "interfaces", i), &fast->interfaces[i]);
	return err;
}

void config_fast_path_fini(struct fast_path_conf *fast)
{
	for (size_t i = 0; i < fast->interface_count; i++)
		free(fast->interfaces[i].name);
	free(fast->interfaces);
	free(fast->pin);
}
