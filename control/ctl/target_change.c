/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what the verbs that change a target have in common. The happy path is: one request, whose
 * answer names the target by a key that is never used again; by that key it is asked about until it
 * carries nothing.
 *
 * Failure modes: the time given to --wait is over; the target is forgotten while we wait, which is
 * as empty as it can be; the proxy ends, which is told as such.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "control/ctl/targets.h"
#include "control/ctl/wait.h"
#include "proxy/base/clock.h"

#define NAME_BYTES 256
#define GONE       404

void target_path(const struct ctl *ctl, const char *rest, struct path *ret_path)
{
	path_init(ret_path, "/v1/targets/");
	path_add_encoded(ret_path, ctl->args.words[0]);
	path_add(ret_path, rest);
	path_query(ret_path, "pool", args_option(&ctl->args, "--pool"));
}

/* What is asked of it beyond its state: an own weight, and when its sessions are closed. */
static void add_terms(struct table *table, const json_t *target)
{
	const json_t *override = json_object_get(target, "override");
	char left[SHOW_AGE];

	if (field_known(override, "weight"))
		table_addf(table, "its weight is %" PRIu64 " instead of %" PRIu64,
			   field_count(override, "weight"), field_count(target, "weight"));
	if (field_known(override, "until"))
		table_addf(table, "that ends by itself %s, at %s",
			   show_age_text(field_wall_us(override, "until"), clock_wall_us(), left),
			   field_text(override, "until", "?"));
	if (field_known(target, "drain_deadline") && field_count(target, "open"))
		table_addf(table, "what is still open %s is closed then",
			   show_age_text(field_wall_us(target, "drain_deadline"), clock_wall_us(),
					 left));
}

void target_print(struct ctl *ctl, const json_t *target)
{
	const char *state = field_text(target, "state", "?");
	uint64_t open = field_count(target, "open");
	struct table *table = table_new((const struct column[]){{.title = ""}}, 1);

	table_addf(table, "%s in pool %s: %s (%s); %" PRIu64 " open session%s",
		   field_text(target, "name", "?"), field_text(target, "pool", "?"), state,
		   show_reason(target), open, open == 1 ? "" : "s");
	table_colour(table, show_state_colour(state));
	add_terms(table, target);
	table_finish(table, &ctl->screen);
}

/* Ask again; a target that nobody knows any more is empty. */
static int look_again(struct ctl *ctl, const struct path *path, struct reply *reply, bool *ret_gone)
{
	struct reply newer;
	int err = client_call(ctl->client, "GET", path->text, NULL, &newer);

	if (err < 0)
		return ctl_unreachable(ctl, err);
	*ret_gone = newer.status == GONE;
	if (*ret_gone || !newer.json) {
		reply_fini(&newer);
		return CTL_OK;
	}
	reply_fini(reply);
	*reply = newer;
	return CTL_OK;
}

int target_wait(struct ctl *ctl, struct reply *reply)
{
	char name[NAME_BYTES];
	struct path path;
	struct wait wait;
	bool gone = false;
	int code = CTL_OK;

	if (!ctl->args.globals[GLOBAL_WAIT])
		return CTL_OK;
	snprintf(name, sizeof(name), "%s", field_text(reply->json, "name", "?"));
	path_init(&path, "/v1/targets/");
	path_add_encoded(&path, field_text(reply->json, "key", name));
	path_add(&path, "/explain");
	path_query(&path, "pool", field_text(reply->json, "pool", NULL));
	wait_begin(&wait, ctl);
	while (!code && !gone && field_count(reply->json, "open")) {
		code = wait_again(&wait, "%s: %" PRIu64 " open sessions", name,
				  field_count(reply->json, "open"));
		if (!code)
			code = look_again(ctl, &path, reply, &gone);
	}
	wait_end(&wait);
	return code;
}

int target_change(struct ctl *ctl, const char *method, const struct path *path, const json_t *body)
{
	struct reply reply;
	int code = ctl_call(ctl, method, path, body, &reply);

	if (code)
		return code;
	code = target_wait(ctl, &reply);
	if (code == CTL_OK || code == CTL_TIMED_OUT)
		ctl_show(ctl, &reply, target_print);
	reply_fini(&reply);
	return code;
}
