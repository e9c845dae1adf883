/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the programs of flow splice, attaches them and keeps them where the next process finds
 * them: maps and links are pinned in a directory whose name has the ABI's version.
 *
 * Happy path: open the skeleton, size its maps (or take the pinned ones, with their size), load,
 * map the flows, attach to our cgroup and to each interface; a link that is pinned is given the
 * new program, so no packet meets neither.
 * Failure modes: each step has a sentence for the operator. Everything that was attached is
 * detached again unless it was there before us.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "flow.skel.h"
#include "xdp/flow/attach.h"
#include "xdp/flow/internal.h"

const char *const flow_hook_names[FLOW_HOOKS] = {
	[FLOW_HOOK_TC] = "tc",
	[FLOW_HOOK_XDP_NATIVE] = "xdp",
	[FLOW_HOOK_XDP_GENERIC] = "xdp-generic",
};

static int say(char *problem, size_t size, int err, const char *what)
{
	snprintf(problem, size, "%s: %s", what, strerror(-err));
	return err;
}

/* --- maps --- */

/* Where a map is pinned; false when nothing is. */
static bool pin_name(const struct flow_engine *engine, const char *name, char *ret_path,
		     size_t size)
{
	if (!engine->pin_path[0])
		return false;
	return (size_t)snprintf(ret_path, size, "%s/%s", engine->pin_path, name) < size;
}

/* What is pinned has the size of its maker; ours has to be the same. */
static void take_size_of_pinned(struct flow_engine *engine)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	char path[320];
	int fd;

	if (!pin_name(engine, "flows", path, sizeof(path)))
		return;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && info.max_entries >= 2)
		engine->sessions = info.max_entries / 2;
	engine->found = true;
	close(fd);
}

static int size_map(struct flow_engine *engine, struct bpf_map *map, uint32_t entries)
{
	char path[320];
	int err = bpf_map__set_max_entries(map, entries);

	if (!err && pin_name(engine, bpf_map__name(map), path, sizeof(path)))
		err = bpf_map__set_pin_path(map, path);
	return err;
}

static int size_maps(struct flow_engine *engine)
{
	uint32_t flows = 2 * engine->sessions;
	int err = size_map(engine, engine->skeleton->maps.flow_index4, flows);

	if (!err)
		err = size_map(engine, engine->skeleton->maps.flow_index6, flows);
	if (!err)
		err = size_map(engine, engine->skeleton->maps.flows, flows);
	if (!err)
		err = size_map(engine, engine->skeleton->maps.flow_notes, engine->sessions);
	return err;
}

static int map_flows(struct flow_engine *engine)
{
	size_t size = 2 * (size_t)engine->sessions * sizeof(struct flow);
	void *flows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   bpf_map__fd(engine->skeleton->maps.flows), 0);

	if (flows == MAP_FAILED)
		return -errno;
	engine->flows = flows;
	engine->index4_fd = bpf_map__fd(engine->skeleton->maps.flow_index4);
	engine->index6_fd = bpf_map__fd(engine->skeleton->maps.flow_index6);
	engine->notes_fd = bpf_map__fd(engine->skeleton->maps.flow_notes);
	engine->counters_fd = bpf_map__fd(engine->skeleton->maps.flow_counters);
	engine->filter_handle = attach_handle(bpf_map__fd(engine->skeleton->maps.flows),
					      engine->pin_path[0] != '\0');
	return 0;
}

/* --- slots --- */

static int fill_slots(struct flow_engine *engine)
{
	engine->free_slots = calloc(engine->sessions, sizeof(engine->free_slots[0]));
	if (!engine->free_slots)
		return -ENOMEM;
	for (uint32_t i = engine->sessions; i-- > 0;) {
		const struct flow *pair = &engine->flows[2 * i];

		if (!engine->found || !flow_is_used(pair))
			engine->free_slots[engine->free_count++] = 2 * i;
		else if ((int32_t)(pair[0].serial - engine->serial) > 0)
			engine->serial = pair[0].serial;
	}
	return 0;
}

int flow_take(struct flow_engine *engine, uint32_t *ret_index)
{
	if (!engine->free_count)
		return -ENOSPC;
	*ret_index = engine->free_slots[--engine->free_count];
	return 0;
}

void flow_give_back(struct flow_engine *engine, uint32_t index)
{
	for (unsigned leg = 0; leg < 2; leg++)
		__atomic_store_n(&engine->flows[index + leg].state, FLOW_FREE, __ATOMIC_RELEASE);
	engine->free_slots[engine->free_count++] = index;
}

struct flow *flow_at(struct flow_engine *engine, uint32_t index)
{
	return index < 2 * engine->sessions ? &engine->flows[index] : NULL;
}

uint32_t flow_used(const struct flow_engine *engine)
{
	return engine->sessions - engine->free_count;
}

uint32_t flow_capacity(const struct flow_engine *engine)
{
	return engine->sessions;
}

/* --- interfaces --- */

const struct flow_port *flow_port_of(const struct flow_engine *engine, unsigned ifindex)
{
	for (size_t i = 0; i < engine->port_count; i++)
		if (engine->ports[i].interface.ifindex == ifindex)
			return &engine->ports[i];
	return NULL;
}

bool flow_hook_of(const struct flow_engine *engine, unsigned ifindex, enum flow_hook *ret_hook)
{
	const struct flow_port *port = flow_port_of(engine, ifindex);

	if (port)
		*ret_hook = port->interface.hook;
	return port != NULL;
}

