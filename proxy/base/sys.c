/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage and names of the system call counters.
 */
#include "proxy/base/sys.h"

_Thread_local uint64_t sys_calls[SYS_KINDS];

const char *const sys_kind_names[SYS_KINDS] = {
	[SYS_EPOLL_WAIT] = "epoll_wait",
	[SYS_EPOLL_CTL] = "epoll_ctl",
	[SYS_ACCEPT] = "accept4",
	[SYS_SOCKET] = "socket",
	[SYS_BIND] = "bind",
	[SYS_CONNECT] = "connect",
	[SYS_RECV] = "recv",
	[SYS_SEND] = "send",
	[SYS_SPLICE] = "splice",
	[SYS_PIPE] = "pipe2",
	[SYS_SHUTDOWN] = "shutdown",
	[SYS_CLOSE] = "close",
	[SYS_SETSOCKOPT] = "setsockopt",
	[SYS_GETSOCKOPT] = "getsockopt",
	[SYS_GETSOCKNAME] = "getsockname",
	[SYS_IOCTL] = "ioctl",
};
