/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard's structs from a completed tree. A configuration without `guard:` has neither part.
 *
 * Failure modes: -ENOMEM alone; what is half built is freed by config_guard_fini() and
 * config_door_fini().
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/config/fields.h"
#include "proxy/config/parts.h"
#include "proxy/model.h"

int config_build_door(struct fields fields, struct door_conf *door)
{
	int err;

	if (!fields.node)
		return 0;
	door->syn_rate = fields_number32(&fields, "syn_rate");
	door->syn_burst = fields_number32(&fields, "syn_burst");
	door->cookies = (enum cookie_mode)fields_number(&fields, "cookies");
	door->flood_rate = fields_number32(&fields, "flood_rate");
	door->dry_run = fields_number(&fields, "dry_run");
	err = fields_blocks(&fields, "allow", &door->allow, &door->allow_count);
	return err ? err : fields_blocks(&fields, "deny", &door->deny, &door->deny_count);
}

void config_door_fini(struct door_conf *door)
{
	free(door->allow);
	free(door->deny);
}

static int build_interface(struct fields fields, struct interface_conf *interface)
{
	interface->mode = (enum hook_mode)fields_number(&fields, "mode");
	return fields_text(&fields, "name", &interface->name);
}

int config_build_guard(struct fields fields, struct guard_house_conf *guard)
{
	size_t count = fields.node ? fields_items(&fields, "interfaces") : 0;
	int err = 0;

	if (!count)
		return 0;
	guard->keep = fields_number(&fields, "on_crash");
	guard->interfaces = calloc(count, sizeof(*guard->interfaces));
	if (!guard->interfaces)
		return -ENOMEM;
	guard->interface_count = count;
	for (size_t i = 0; i < count && !err; i++)
		err = build_interface(fields_item(&fields, "interfaces", i), &guard->interfaces[i]);
	return err;
}

void config_guard_fini(struct guard_house_conf *guard)
{
	for (size_t i = 0; i < guard->interface_count; i++)
		free(guard->interfaces[i].name);
	free(guard->interfaces);
}