int flow_attach(struct flow_engine *engine, const struct flow_interface *interface)
{
	struct flow_port *port = &engine->ports[engine->port_count];
	int err;

	if (engine->port_count == FLOW_INTERFACES)
		return -ENOSPC;
	if (flow_port_of(engine, interface->ifindex))
		return -EEXIST;
	*port = (struct flow_port){
		.interface = *interface, .ingress_fd = -1, .late_fd = -1, .egress_fd = -1};
	err = attach_port(engine, port);
	if (!err)
		engine->port_count++;
	return err;
}

void flow_detach(struct flow_engine *engine, unsigned ifindex)
{
	for (size_t i = 0; i < engine->port_count; i++)
		if (engine->ports[i].interface.ifindex == ifindex) {
			detach_port(engine, &engine->ports[i], false);
			engine->ports[i] = engine->ports[--engine->port_count];
			return;
		}
}

/* --- the whole --- */

static int on_record(void *context, void *data, size_t size)
{
	struct flow_engine *engine = context;

	if (size >= sizeof(struct flow_event) && engine->on_event)
		engine->on_event(engine->context, data);
	return 0;
}

static int prepare_pins(struct flow_engine *engine, const char *path)
{
	int len;

	if (!path)
		return 0;
	len = snprintf(engine->pin_path, sizeof(engine->pin_path), "%s/" FLOW_PIN_DIR, path,
		       ABI_VERSION);
	if (len < 0 || (size_t)len >= sizeof(engine->pin_path))
		return -ENAMETOOLONG;
	if ((mkdir(path, 0700) && errno != EEXIST) ||
	    (mkdir(engine->pin_path, 0700) && errno != EEXIST))
		return -errno;
	take_size_of_pinned(engine);
	return 0;
}

static int load(struct flow_engine *engine, char *problem, size_t size)
{
	int err;

	engine->skeleton = flow_bpf__open();
	if (!engine->skeleton)
		return say(problem, size, -errno, "the programs of flow splice cannot be read");
	err = size_maps(engine);
	if (err)
		return say(problem, size, err, "the maps of flow splice cannot be sized");
	err = flow_bpf__load(engine->skeleton);
	if (err)
		return say(problem, size, err,
			   "the kernel refuses the programs of flow splice (it needs CAP_BPF, "
			   "CAP_NET_ADMIN, CAP_PERFMON and BTF in /sys/kernel/btf/vmlinux)");
	err = map_flows(engine);
	if (err)
		return say(problem, size, err, "the table of flows cannot be mapped");
	engine->events = ring_buffer__new(bpf_map__fd(engine->skeleton->maps.flow_events),
					  on_record, engine, NULL);
	if (!engine->events)
		return say(problem, size, -errno, "the ring of events cannot be mapped");
	err = fill_slots(engine);
	return err ? say(problem, size, err, "no memory for slots") : 0;
}

static int attach_all(struct flow_engine *engine, const struct flow_setup *conf, char *problem,
		      size_t size)
{
	int err = attach_snapshots(engine, conf->cgroup);

	if (err)
		return say(problem, size, err,
			   "the look at sockets cannot be attached to the cgroup of this process "
			   "(it needs cgroup v2, mounted)");
	for (size_t i = 0; i < conf->interface_count; i++) {
		err = flow_attach(engine, &conf->interfaces[i]);
		if (err) {
			snprintf(problem, size, "%s by %s: %s", conf->interfaces[i].name,
				 flow_hook_names[conf->interfaces[i].hook], strerror(-err));
			return err;
		}
	}
	return 0;
}

int flow_open(const struct flow_setup *conf, struct flow_engine **ret_engine, char *ret_problem,
	      size_t size)
{
	struct flow_engine *engine = calloc(1, sizeof(*engine));
	int err;

	if (!engine)
		return say(ret_problem, size, -ENOMEM, "flow splice");
	engine->sessions = conf->sessions;
	err = prepare_pins(engine, conf->pin_path);
	if (err)
		say(ret_problem, size, err, "the directory for pins (a bpf file system?)");
	if (!err)
		err = load(engine, ret_problem, size);
	if (!err)
		err = attach_all(engine, conf, ret_problem, size);
	if (err) {
		flow_close(engine, engine->found);
		return err;
	}
	*ret_engine = engine;
	return 0;
}

void flow_unpin_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return;
	flow_remove_filters(path);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

int flow_drop_others(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int dropped = 0;

	while (dir && (entry = readdir(dir))) {
		char below[320];
		int version, end = 0;

		if (sscanf(entry->d_name, FLOW_PIN_DIR "%n", &version, &end) != 1 ||
		    entry->d_name[end] || version == ABI_VERSION)
			continue;
		snprintf(below, sizeof(below), "%s/" FLOW_PIN_DIR, path, version);
		flow_unpin_dir(below);
		dropped = version;
	}
	if (dir)
		closedir(dir);
	return dropped;
}

void flow_close(struct flow_engine *engine, bool leave)
{
	if (!engine)
		return;
	for (size_t i = 0; i < engine->port_count; i++)
		detach_port(engine, &engine->ports[i], leave);
	if (!leave && engine->pin_path[0])
		flow_unpin_dir(engine->pin_path);
	bpf_link__destroy(engine->snapshots);
	ring_buffer__free(engine->events);
	if (engine->flows)
		munmap(engine->flows, 2 * (size_t)engine->sessions * sizeof(struct flow));
	flow_bpf__destroy(engine->skeleton);
	free(engine->free_slots);
	free(engine);
}
