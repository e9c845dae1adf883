/* SPDX-License-Identifier: Apache-2.0
 *
 * Joins sockets. Happy path: a brake on both, both as targets, then both as sources, then a kick
 * for what had arrived before, which the kernel would leave lying until the next packet:
 * SO_RCVLOWAT looks at the receive queue anew.
 *
 * What was received and written is reckoned from struct tcp_info, from where it stood when nothing
 * was in anybody's hands. Failure modes: figures that move while they are read (asked again, a few
 * times); everything that was done is undone before a verdict can have run, and never after.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/socket.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proxy/base/clock.h"
#include "xdp/sockmap/internal.h"

#define STEADY_TRIES 16
#define QUIET_US     200
#define SEND_BUFFER  (JOINT_QUEUED + 2 * JOINT_HARD_LIMIT) /* it counts what bytes take up */

const char *const sockmap_losses[] = {
	[JOINT_KEPT] = "nothing is lost",
	[JOINT_GAP] = "some were taken from under the program",
	[JOINT_UNTRIMMED] = "no memory",
	[JOINT_OVERFULL] = "too much was unread, for want of CPU",
};

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

	ret_view->pressed = __atomic_load_n(&at->pressed, __ATOMIC_RELAXED) != 0;
	ret_view->gated = __atomic_load_n(&at->gated, __ATOMIC_ACQUIRE) != 0;
	ret_view->lost = (enum joint_loss)__atomic_load_n(&at->lost, __ATOMIC_RELAXED);
	ret_view->unread = __atomic_load_n(&at->unread, __ATOMIC_RELAXED);
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

static int fit_brake(const struct sockmap *map, int fd)
{
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &map->brake_fd, sizeof(map->brake_fd))
		       ? -errno
		       : 0;
}

static void take_brake_off(int fd)
{
	const int unused = 0;

	setsockopt(fd, SOL_SOCKET, SO_DETACH_BPF, &unused, sizeof(unused));
}

/* As small as can be: less than a segment, so it opens by probes. */
static void close_window(int fd)
{
	const int least = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &least, sizeof(least));
}

/* Small, and from there the kernel's to size again. */
static void empty_room(int fd)
{
	const int size = 65536;
	socklen_t len = sizeof(int);
	int locks = 0;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &len))
		return;
	locks &= ~SOCK_SNDBUF_LOCK;
	setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, sizeof(locks));
}

void sockmap_take_over(int from_fd, int to_fd)
{
	const int most = INT_MAX;

	take_brake_off(from_fd);
	setsockopt(from_fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &most, sizeof(most));
	empty_room(to_fd);
}

static bool is_quiet(const struct sockmap *map, const struct sockmap_joint *joint, unsigned way,
		     int to_fd, bool hurry)
{
	struct sockmap_view view;

	sockmap_look(map, joint, way, &view);
	return (hurry || clock_us() - view.last_ns / 1000 > QUIET_US) &&
	       written(joint, !way, to_fd) >= view.passed;
}

bool sockmap_settle(struct sockmap *map, const struct sockmap_joint *joint, const int fds[2],
		    bool hurry)
{
	close_window(fds[0]);
	close_window(fds[1]);
	if (!is_quiet(map, joint, 0, fds[1], hurry) || !is_quiet(map, joint, 1, fds[0], hurry))
		return false;
	for (unsigned way = 0; way < 2; way++)
		__atomic_store_n(&map->ways[joint->index + way].gated, 1, __ATOMIC_RELEASE);
	return true;
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
static void undo(struct sockmap *map, const struct sockmap_joint *joint, const int fds[2])
{
	for (unsigned way = 0; way < 2; way++) {
		bpf_map_delete_elem(map->targets_fd, &joint->cookies[way]);
		take_brake_off(fds[way]);
	}
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
	for (unsigned leg = 0; leg < 2 && !err; leg++) {
		err = make_room(fds[leg]);
		if (!err)
			err = fit_brake(map, fds[leg]);
	}
	for (unsigned way = 0; way < 2 && !err; way++)
		err = put_socket(map->targets_fd, &joint.cookies[way], fds[!way]);
	if (!err)
		err = put_socket(map->sources_fd, &joint.cookies[0], fds[0]);
	if (err) {
		undo(map, &joint, fds);
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
