/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what concerns the process: its listeners, its drain, its configuration. Happy path: main
 * does it, and the answer says what is so now. Failure modes: there is no such listener (404), it
 * is too late to turn back (409), the configuration has errors, and nothing was changed (422).
 */
#include <errno.h>
#include <string.h>

#include "proxy/admin/describe.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/handlers.h"
#include "proxy/base/conf/errors.h"
#include "proxy/base/http/body.h"
#include "proxy/base/jot.h"
#include "proxy/model.h"
#include "proxy/snapshot.h"

static void answer_listener(struct desk *desk, struct request *request, const char *name)
{
	const struct config *config = desk->ops.snapshot(desk->ops.context)->config;

	for (size_t i = 0; i < config->listener_count; i++)
		if (!strcmp(config->listeners[i].name, name)) {
			request_reply(request, 200, describe_listener(desk, i));
			return;
		}
	request_refuse(request, 404, "there is no listener \"%s\"", name);
}

static void pause_listener(struct desk *desk, struct request *request, bool pause)
{
	const char *name = request->segments[2];
	int err = desk->ops.pause_listener(desk->ops.context, name, pause);

	if (!err)
		answer_listener(desk, request, name);
	else if (err == -ENOENT)
		request_refuse(request, 404, "there is no listener \"%s\"", name);
	else
		request_refuse(request, err == -EBUSY ? 409 : 503, "listener \"%s\": %s", name,
			       err == -EBUSY ? "this process drains" : strerror(-err));
}

void post_pause(struct desk *desk, struct request *request)
{
	pause_listener(desk, request, true);
}

void post_resume(struct desk *desk, struct request *request)
{
	pause_listener(desk, request, false);
}

struct drain_body {
	bool exit;
};

static const struct body_key drain_keys[] = {
	{"exit", BODY_BOOL, .required = true, .at = offsetof(struct drain_body, exit)},
};

void post_drain(struct desk *desk, struct request *request)
{
	struct drain_body body = {.exit = true};

	if (request->body && !body_read(request, request->body, "", drain_keys, 1, &body, NULL))
		return;
	if (!body.exit) {
		request_refuse(request, 400, "exit must be true: a drained process ends");
		return;
	}
	if (desk->ops.drain(desk->ops.context) == -EALREADY)
		request_refuse(request, 409, "this process drains already");
	else
		request_reply(request, 202, describe_status(desk));
}

void delete_drain(struct desk *desk, struct request *request)
{
	int err = desk->ops.undrain(desk->ops.context);

	if (!err)
		request_reply(request, 200, describe_status(desk));
	else
		request_refuse(request, 409,
			       err == -EALREADY ? "this process does not drain"
						: "too late: the listeners are closing");
}

static json_t *finding_text(const void *of, size_t index)
{
	return jot_text(((const struct conf_findings *)of)->kept[index].text);
}

static json_t *findings_json(const struct conf_findings *findings)
{
	return jot_array(findings->kept_count, finding_text, findings);
}

void post_reload(struct desk *desk, struct request *request)
{
	struct conf_errors errors = {0};
	int err = desk->ops.reload(desk->ops.context, &errors);

	if (!err)
		request_reply(request, 200,
			      JOT({"generation",
				   json_integer((json_int_t)desk->ops.snapshot(desk->ops.context)
							->generation)},
				  {"warnings", findings_json(&errors.warnings)}));
	else if (err == -EBUSY)
		request_refuse(request, 409, "not reloaded: this process drains");
	else
		request_reply(request, 422,
			      JOT({"error", json_sprintf("nothing was changed: %s",
							 conf_failed(&errors)
								 ? "the configuration has errors"
								 : strerror(-err))},
				  {"errors", findings_json(&errors.errors)},
				  {"warnings", findings_json(&errors.warnings)}));
	conf_errors_fini(&errors);
}
