/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls of the data path, each counted by kind, so that calls per connection and per GB
 * can be read off a running proxy. Only workers use these; the counters belong to the calling
 * thread and are summed by stats.c through the pointer that sys_counts() returns.
 */
#pragma once

#include <stdint.h>

enum sys_kind {
	SYS_EPOLL_WAIT,
	SYS_EPOLL_CTL,
	SYS_ACCEPT,
	SYS_SOCKET,
	SYS_BIND,
	SYS_CONNECT,
	SYS_RECV,
	SYS_SEND,
	SYS_SPLICE,
	SYS_PIPE,
	SYS_SHUTDOWN,
	SYS_CLOSE,
	SYS_SETSOCKOPT,
	SYS_GETSOCKOPT,
	SYS_GETSOCKNAME,
	SYS_IOCTL,
	SYS_KINDS
};

extern const char *const sys_kind_names[SYS_KINDS];
extern _Thread_local uint64_t sys_calls[SYS_KINDS];

/* One writer (its thread), any number of readers: a relaxed store keeps the increment a plain
 * add while a reader on another core sees no torn value. */
static inline void sys_count(enum sys_kind kind)
{
	__atomic_store_n(&sys_calls[kind], sys_calls[kind] + 1, __ATOMIC_RELAXED);
}

/* Count and call, as an expression: n = SYS(RECV, recv(fd, buf, len, 0)); */
#define SYS(kind, call) (sys_count(SYS_##kind), (call))
