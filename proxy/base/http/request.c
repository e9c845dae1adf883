/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns a request's life and its answer. The happy path is: a visitor makes it, it is routed and
 * read, a handler answers, and it is freed when the answer was sent.
 *
 * Failure modes: memory is short, then the answer is 500 without a body of its own.
 */
#include "proxy/base/http/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/jot.h"
#include "proxy/base/panic.h"

#define SENTENCE 512

const char *const request_method_names[METHODS] = {
	[METHOD_GET] = "GET",     [METHOD_PUT] = "PUT",       [METHOD_POST] = "POST",
	[METHOD_PATCH] = "PATCH", [METHOD_DELETE] = "DELETE",
};

static enum request_method method_of(const char *name)
{
	if (!strcmp(name, "HEAD"))
		return METHOD_GET;
	for (int i = 0; i < METHODS; i++)
		if (!strcmp(name, request_method_names[i]))
			return i;
	return METHODS;
}

struct request *request_new(const char *method, const char *url)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	list_init(&request->link);
	request->method = method_of(method);
	request->path = strdup(url);
	if (request->path)
		return request;
	free(request);
	return NULL;
}

void request_free(struct request *request)
{
	if (!request)
		return;
	for (unsigned i = 0; i < request->argument_count; i++) {
		free(request->arguments[i].name);
		free(request->arguments[i].value);
	}
	json_decref(request->body);
	json_decref(request->answer);
	free(request->text);
	free(request->decoded);
	free(request->path);
	free(request);
}

bool request_add_argument(struct request *request, const char *name, const char *value)
{
	struct request_argument *argument = &request->arguments[request->argument_count];

	if (request->argument_count == REQUEST_ARGUMENTS)
		return false;
	argument->name = strdup(name);
	argument->value = strdup(value ? value : "");
	request->argument_count++;
	return argument->name && argument->value;
}

void request_reply(struct request *request, int status, json_t *answer)
{
	must(!request->status);
	request->status = answer ? status : 500;
	request->answer = answer;
}

void request_reply_text(struct request *request, const char *type, char *text)
{
	must(!request->status);
	request->status = text ? 200 : 500;
	request->text = text;
	request->type = type;
}

void request_refuse(struct request *request, int status, const char *format, ...)
{
	char sentence[SENTENCE];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	request_reply(request, status, JOT({"error", jot_text(sentence)}));
}
