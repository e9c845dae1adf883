/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process that died left behind: slots that are in use, links that are pinned.
 *
 * Happy path: a session whose sockets had been silenced needs nobody; its slot is taken over, and a
 * hold that nobody would lift is lifted. Failure modes: a death between the sockets' time and the
 * flow's (while it was promoted, or given back) leaves a flow and sockets that know nothing of each
 * other. Such a session cannot be saved, and what is certain is that it must not hang.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xdp/flow/attach.h"
#include "xdp/flow/internal.h"

/* --- slots --- */

static bool is_link_local(const struct addr *addr)
{
	return addr->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&addr->v6);
}

void flow_tombs_of(const struct flow *pair, const struct flow_note *note,
		   struct flow_tomb ret_tombs[2])
{
	for (unsigned leg = 0; leg < 2; leg++) {
		const struct flow *leaving = &pair[!leg];
		struct flow_tomb *tomb = &ret_tombs[leg];

		flow_addresses_of(leaving, &tomb->local, &tomb->peer);
		if (is_link_local(&tomb->peer))
			tomb->peer.scope = tomb->local.scope = leaving->exit_ifindex;
		tomb->snapshot = note->snapshots[leg];
	}
}

/* Both sockets are silenced before the first flag is lifted. */
static bool was_silenced(const struct flow *pair)
{
	return !(pair[0].flags & FLOW_KERNEL_PENDING) || !(pair[1].flags & FLOW_KERNEL_PENDING);
}

bool flow_is_used(const struct flow *pair)
{
	return pair[0].state != FLOW_FREE || pair[1].state != FLOW_FREE;
}

enum flow_found flow_judge_found(const struct flow *pair, int notes_fd, uint32_t index,
				 struct flow_note *ret_note)
{
	if (bpf_map_lookup_elem(notes_fd, &index, ret_note)) {
		memset(ret_note, 0, sizeof(*ret_note));
		return FLOW_FOUND_BROKEN;
	}
	if (pair[0].state == FLOW_FREE || pair[1].state == FLOW_FREE || !was_silenced(pair) ||
	    pair[0].mark == FLOW_MARK_REVIVED)
		return FLOW_FOUND_BROKEN;
	return pair[0].mark == FLOW_MARK_TOLD ? FLOW_FOUND_OVER : FLOW_FOUND_RUNNING;
}

static void take_on(struct flow_engine *engine, uint32_t index)
{
	for (unsigned leg = 0; leg < 2; leg++)
		__atomic_and_fetch(&engine->flows[index + leg].flags, (__u8)~FLOW_KERNEL_PENDING,
				   __ATOMIC_SEQ_CST);
	flow_resume(engine, index);
}

/* --- links --- */

/* `tc-2-in`: as attach.c names them. */
static bool read_name(const char *name, struct flow_interface *ret_interface)
{
	for (int hook = 0; hook < FLOW_HOOKS; hook++) {
		size_t len = strlen(flow_hook_names[hook]);
		unsigned ifindex;
		int end = 0;

		if (strncmp(name, flow_hook_names[hook], len) != 0 || name[len] != '-')
			continue;
		if (sscanf(name + len, "-%u-in%n", &ifindex, &end) != 1 || !end || name[len + end])
			continue;
		*ret_interface = (struct flow_interface){.ifindex = ifindex, .hook = hook};
		return true;
	}
	return false;
}

void flow_take_over_links(struct flow_engine *engine, const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	struct flow_interface interface;

	while (dir && (entry = readdir(dir)))
		if (read_name(entry->d_name, &interface) &&
		    if_indextoname(interface.ifindex, interface.name)) {
			interface.loopback = interface.ifindex == if_nametoindex("lo");
			flow_attach(engine, &interface);
		}
	if (dir)
		closedir(dir);
}

void flow_remove_filters(const char *path)
{
	struct flow_interface interface;
	const struct dirent *entry;
	char map[320];
	DIR *dir;
	int fd;

	snprintf(map, sizeof(map), "%s/flows", path);
	fd = bpf_obj_get(map);
	if (fd < 0)
		return;
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (read_name(entry->d_name, &interface))
			attach_remove_filters(interface.ifindex, attach_handle(fd, true));
	if (dir)
		closedir(dir);
	close(fd);
}

int flow_adopt(struct flow_engine *engine,
	       void (*on_session)(void *context, uint32_t index, enum flow_found what,
				  const struct flow_note *note, const struct flow_tomb tombs[2]),
	       void *context)
{
	int adopted = 0;

	if (engine->pin_path[0])
		flow_take_over_links(engine, engine->pin_path);
	for (uint32_t i = 0; i < engine->sessions; i++) {
		const struct flow *pair = &engine->flows[2 * i];
		struct flow_tomb tombs[2];
		struct flow_note note;
		enum flow_found what;

		if (!flow_is_used(pair))
			continue;
		what = flow_judge_found(pair, engine->notes_fd, 2 * i, &note);
		flow_tombs_of(pair, &note, tombs);
		if (what != FLOW_FOUND_BROKEN)
			take_on(engine, 2 * i);
		on_session(context, 2 * i, what, &note, tombs);
		adopted++;
	}
	return adopted;
}

void flow_told(struct flow_engine *engine, uint32_t index)
{
	__atomic_store_n(&engine->flows[index].mark, FLOW_MARK_TOLD, __ATOMIC_RELEASE);
}
