/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns a request's life and its answer, and the queue that it travels through. The happy path is:
 * the transport makes it, routes it, and puts it into main's queue; a handler answers; it comes
 * back through the other queue and is freed when the answer was sent.
 *
 * Failure modes: memory is short, then the answer is 500 without a body of its own.
 */
#include "proxy/admin/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

struct admin_request *request_new(const char *method, const char *url)
{
	struct admin_request *request = calloc(1, sizeof(*request));

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

void request_free(struct admin_request *request)
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

bool request_add_argument(struct admin_request *request, const char *name, const char *value)
{
	struct request_argument *argument = &request->arguments[request->argument_count];

	if (request->argument_count == REQUEST_ARGUMENTS)
		return false;
	argument->name = strdup(name);
	argument->value = strdup(value ? value : "");
	request->argument_count++;
	return argument->name && argument->value;
}

void request_reply(struct admin_request *request, int status, json_t *answer)
{
	must(!request->status);
	request->status = answer ? status : 500;
	request->answer = answer;
}

void request_reply_text(struct admin_request *request, const char *type, char *text)
{
	must(!request->status);
	request->status = text ? 200 : 500;
	request->text = text;
	request->type = type;
}

void request_refuse(struct admin_request *request, int status, const char *format, ...)
{
	char sentence[SENTENCE];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	request_reply(request, status, JOT({"error", jot_text(sentence)}));
}

int request_queue_init(struct request_queue *queue)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	*queue = (struct request_queue){.fd = fd};
	list_init(&queue->requests);
	must(!pthread_mutex_init(&queue->lock, NULL));
	return 0;
}

void request_queue_fini(struct request_queue *queue)
{
	struct admin_request *request;

	while ((request = request_queue_take(queue)))
		request_free(request);
	close(queue->fd);
	pthread_mutex_destroy(&queue->lock);
}

void request_queue_put(struct request_queue *queue, struct admin_request *request)
{
	pthread_mutex_lock(&queue->lock);
	list_push_back(&queue->requests, &request->link);
	pthread_mutex_unlock(&queue->lock);
	request_queue_wake(queue);
}

struct admin_request *request_queue_take(struct request_queue *queue)
{
	struct list *link;

	pthread_mutex_lock(&queue->lock);
	link = list_pop_front(&queue->requests);
	pthread_mutex_unlock(&queue->lock);
	return link ? container_of(link, struct admin_request, link) : NULL;
}

void request_queue_wake(struct request_queue *queue)
{
	uint64_t one = 1;
	ssize_t written = write(queue->fd, &one, sizeof(one));

	(void)written; /* it is readable already if the counter is full */
}

void request_queue_quiet(struct request_queue *queue)
{
	uint64_t count;
	ssize_t got = read(queue->fd, &count, sizeof(count));

	(void)got;
}
