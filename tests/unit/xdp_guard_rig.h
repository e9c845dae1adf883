/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames for the guard's program, written byte by byte, and a sum over them that shares no code
 * with the program. What one frame becomes is asked of the kernel by BPF_PROG_TEST_RUN.
 */
#pragma once

#include <linux/bpf.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <check.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xdp/guard.h"

#define PORT  8443
#define FIN   0x01
#define SYN   0x02
#define RST   0x04
#define ACK   0x10
#define ROOM  2048
#define BURST 4

struct frame {
	uint8_t bytes[ROOM];
	size_t size;
	size_t ip; /* where it begins */
	size_t tcp;
};

static struct guard *guard;
static struct guard_door doors[4];
static size_t door_count;

/* --- frames --- */

static inline void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static inline unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* RFC 1071 as it is explained there, byte pair by byte pair. */
static inline uint32_t add_up(const uint8_t *bytes, size_t size, uint32_t sum)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		sum += get16(bytes + i);
	if (size & 1)
		sum += (unsigned)bytes[size - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline bool is_ipv6(const struct frame *frame)
{
	return frame->bytes[frame->ip] >> 4 == 6;
}

/* Over pseudo-header and segment: 0xffff when all is well. */
static inline uint32_t tcp_sum(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + frame->ip;
	size_t size = frame->size - frame->tcp;
	uint32_t sum = IPPROTO_TCP + (uint32_t)size;

	sum = is_ipv6(frame) ? add_up(ip + 8, 32, sum) : add_up(ip + 12, 8, sum);
	return add_up(frame->bytes + frame->tcp, size, sum);
}

static inline void set_length(struct frame *frame)
{
	uint8_t *ip = frame->bytes + frame->ip;

	if (is_ipv6(frame))
		put16(ip + 4, (unsigned)(frame->size - frame->ip - 40));
	else
		put16(ip + 2, (unsigned)(frame->size - frame->ip));
}

/* A segment without options; addresses of either family. */
static inline struct frame segment(const char *from, const char *to, unsigned source_port,
				   unsigned port, unsigned flags)
{
	bool ipv6 = strchr(from, ':');
	struct frame frame = {.ip = 14, .tcp = ipv6 ? 54 : 34, .size = ipv6 ? 74 : 54};
	uint8_t *ip = frame.bytes + 14, *tcp = frame.bytes + frame.tcp;

	memcpy(frame.bytes, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	put16(frame.bytes + 12, ipv6 ? 0x86dd : 0x0800);
	ip[0] = ipv6 ? 0x60 : 0x45;
	if (ipv6) {
		ip[6] = IPPROTO_TCP;
		ip[7] = 64;
		inet_pton(AF_INET6, from, ip + 8);
		inet_pton(AF_INET6, to, ip + 24);
	} else {
		ip[8] = 64;
		ip[9] = IPPROTO_TCP;
		inet_pton(AF_INET, from, ip + 12);
		inet_pton(AF_INET, to, ip + 16);
	}
	put16(tcp, source_port);
	put16(tcp + 2, port);
	put32(tcp + 4, 0x01020304);
	tcp[12] = 5 << 4;
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, 64240);
	set_length(&frame);
	return frame;
}

static inline void add_options(struct frame *frame, const void *options, size_t size)
{
	memcpy(frame->bytes + frame->tcp + 20, options, size);
	frame->size += size;
	frame->bytes[frame->tcp + 12] = (uint8_t)((20 + size) / 4 << 4);
	set_length(frame);
}

/* Put `size` bytes between what is there. */
static inline void insert_bytes(struct frame *frame, size_t at, const void *bytes, size_t size)
{
	memmove(frame->bytes + at + size, frame->bytes + at, frame->size - at);
	memcpy(frame->bytes + at, bytes, size);
	frame->size += size;
	if (at <= frame->ip)
		frame->ip += size;
	if (at <= frame->tcp)
		frame->tcp += size;
}

/* --- the guard --- */

/* The action; `frame` becomes what the program made of it. */
static inline unsigned meet(struct frame *frame)
{
	static struct frame out;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes,
		    .data_size_in = (uint32_t)frame->size, .data_out = out.bytes,
		    .data_size_out = ROOM, .repeat = 1);

	ck_assert_int_eq(bpf_prog_test_run_opts(guard_program_fd(guard), &opts), 0);
	memcpy(frame->bytes, out.bytes, opts.data_size_out);
	frame->size = opts.data_size_out;
	return opts.retval;
}

static inline unsigned meet_copy(struct frame frame)
{
	return meet(&frame);
}

static inline uint64_t counted(uint32_t slot, enum guard_verdict verdict)
{
	struct guard_counts counts;

	guard_read(guard, slot, &counts);
	return counts.packets[verdict];
}

static inline void set_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, value, strlen(value)), (ssize_t)strlen(value));
	close(fd);
}

static inline void raise_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

static inline struct guard_door door_at(const char *bind, uint32_t slot)
{
	struct guard_door door = {.slot = slot};

	ck_assert_int_eq(addr_parse(bind, &door.bind), 0);
	door.port_end = door.bind.port;
	return door;
}

static inline void add_door(struct guard_door door)
{
	doors[door_count++] = door;
}

static inline void open_guard(void)
{
	struct guard_conf conf = {.hook_count = 0};
	char problem[GUARD_PROBLEM] = "";
	int err = guard_open(&conf, doors, door_count, &guard, problem, sizeof(problem));

	ck_assert_msg(err == 0, "%s", problem);
}

static inline void apply_doors(void)
{
	char problem[GUARD_PROBLEM] = "";
	int err = guard_apply(guard, doors, door_count, problem, sizeof(problem));

	ck_assert_msg(err == 0, "%s", problem);
}

/* A network of our own, where the kernel believes cookies and has plain clocks. */
static inline void begin_world(void)
{
	ck_assert_msg(geteuid() == 0, "needs root");
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	raise_loopback();
	set_sysctl("/proc/sys/net/ipv4/tcp_syncookies", "2");
	set_sysctl("/proc/sys/net/ipv4/tcp_timestamps", "2");
	door_count = 0;
}

static inline void end_world(void)
{
	guard_close(guard);
	guard = NULL;
}
