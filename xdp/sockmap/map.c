/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the program of sockmap and its maps, and tells of gates that fall.
 *
 * Happy path: sized, loaded, the ways mapped, the program attached to the map of sources alone.
 * Failure modes: a kernel or a lack of capabilities that refuses it is a sentence, and nothing is
 * left behind.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sockmap.skel.h"
#include "xdp/sockmap/internal.h"

static int say(char *problem, size_t size, int err, const char *what)
{
	snprintf(problem, size, "%s: %s", what, strerror(-err));
	return err;
}

static int on_record(void *context, void *data, size_t size)
{
	struct sockmap *map = context;

	if (size >= sizeof(struct joint_event) && map->on_gate)
		map->on_gate(map->context, data);
	return 0;
}

static int size_maps(struct sockmap *map)
{
	struct bpf_map *maps[] = {map->skeleton->maps.joint_targets,
				  map->skeleton->maps.joint_sources,
				  map->skeleton->maps.joint_index, map->skeleton->maps.joint_ways};
	int err = 0;

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]) && !err; i++)
		err = bpf_map__set_max_entries(maps[i], 2 * map->joints);
	return err;
}

static int map_ways(struct sockmap *map)
{
	void *ways = mmap(NULL, 2 * (size_t)map->joints * sizeof(struct joint_way),
			  PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_map__fd(map->skeleton->maps.joint_ways), 0);

	if (ways == MAP_FAILED)
		return -errno;
	map->ways = ways;
	map->free_slots = calloc(map->joints, sizeof(map->free_slots[0]));
	if (!map->free_slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < map->joints; i++)
		map->free_slots[map->free_count++] = 2 * i;
	return 0;
}

static int attach(struct sockmap *map)
{
	map->targets_fd = bpf_map__fd(map->skeleton->maps.joint_targets);
	map->sources_fd = bpf_map__fd(map->skeleton->maps.joint_sources);
	map->index_fd = bpf_map__fd(map->skeleton->maps.joint_index);
	map->brake_fd = bpf_program__fd(map->skeleton->progs.joint_brake);
	map->events = ring_buffer__new(bpf_map__fd(map->skeleton->maps.joint_events), on_record,
				       map, NULL);
	if (!map->events)
		return -errno;
	return bpf_prog_attach(bpf_program__fd(map->skeleton->progs.joint_verdict), map->sources_fd,
			       BPF_SK_SKB_VERDICT, 0);
}

static int load(struct sockmap *map, char *problem, size_t size)
{
	int err;

	map->skeleton = sockmap_bpf__open();
	if (!map->skeleton)
		return say(problem, size, -errno, "the program of sockmap cannot be read");
	err = size_maps(map);
	if (!err)
		err = sockmap_bpf__load(map->skeleton);
	if (err)
		return say(problem, size, err,
			   "the kernel refuses the program of sockmap (it needs CAP_BPF, "
			   "CAP_NET_ADMIN and BTF in /sys/kernel/btf/vmlinux)");
	err = map_ways(map);
	if (!err)
		err = attach(map);
	return err ? say(problem, size, err, "sockmap cannot be set up") : 0;
}

int sockmap_open(uint32_t joints, struct sockmap **ret_map, char *ret_problem, size_t size)
{
	struct sockmap *map = calloc(1, sizeof(*map));
	int err;

	if (!map)
		return say(ret_problem, size, -ENOMEM, "sockmap");
	map->joints = joints;
	err = load(map, ret_problem, size);
	if (err) {
		sockmap_close(map);
		return err;
	}
	*ret_map = map;
	return 0;
}

void sockmap_close(struct sockmap *map)
{
	if (!map)
		return;
	ring_buffer__free(map->events);
	if (map->ways)
		munmap(map->ways, 2 * (size_t)map->joints * sizeof(struct joint_way));
	sockmap_bpf__destroy(map->skeleton);
	free(map->free_slots);
	free(map);
}

int sockmap_events_fd(const struct sockmap *map)
{
	return ring_buffer__epoll_fd(map->events);
}

void sockmap_events(struct sockmap *map,
		    void (*on_gate)(void *context, const struct joint_event *event), void *context)
{
	map->on_gate = on_gate;
	map->context = context;
	ring_buffer__consume(map->events);
}
