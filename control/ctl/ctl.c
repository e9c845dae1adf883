/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the way from an answer to an exit status. Happy path: 2xx with a JSON object is CTL_OK.
 * Failure modes: nobody answers (client_explain() says what to try), the server refuses (its
 * sentence, and what it lists beside it, goes to stderr), or the answer is not of the API.
 */
#include "control/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/ctl/json.h"
#include "control/ctl/utf8.h"

#define MESSAGE_BYTES 1024

const char *const ctl_exit_docs[CTL_EXITS] = {
	[CTL_OK] = "done",
	[CTL_REFUSED] = "the server refused, or something else failed; stderr says what",
	[CTL_USAGE] = "the command line is wrong",
	[CTL_UNREACHABLE] = "nothing answers on the socket",
	[CTL_TIMED_OUT] = "timed out",
	[CTL_UNHEALTHY] = "not healthy (`health`), or something fails (`doctor`)",
};

/* --- saying what is wrong --- */

__attribute__((format(printf, 2, 0))) static void complain(const char *verb, const char *format,
							   va_list list)
{
	char message[MESSAGE_BYTES];

	vsnprintf(message, sizeof(message), format, list);
	utf8_clean(message);
	fprintf(stderr, "sluicectl%s%s: %s\n", verb ? " " : "", verb ? verb : "", message);
}

int ctl_usage(const struct ctl *ctl, const char *format, ...)
{
	const char *verb = ctl->args.verb->name;
	va_list list;

	va_start(list, format);
	complain(verb, format, list);
	va_end(list);
	fprintf(stderr, "  see: sluicectl %s --help\n", verb);
	return CTL_USAGE;
}

int ctl_fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	complain(NULL, format, list);
	va_end(list);
	return CTL_REFUSED;
}

void ctl_say(const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof(message), format, list);
	va_end(list);
	puts(utf8_clean(message));
}

void ctl_list(const json_t *json, const char *key, const char *before)
{
	const json_t *list = json_object_get(json, key), *item;
	size_t i;

	json_array_foreach (list, i, item) {
		char line[MESSAGE_BYTES];

		snprintf(line, sizeof(line), "%s", json_string_value(item));
		fprintf(stderr, "  %s%s\n", before, utf8_clean(line));
	}
}

static int refused(const struct ctl *ctl, const struct reply *reply)
{
	const char *error = field_text(reply->json, "error", NULL);

	if (ctl_wants_json(ctl) && reply->json)
		ctl_show((struct ctl *)ctl, reply, NULL);
	if (error)
		ctl_fail("%s", error);
	else
		ctl_fail("the server answered %ld and no reason", reply->status);
	ctl_list(reply->json, "errors", "");
	ctl_list(reply->json, "warnings", "warning: ");
	ctl_list(reply->json, "candidates", "perhaps ");
	return CTL_REFUSED;
}

/* --- calls --- */

int ctl_unreachable(const struct ctl *ctl, int err)
{
	client_explain(ctl->client, err, stderr);
	return err == -ETIMEDOUT ? CTL_TIMED_OUT : CTL_UNREACHABLE;
}

int ctl_call(struct ctl *ctl, const char *method, const struct path *path, const json_t *body,
	     struct reply *ret_reply)
{
	struct reply reply;

	if (path->cut)
		return ctl_usage(ctl, "a name is too long");
	int err = client_call(ctl->client, method, path->text, body, &reply);

	if (err < 0)
		return ctl_unreachable(ctl, err);
	if (reply.status >= 200 && reply.status < 300 && json_is_object(reply.json)) {
		*ret_reply = reply;
		return CTL_OK;
	}
	int code = CTL_REFUSED;

	if (reply.status >= 200 && reply.status < 300)
		code = ctl_unreachable(ctl, -EPROTO);
	else
		refused(ctl, &reply);
	reply_fini(&reply);
	return code;
}

int ctl_get(struct ctl *ctl, const struct path *path, struct reply *ret_reply)
{
	return ctl_call(ctl, "GET", path, NULL, ret_reply);
}

bool ctl_wants_json(const struct ctl *ctl)
{
	return ctl->args.globals[GLOBAL_JSON] != NULL;
}

void ctl_show(struct ctl *ctl, const struct reply *reply,
	      void (*print)(struct ctl *ctl, const json_t *json))
{
	if (!ctl_wants_json(ctl)) {
		print(ctl, reply->json);
		return;
	}
	fwrite(reply->body, 1, reply->bytes, stdout);
	if (!reply->bytes || reply->body[reply->bytes - 1] != '\n')
		putchar('\n');
}

int ctl_ask(struct ctl *ctl, const char *method, const struct path *path, const json_t *body,
	    void (*print)(struct ctl *ctl, const json_t *json))
{
	struct reply reply;
	int code = ctl_call(ctl, method, path, body, &reply);

	if (code)
		return code;
	ctl_show(ctl, &reply, print);
	reply_fini(&reply);
	return CTL_OK;
}
