/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the proxy's drain, as asked for from here. Happy path: it is begun, the status says how many
 * sessions are left, and the end of the process is the end of the drain. Failure modes: nobody is
 * there to drain, or it is refused: told with the proxy's words. One that drains already is fine.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/link/internal.h"
#include "proxy/base/loop.h"

#define ANSWER_MS 10000

/* The end, told from a turn of its own. `problem` NULL: all went well. */
static void end(struct link *link, const char *problem)
{
	snprintf(link->drain_problem, sizeof(link->drain_problem), "%s", problem ? problem : "");
	loop_arm(link->conf.loop, &link->drain_end, 0);
}

void drain_tell(struct timer *timer)
{
	struct link *link = container_of(timer, struct link, drain_end);
	void (*on_end)(void *context, const char *problem) = link->on_drained;

	link->on_drained = NULL;
	on_end(link->drain_context, link->drain_problem[0] ? link->drain_problem : NULL);
}

static void on_begun(void *context, const struct http_answer *answer)
{
	struct link *link = context;
	char problem[200];
	json_t *root = link_answer(answer, 202, problem, sizeof(problem));

	link->drain = NULL;
	if (root)
		loop_arm(link->conf.loop, &link->connect, 0); /* sessions are of interest now */
	else if (answer->err != AWS_OK || answer->status != 409)
		end(link, problem);
	json_decref(root);
}

int link_drain(struct link *link, void (*on_end)(void *context, const char *problem), void *context)
{
	if (link->on_drained)
		return -EALREADY;
	if (link->up) {
		link->drain = link_ask(link, &(struct link_request){.method = "POST",
								    .path = "/v1/drain",
								    .body = "{\"exit\":true}",
								    .timeout_ms = ANSWER_MS,
								    .on_end = on_begun,
								    .context = link});
		if (!link->drain)
			return -ENOMEM;
	}
	link->on_drained = on_end;
	link->drain_context = context;
	if (!link->up)
		end(link, link->problem[0] ? link->problem : "the proxy was not found yet");
	return 0;
}

void drain_gone(struct link *link)
{
	struct http_call *call = link->drain;

	link->drain = NULL;
	http_cancel(call);
	if (link->on_drained && !timer_is_armed(&link->drain_end))
		end(link, call ? "the proxy was gone before it could be told" : NULL);
}

void drain_cancel(struct link *link)
{
	struct http_call *call = link->drain;

	link->drain = NULL;
	http_cancel(call);
	timer_cancel(&link->drain_end);
	link->on_drained = NULL;
}
