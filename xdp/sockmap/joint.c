/* SPDX-License-Identifier: Apache-2.0
 *
 * Joins sockets. Happy path: both as targets, then both as sources, then a kick for what had
 * arrived before, which the kernel would leave lying until the next packet: SO_RCVLOWAT looks at
 * the receive queue anew.
 *
 * What was received and written is reckoned from struct tcp_info, from where it stood when nothing
 * was in anybody's hands. Failure modes: figures that move while they are read (asked again, a few
 * times); everything that was done is undone before a verdict can have run, and never after.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "sockmap.skel.h"
#include "xdp/sockmap.h"

#define STEADY_TRIES 16
#define SEND_BUFFER  (3 * JOINT_LIMIT) /* it counts what the bytes take up */

struct sockmap {
	struct sockmap_bpf *skeleton;
	struct joint_way *ways; /* mapped, 2 * joints of them */
	struct ring_buffer *events;
	void (*on_gate)(void *context, const struct joint_event *event); /* sockmap_events() */
	void *context;
	uint32_t *free_slots; /* a ring of even indexes: what was freed last is used last */
	uint32_t joints;
	uint32_t free_first;
	uint32_t free_count;
	uint32_t serial;
	int targets_fd;
	int sources_fd;
	int index_fd;
};

static int say(char *problem, size_t size, int err, const char *what)
{
	snprintf(problem, size, "%s: %s", what, strerror(-err));
	return err;
}

/* --- the whole --- */

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

/* --- figures of a socket --- */

static int ask(int fd, struct tcp_info *ret_info)
{
	socklen_t len = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &len) ? -errno : 0;
}

static uint64_t queued(int fd, unsigned long which)
{
	int bytes = 0;

	return ioctl(fd, which, &bytes) || bytes < 0 ? 0 : (uint64_t)bytes;
}

/* Where a leg stands, to the byte: nothing came in and nothing was acknowledged in between. */
static int note_leg(int fd, uint64_t *ret_received, uint64_t *ret_written)
{
	for (int i = 0; i < STEADY_TRIES; i++) {
		struct tcp_info before, after;
		uint64_t unread, unacked;
		int err = ask(fd, &before);

		unread = queued(fd, SIOCINQ);
		unacked = queued(fd, SIOCOUTQ);
		if (!err)
			err = ask(fd, &after);
		if (err)
			return err;
		if (before.tcpi_bytes_received != after.tcpi_bytes_received ||
		    before.tcpi_bytes_acked != after.tcpi_bytes_acked)
			continue;
		*ret_received = after.tcpi_bytes_received - unread;
		*ret_written = after.tcpi_bytes_acked + unacked;
		return 0;
	}
	return -EAGAIN;
}

uint64_t sockmap_received(const struct sockmap_joint *joint, unsigned leg, int fd, bool finished)
{
	struct tcp_info info;

	if (ask(fd, &info))
		return 0;
	return info.tcpi_bytes_received - joint->received[leg] - (finished ? 1 : 0);
}

/* tcp_info first: an acknowledgement in between makes the sum too small, never too large. */
static uint64_t written(const struct sockmap_joint *joint, unsigned leg, int fd)
{
	struct tcp_info info;

	if (ask(fd, &info))
		return 0;
	return info.tcpi_bytes_acked + queued(fd, SIOCOUTQ) - joint->written[leg];
}

/* --- a joint --- */

void sockmap_look(const struct sockmap *map, const struct sockmap_joint *joint, unsigned way,
		  struct sockmap_view *ret_view)
{
	const struct joint_way *at = &map->ways[joint->index + way];

	ret_view->gated = __atomic_load_n(&at->gated, __ATOMIC_ACQUIRE) != 0;
	ret_view->lost = __atomic_load_n(&at->lost, __ATOMIC_RELAXED) != 0;
	ret_view->passed = __atomic_load_n(&at->passed, __ATOMIC_ACQUIRE);
	ret_view->last_ns = __atomic_load_n(&at->last_ns, __ATOMIC_RELAXED);
}

bool sockmap_is_written(const struct sockmap *map, const struct sockmap_joint *joint, unsigned way,
			int to_fd)
{
	struct sockmap_view view;

	sockmap_look(map, joint, way, &view);
	return written(joint, !way, to_fd) >= view.passed;
}

