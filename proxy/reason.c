/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of the reasons, as the flow log and the counters print them: the enumerators in lower
 * case without their prefix. A reason without a name cannot be added: the table's size is the
 * enum's, and reason_test.c looks for holes.
 */
#include "proxy/reason.h"

const char *const reason_names[REASONS] = {
	[REASON_NONE] = "none",
	[REASON_CLIENT_FIN] = "client_fin",
	[REASON_BACKEND_FIN] = "backend_fin",
	[REASON_CLIENT_RST] = "client_rst",
	[REASON_BACKEND_RST] = "backend_rst",
	[REASON_CLIENT_ABORT] = "client_abort",
	[REASON_CLIENT_TIMEOUT] = "client_timeout",
	[REASON_BACKEND_TIMEOUT] = "backend_timeout",
	[REASON_PROXY_UNTRUSTED] = "proxy_untrusted",
	[REASON_PROXY_HEADER_BAD] = "proxy_header_bad",
	[REASON_PROXY_HEADER_TIMEOUT] = "proxy_header_timeout",
	[REASON_CONNECT_REFUSED] = "connect_refused",
	[REASON_CONNECT_TIMEOUT] = "connect_timeout",
	[REASON_CONNECT_UNREACHABLE] = "connect_unreachable",
	[REASON_NO_SOURCE_PORT] = "no_source_port",
	[REASON_POOL_EMPTY] = "pool_empty",
	[REASON_POOL_DOWN] = "pool_down",
	[REASON_POOL_DRAINING] = "pool_draining",
	[REASON_POOL_FULL] = "pool_full",
	[REASON_QUEUE_FULL] = "queue_full",
	[REASON_QUEUE_TIMEOUT] = "queue_timeout",
	[REASON_IDLE] = "idle",
	[REASON_IDLE_RST] = "idle_rst",
	[REASON_HALF_CLOSE] = "half_close",
	[REASON_LIFETIME] = "lifetime",
	[REASON_LIFETIME_RST] = "lifetime_rst",
	[REASON_DRAIN] = "drain",
	[REASON_DRAIN_RST] = "drain_rst",
	[REASON_TARGET_REMOVED] = "target_removed",
	[REASON_TARGET_REMOVED_RST] = "target_removed_rst",
	[REASON_TARGET_DOWN] = "target_down",
	[REASON_TARGET_DOWN_RST] = "target_down_rst",
	[REASON_KILLED] = "killed",
	[REASON_KILLED_RST] = "killed_rst",
	[REASON_LIMIT] = "limit",
	[REASON_NO_FD] = "no_fd",
	[REASON_NO_MEMORY] = "no_memory",
	[REASON_INTERNAL] = "internal",
};

/* The orderly ends are listed, so that a new reason is an error until someone decides otherwise. */
bool reason_is_error(enum reason reason)
{
	switch (reason) {
	case REASON_CLIENT_FIN:
	case REASON_BACKEND_FIN:
	case REASON_IDLE:
	case REASON_HALF_CLOSE:
	case REASON_LIFETIME:
	case REASON_DRAIN:
	case REASON_TARGET_REMOVED:
	case REASON_TARGET_DOWN:
	case REASON_KILLED:
		return false;
	default:
		return true;
	}
}
