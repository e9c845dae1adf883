/* SPDX-License-Identifier: Apache-2.0
 *
 * One instance as a target. Happy path: address, zone, weight and backup are known, and it is added
 * to the set.
 * Failure modes: a running instance of which the address or the port is missing. It must not cost a
 * target that serves, so if the set in force has it the fetch fails; unless another instance has
 * that address now, for then it moved, and is gone from here. One that never was a target is left
 * out with a note: instances without an IPv6 or public address are ordinary.
 */
#include <errno.h>
#include <string.h>

#include "control/asking.h"
#include "control/instances.h"
#include "control/source.h"

/* Whether what this target is reached by belongs to another instance of this answer. */
static bool moved_on(const struct instances *instances, const struct found_target *target)
{
	const struct instance *at = instances->at;
	struct addr old;

	if (addr_parse(target->address, &old) < 0)
		return false;
	old.port = 0;
	for (size_t i = 0; i < instances->count; i++)
		if (addr_equal(&at[i].host, &old) && strcmp(at[i].id, target->id) != 0)
			return true;
	return false;
}

static const char *what_is_missing(const struct instances *instances,
				   const struct instance *instance)
{
	static const char *const addresses[] = {"private address", "IPv6 address",
						"public address"};

	return instance->host.family ? "port" : addresses[instances->address];
}

static int miss(struct instances *instances, const struct instance *instance)
{
	struct source *source = instances->asking->source;
	const struct found_target *target = source_current(source, instance->id);
	const char *what = what_is_missing(instances, instance);

	if (!target || moved_on(instances, target)) {
		notes_add(&instances->notes, "%s runs, but has no %s, and is left out",
			  instance->id, what);
		return 0;
	}
	source_failed(source, "incomplete",
		      "%s is a target and runs, but the answer has no %s for it, so the targets "
		      "stay as they are; give it one, or change its tags so that it is not "
		      "selected",
		      instance->id, what);
	return -ENODATA;
}

int instances_offer(struct instances *instances, const struct instance *instance, uint16_t port,
		    bool draining, struct target_set *set)
{
	const char *zone = *instance->zone ? instance->zone : NULL;
	struct addr addr = instance->host;
	char address[ADDR_TEXT];

	draining = draining || !instance->running;
	addr.port = port ? port : instance->port;
	if (!addr.family || !addr.port)
		return draining ? 0 : miss(instances, instance);
	return source_add(instances->asking->source, set,
			  &(struct found_target){
				  .id = instance->id,
				  .address = addr_format(&addr, address),
				  .zone = instance->zone_is_settled
						  ? zone
						  : zones_id(&instances->zones, zone),
				  .weight = instance->weight,
				  .backup = instance->backup,
				  .draining = draining,
			  });
}

void instances_end(struct instances *instances, struct target_set *set, int err)
{
	struct source *source;

	/* The source was told, and may be gone already. */
	if (err) {
		target_set_free(set);
		return;
	}
	source = instances->asking->source;
	notes_write(&instances->notes, source->notice, sizeof(source->notice));
	source_done(source, set);
}
