/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's fast path comes up before anything is bound and goes down after the last worker.
 *
 * It is never needed: without the capability, the kernel or the file systems that it takes,
 * sessions are relayed as they are with `offload: off`, and one line says why.
 */
#include <errno.h>

#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"
#include "proxy/main/supervisor.h"
#include "proxy/offload.h"

#define SESSIONS 65536 /* slots for flows; each takes some 400 bytes of kernel memory */

static bool is_wanted(const struct config *config)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (config->pools[i].offload != OFFLOAD_OFF)
			return true;
	return false;
}

void fastpath_qualify(struct supervisor *sv, const struct config *config)
{
	char problem[512] = "";
	int err;

	if (!is_wanted(config))
		return;
	err = offload_qualify(FLOW_HOOK_TC, problem, sizeof(problem));
	sv->offload_refused = err == -EPROTO;
	if (err == -EPROTO)
		log_event(LOG_WARN, "offload_unavailable", "text=\"every session is relayed: %s\"",
			  problem);
	else if (err)
		log_event(LOG_WARN, "offload_untried", "text=\"%s\"", problem);
}

void fastpath_start(struct supervisor *sv, const struct config *config)
{
	struct offload_conf conf = {.sessions = SESSIONS, .workers = sv->limits.workers};
	char problem[256] = "";
	int err;

	if (is_wanted(config) && !sv->offload_refused) {
		err = offload_start(&conf, &sv->offload, problem, sizeof(problem));
		if (err)
			log_event(LOG_WARN, "offload_unavailable",
				  "text=\"every session is relayed: %s\"", problem);
		else
			log_event(LOG_INFO, "offload_ready", "sessions=%u", conf.sessions);
	}
	/* What the keeper alone needs, it has by now. */
	sandbox_keep_only(SANDBOX_KEEP_PORTS);
}

void fastpath_stop(struct supervisor *sv)
{
	offload_stop(sv->offload, false);
	sv->offload = NULL;
}
