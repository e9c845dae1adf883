/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said to the proxy as a whole: `drain --self`, `undrain --self`, `reload`, `listener`.
 *
 * A drained proxy takes its socket with it, so with --wait the silence at the end is success; so is
 * another process behind the same socket, which has taken over.
 */
#include <inttypes.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/self.h"
#include "control/ctl/verbs.h"
#include "control/ctl/wait.h"

#define RELOAD_MS 60000

/* --- drain and undrain --- */

static void print_phase(struct ctl *ctl, const json_t *status)
{
	uint64_t open = field_count(json_object_get(status, "totals"), "sessions_open");

	ctl_say("sluice, pid %" PRIu64 ", is %s; %" PRIu64 " open session%s",
		field_count(status, "pid"), field_text(status, "phase", "draining"), open,
		open == 1 ? "" : "s");
}

static int wait_until_gone(struct ctl *ctl, uint64_t pid)
{
	struct reply reply;
	struct path path;
	struct wait wait;
	uint64_t open = 0;
	int code = CTL_OK;

	path_init(&path, "/v1/status");
	wait_begin(&wait, ctl);
	while (!code && client_call(ctl->client, "GET", path.text, NULL, &reply) == 0) {
		bool other = pid && field_count(reply.json, "pid") != pid;

		open = field_count(json_object_get(reply.json, "totals"), "sessions_open");
		reply_fini(&reply);
		if (other)
			break;
		code = wait_again(&wait, "the proxy has %" PRIu64 " open sessions", open);
	}
	wait_end(&wait);
	return code;
}

int self_drain(struct ctl *ctl)
{
	json_t *body = json_pack("{s:b}", "exit", 1);
	struct reply reply;
	struct path path;
	int code;

	path_init(&path, "/v1/drain");
	code = ctl_call(ctl, "POST", &path, body, &reply);
	json_decref(body);
	if (code)
		return code;
	ctl_show(ctl, &reply, print_phase);
	fflush(stdout);
	if (ctl->args.globals[GLOBAL_WAIT])
		code = wait_until_gone(ctl, field_count(reply.json, "pid"));
	reply_fini(&reply);
	return code;
}

static void print_undrained(struct ctl *ctl, const json_t *json)
{
	puts("sluice is serving again");
}

int self_undrain(struct ctl *ctl)
{
	struct path path;

	path_init(&path, "/v1/drain");
	return ctl_ask(ctl, "DELETE", &path, NULL, print_undrained);
}

/* --- reload --- */

static void print_reloaded(struct ctl *ctl, const json_t *json)
{
	ctl_say("reloaded: generation %" PRIu64, field_count(json, "generation"));
	ctl_list(json, "warnings", "warning: ");
}

int verb_reload(struct ctl *ctl)
{
	struct path path;

	path_init(&path, "/v1/reload");
	client_set_timeout(ctl->client, ctl->args.wait_ms ? ctl->args.wait_ms : RELOAD_MS);
	return ctl_ask(ctl, "POST", &path, NULL, print_reloaded);
}

/* --- listener --- */

static void print_listener(struct ctl *ctl, const json_t *json)
{
	uint64_t open = field_count(json, "open");

	ctl_say("listener %s is %s; %" PRIu64 " open session%s", field_text(json, "name", "?"),
		field_text(json, "state", "?"), open, open == 1 ? "" : "s");
}

int verb_listener(struct ctl *ctl)
{
	struct path path;

	path_init(&path, "/v1/listeners/");
	path_add_encoded(&path, ctl->args.words[1]);
	path_add(&path, strcmp(ctl->args.words[0], "pause") == 0 ? "/pause" : "/resume");
	return ctl_ask(ctl, "POST", &path, NULL, print_listener);
}
