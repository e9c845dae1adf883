/* SPDX-License-Identifier: Apache-2.0
 *
 * `close-sessions` and `kill-session`.
 */
#include <inttypes.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/targets.h"
#include "control/ctl/verbs.h"

static void print_closing(struct ctl *ctl, const json_t *json)
{
	uint64_t count = field_count(json, "closing");

	ctl_say("closing %" PRIu64 " session%s", count, count == 1 ? "" : "s");
}

/* The answer counts sessions and names no target: look at it before waiting. */
static int wait_until_closed(struct ctl *ctl)
{
	struct reply target;
	struct path path;
	int code;

	if (!ctl->args.globals[GLOBAL_WAIT])
		return CTL_OK;
	target_path(ctl, "/explain", &path);
	code = ctl_get(ctl, &path, &target);
	if (code)
		return code;
	code = target_wait(ctl, &target);
	reply_fini(&target);
	return code;
}

int verb_close_sessions(struct ctl *ctl)
{
	uint64_t spread_ms = args_number(&ctl->args, "--spread", 0);
	bool rst = args_option(&ctl->args, "--rst");
	struct path path;
	int code;

	if (rst && spread_ms)
		return ctl_usage(ctl, "--rst is at once, --spread is not: give one of them");
	target_path(ctl, "/sessions", &path);
	if (rst)
		path_query(&path, "rst", "1");
	if (spread_ms)
		path_query_number(&path, "spread_s", (spread_ms + 999) / 1000);
	code = ctl_ask(ctl, "DELETE", &path, NULL, print_closing);
	return code ? code : wait_until_closed(ctl);
}

static void print_killed(struct ctl *ctl, const json_t *json)
{
	ctl_say("closed session %s", ctl->args.words[0]);
}

int verb_kill_session(struct ctl *ctl)
{
	struct path path;

	path_init(&path, "/v1/sessions/");
	path_add_encoded(&path, ctl->args.words[0]);
	if (args_option(&ctl->args, "--rst"))
		path_query(&path, "rst", "1");
	return ctl_ask(ctl, "DELETE", &path, NULL, print_killed);
}
