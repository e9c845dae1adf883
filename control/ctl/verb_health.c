/* SPDX-License-Identifier: Apache-2.0
 *
 * `health`: one word for a script, and every reason against it for a person. What it judges is in
 * its help. Failure mode: nobody answers, which with --wait counts as not healthy yet.
 */
#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/table.h"
#include "control/ctl/verbs.h"
#include "control/ctl/wait.h"

static void judge_proxy(struct table *reasons, const json_t *status)
{
	const char *phase = field_text(status, "phase", "?");

	if (strcmp(phase, "serving") != 0)
		table_addf(reasons, "the proxy is leaving: %s", phase);
	if (!field_true(status, "ready"))
		table_addf(reasons, "not ready: %s", field_text(status, "not_ready_reason", "?"));
}

static void judge_pool(struct table *reasons, const json_t *pool)
{
	const char *name = field_text(pool, "name", "?");

	if (field_true(pool, "panic"))
		table_addf(reasons, "pool %s is in panic: %" PRIu64 " of %" PRIu64 " healthy", name,
			   field_count(pool, "healthy"), field_count(pool, "eligible"));
	if (!field_count(pool, "usable"))
		table_addf(reasons, "pool %s has no usable target (of %" PRIu64 ")", name,
			   field_count(pool, "targets"));
}

/* All that speaks against health; false when --pool names none. */
static bool judge(const struct ctl *ctl, struct table *reasons, const json_t *status)
{
	const char *only = args_option(&ctl->args, "--pool");
	const json_t *pool;
	bool found = !only;
	size_t i;

	judge_proxy(reasons, status);
	json_array_foreach (json_object_get(status, "pools"), i, pool) {
		if (only && strcmp(only, field_text(pool, "name", "")) != 0)
			continue;
		judge_pool(reasons, pool);
		found = true;
	}
	return found;
}

static void print_healthy(struct ctl *ctl, const json_t *status)
{
	screen_print(&ctl->screen, stdout, COLOUR_GOOD, "healthy");
	putchar('\n');
}

static void print_unhealthy(struct ctl *ctl, const json_t *status)
{
	screen_print(&ctl->screen, stdout, COLOUR_BAD, "not healthy");
	putchar('\n');
}

/* Judge one answer. With --json the answer is all that is printed. */
static int conclude(struct ctl *ctl, const struct reply *reply)
{
	struct table *reasons = table_new((const struct column[]){{.title = ""}}, 1);

	if (!judge(ctl, reasons, reply->json)) {
		table_free(reasons);
		return ctl_fail("no pool \"%s\"", args_option(&ctl->args, "--pool"));
	}
	bool healthy = table_rows(reasons) == 0;

	ctl_show(ctl, reply, healthy ? print_healthy : print_unhealthy);
	if (!healthy && !ctl_wants_json(ctl))
		table_print(reasons, &ctl->screen, stdout);
	table_free(reasons);
	return healthy ? CTL_OK : CTL_UNHEALTHY;
}

/* Ask without judging aloud: is it healthy by now? */
static bool is_healthy(struct ctl *ctl, const struct path *path)
{
	struct table *reasons = table_new((const struct column[]){{.title = ""}}, 1);
	struct reply reply;
	bool healthy = false;

	if (client_call(ctl->client, "GET", path->text, NULL, &reply) == 0) {
		healthy = json_is_object(reply.json) && judge(ctl, reasons, reply.json) &&
			  table_rows(reasons) == 0;
		reply_fini(&reply);
	}
	table_free(reasons);
	return healthy;
}

static int wait_until_healthy(struct ctl *ctl, const struct path *path)
{
	struct wait wait;
	int code = CTL_OK;

	wait_begin(&wait, ctl);
	while (!code && !is_healthy(ctl, path))
		code = wait_again(&wait, "not healthy yet");
	wait_end(&wait);
	return code;
}

int verb_health(struct ctl *ctl)
{
	struct reply reply;
	struct path path;
	int waited = CTL_OK, code;

	path_init(&path, "/v1/status");
	if (ctl->args.globals[GLOBAL_WAIT])
		waited = wait_until_healthy(ctl, &path);
	code = ctl_get(ctl, &path, &reply);
	if (code)
		return code;
	code = conclude(ctl, &reply);
	reply_fini(&reply);
	return waited ? waited : code;
}
