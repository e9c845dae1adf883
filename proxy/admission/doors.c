/* SPDX-License-Identifier: Apache-2.0
 *
 * Doors: a configuration's listeners with all that is said of each, in the guard's words.
 *
 * Failure mode: memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admission/internal.h"
#include "proxy/model.h"

static const enum guard_cookies cookies_of[] = {
	[COOKIES_OFF] = GUARD_OFF,
	[COOKIES_AUTO] = GUARD_UNDER_FLOOD,
	[COOKIES_ALWAYS] = GUARD_ALWAYS,
};

static bool concerns(const struct admission_entry *entry, const struct listener_conf *listener)
{
	return !entry->listener[0] || !strcmp(entry->listener, listener->name);
}

static size_t entry_room(const struct admission *admission, const struct config *config)
{
	size_t operators = admission ? admission->entry_count : 0, room = 0;

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct door_conf *door = &config->listeners[i].door;

		room += door->allow_count + door->deny_count + operators;
	}
	return room;
}

/* In the order of who has the last word. */
static size_t write_entries(const struct admission *admission, const struct listener_conf *listener,
			    struct guard_entry *entries)
{
	const struct door_conf *door = &listener->door;
	size_t count = 0;

	for (size_t i = 0; i < door->allow_count; i++)
		entries[count++] = (struct guard_entry){door->allow[i], false};
	for (size_t i = 0; i < door->deny_count; i++)
		entries[count++] = (struct guard_entry){door->deny[i], true};
	for (size_t i = 0; admission && i < admission->entry_count; i++) {
		const struct admission_entry *entry = &admission->entries[i];

		if (concerns(entry, listener))
			entries[count++] = (struct guard_entry){entry->block, entry->deny};
	}
	return count;
}

uint32_t doors_slot(const struct admission *admission, const char *listener)
{
	for (uint32_t slot = 1; slot < GUARD_LISTENERS; slot++)
		if (!strcmp(admission->slots[slot], listener))
			return slot;
	return 0;
}

static struct guard_door door_of(const struct admission *admission,
				 const struct listener_conf *listener)
{
	const struct door_conf *door = &listener->door;

	return (struct guard_door){
		.bind = listener->bind,
		.port_end = listener->port_end,
		.v6_only = listener->v6_only,
		.slot = admission ? doors_slot(admission, listener->name) : 1,
		.syn_rate = door->syn_rate,
		.syn_burst = door->syn_burst,
		.flood_rate = door->flood_rate,
		.cookies = cookies_of[door->cookies],
		.receive_buffer = listener->tcp.receive_buffer,
		.mss = listener->tcp.mss,
		.dry_run = door->dry_run,
	};
}

int doors_make(const struct admission *admission, const struct config *config,
	       struct doors *ret_doors)
{
	struct doors doors = {0};
	struct guard_entry *next;

	doors.doors = calloc(config->listener_count + 1, sizeof(*doors.doors));
	doors.entries = calloc(entry_room(admission, config) + 1, sizeof(*doors.entries));
	if (!doors.doors || !doors.entries) {
		doors_free(&doors);
		return -ENOMEM;
	}
	next = doors.entries;
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_conf *listener = &config->listeners[i];
		struct guard_door *door = &doors.doors[doors.count];

		if (listener->bind.family == AF_UNIX)
			continue;
		*door = door_of(admission, listener);
		door->entries = next;
		door->entry_count = write_entries(admission, listener, next);
		next += door->entry_count;
		doors.count++;
	}
	*ret_doors = doors;
	return 0;
}

void doors_free(struct doors *doors)
{
	free(doors->doors);
	free(doors->entries);
}