bool sockmap_is_through(const struct sockmap *map, const struct sockmap_joint *joint, unsigned way,
			int from_fd, int to_fd, bool finished)
{
	uint64_t received = sockmap_received(joint, way, from_fd, finished);

	return written(joint, !way, to_fd) >= received &&
	       sockmap_is_written(map, joint, way, to_fd);
}

/* All that may be on its way to it has room in its send queue, peer or no peer: what waits before
 * that would hold up what this socket receives. Also nothing else keeps it from being written. */
static int make_room(int fd)
{
	const int unsent = INT_MAX;
	socklen_t len = sizeof(int);
	int size = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len))
		return -errno;
	size = size < SEND_BUFFER ? SEND_BUFFER / 2 : size / 2; /* the kernel doubles it */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)))
		return -errno;
	return 0;
}

static int refuse_tls(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	return !getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) && len && name[0] ? -EPROTO : 0;
}

static int describe(const int fds[2], struct sockmap_joint *joint)
{
	for (unsigned leg = 0; leg < 2; leg++) {
		socklen_t len = sizeof(joint->cookies[leg]);
		int err = refuse_tls(fds[leg]);

		if (!err && getsockopt(fds[leg], SOL_SOCKET, SO_COOKIE, &joint->cookies[leg], &len))
			err = -errno;
		if (!err)
			err = note_leg(fds[leg], &joint->received[leg], &joint->written[leg]);
		if (err)
			return err;
	}
	return 0;
}

static int put_socket(int map_fd, const uint64_t *cookie, int fd)
{
	uint64_t value = (uint64_t)fd;

	return bpf_map_update_elem(map_fd, cookie, &value, BPF_NOEXIST) ? -errno : 0;
}

static int take_slot(struct sockmap *map, struct sockmap_joint *joint)
{
	int err = 0;

	if (!map->free_count)
		return -ENOSPC;
	joint->index = map->free_slots[map->free_first];
	map->free_first = (map->free_first + 1) % map->joints;
	map->free_count--;
	joint->serial = ++map->serial;
	for (unsigned way = 0; way < 2 && !err; way++) {
		uint32_t index = joint->index + way;

		map->ways[index] = (struct joint_way){.serial = joint->serial};
		if (bpf_map_update_elem(map->index_fd, &joint->cookies[way], &index, BPF_ANY))
			err = -errno;
	}
	if (err)
		sockmap_part(map, joint);
	return err;
}

void sockmap_part(struct sockmap *map, const struct sockmap_joint *joint)
{
	for (unsigned way = 0; way < 2; way++)
		bpf_map_delete_elem(map->index_fd, &joint->cookies[way]);
	map->free_slots[(map->free_first + map->free_count++) % map->joints] = joint->index;
}

/* No verdict has run: as targets alone they can be taken out again. */
static void undo(struct sockmap *map, const struct sockmap_joint *joint)
{
	for (unsigned way = 0; way < 2; way++)
		bpf_map_delete_elem(map->targets_fd, &joint->cookies[way]);
	sockmap_part(map, joint);
}

int sockmap_join(struct sockmap *map, const int fds[2], struct sockmap_joint *ret_joint)
{
	struct sockmap_joint joint = {0};
	int one = 1;
	int err = describe(fds, &joint);

	if (!err)
		err = take_slot(map, &joint);
	if (err)
		return err;
	for (unsigned leg = 0; leg < 2 && !err; leg++)
		err = make_room(fds[leg]);
	for (unsigned way = 0; way < 2 && !err; way++)
		err = put_socket(map->targets_fd, &joint.cookies[way], fds[!way]);
	if (!err)
		err = put_socket(map->sources_fd, &joint.cookies[0], fds[0]);
	if (err) {
		undo(map, &joint);
		return err;
	}
	/* From here on bytes may be on their way. */
	if (put_socket(map->sources_fd, &joint.cookies[1], fds[1]))
		__atomic_store_n(&map->ways[joint.index + 1].gated, 1, __ATOMIC_RELEASE);
	for (unsigned leg = 0; leg < 2; leg++)
		setsockopt(fds[leg], SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	*ret_joint = joint;
	return 0;
}
