/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether this kernel is admitted to the fast path: it has to show it.
 */
#include "xdp/qualify.h"

#include <errno.h>
#include <stdio.h>

#include "proxy/offload.h"

static int judge(enum qualify_path path, const char *name, char *ret_problem, size_t size)
{
	struct qualify_result result;

	qualify(path, &result);
	if (result.verdict == QUALIFY_WORKS)
		return 0;
	snprintf(ret_problem, size, "the self-test of %s %s: %s", name,
		 result.verdict == QUALIFY_FAILS ? "failed" : "was not possible", result.problem);
	return result.verdict == QUALIFY_FAILS ? -EPROTO : -EAGAIN;
}

int offload_qualify_sockmap(char *ret_problem, size_t size)
{
	return judge(QUALIFY_SOCKMAP, qualify_path_names[QUALIFY_SOCKMAP], ret_problem, size);
}

int offload_qualify(enum flow_hook hook, char *ret_problem, size_t size)
{
	static const enum qualify_path paths[FLOW_HOOKS] = {
		[FLOW_HOOK_TC] = QUALIFY_TC,
		[FLOW_HOOK_XDP_NATIVE] = QUALIFY_XDP_NATIVE,
		[FLOW_HOOK_XDP_GENERIC] = QUALIFY_XDP_GENERIC,
	};

	return judge(paths[hook], flow_hook_names[hook], ret_problem, size);
}
