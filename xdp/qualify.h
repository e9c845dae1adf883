/* SPDX-License-Identifier: Apache-2.0
 *
 * The self-test that admits a kernel: each way past user space is tried on connections of its own,
 * in network namespaces that nobody else sees, for a fraction of a second. What a kernel's version
 * promises is not asked, but by sockmap: some of what kernels get wrong there is too rare to be
 * seen.
 *
 * Happy path: two namespaces and a veth pair, a connection through us for each step, taken over and
 * used: bytes both ways across the promotion, FINs, a reader that stalls, a reset; the first two
 * over IPv6 as well, where it is switched on. Sockets are joined wherever their packets come from,
 * so sockmap is tried on a loopback (xdp/sockmap/test.c).
 * Failure modes: the first step that goes wrong names itself, and that way is not offered. Without
 * CAP_SYS_ADMIN there are no namespaces: tc and sockmap are tried on this one's loopback, XDP
 * remains untried.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum qualify_path {
	QUALIFY_TC,
	QUALIFY_XDP_NATIVE,
	QUALIFY_XDP_GENERIC,
	QUALIFY_SOCKMAP,
	QUALIFY_PATHS
};

extern const char *const qualify_path_names[QUALIFY_PATHS];

enum qualify_verdict {
	QUALIFY_WORKS,
	QUALIFY_FAILS,
	QUALIFY_UNTRIED, /* not for its own fault */
};

struct qualify_result {
	enum qualify_verdict verdict;
	uint64_t took_us;
	char problem[256]; /* "" if it works: the step, and what was wrong */
};

/* Blocks the caller, in a thread of its own; nothing of it is left afterwards. Needs what
 * flow_open() needs, and CAP_SYS_ADMIN for the namespaces. */
void qualify(enum qualify_path path, struct qualify_result *ret_result);
