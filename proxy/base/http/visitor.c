/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to a door. Happy path: a request's headers come, then its body; it is routed and
 * read, and submitted; it is answered at once, or the connection is suspended until it is; the
 * answer is written, and the next request may come.
 *
 * Failure modes: headers, body or the reading of the answer take too long (cut off); too many
 * headers (431), too large a body (413), meant for somebody else (421); nobody answers in time
 * (503, and the request is freed when it comes back after all).
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/http/door.h"
#include "proxy/base/http/host.h"
#include "proxy/base/jot.h"

#define BODY_FIRST 4096

static const char out_of_memory[] = "{\"error\":\"out of memory\"}";
static const char no_answer[] = "{\"error\":\"the main thread does not answer\"}";

static void arm(struct visitor *visitor, uint64_t delay_ms)
{
	loop_arm(visitor->door->lobby->loop, &visitor->timer, delay_ms);
}

static void forget_body(struct visitor *visitor)
{
	visitor->door->lobby->body_bytes -= visitor->body_capacity;
	free(visitor->body);
	visitor->body = NULL;
	visitor->body_size = visitor->body_capacity = 0;
}

/* Too slow. The library hears of it as of any peer that left (shutdown(2) makes the socket
 * readable), and cleans up. */
static void on_late(struct timer *timer)
{
	struct visitor *visitor = container_of(timer, struct visitor, timer);

	if (visitor->away)
		visitor_give_up(visitor);
	else
		shutdown(visitor->fd, SHUT_RDWR);
}

/* The library looks for whom it may go on with when it is run, and does not ask for that. */
static void go_on(struct visitor *visitor)
{
	visitor->away = false;
	MHD_resume_connection(visitor->connection);
	loop_ready(visitor->door->lobby->loop, &visitor->door->again);
}

void visitor_give_up(struct visitor *visitor)
{
	visitor->request->visitor = NULL; /* freed when the desk gives it back */
	visitor->request = NULL;
	visitor->late = true;
	go_on(visitor);
}

void visitor_answered(struct request *request)
{
	struct visitor *visitor = request->visitor;

	if (!visitor) {
		request_free(request);
		return;
	}
	go_on(visitor);
}

static void begin_visit(struct door *door, struct MHD_Connection *connection,
			struct visitor *visitor)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	visitor->door = door;
	visitor->connection = connection;
	visitor->fd =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	visitor->uid = (uid_t)-1;
	if (door->kind == DOOR_SOCKET &&
	    !getsockopt(visitor->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		visitor->uid = peer.uid;
		visitor->pid = peer.pid;
	}
	timer_init(&visitor->timer, on_late);
	list_push_back(&door->lobby->visitors, &visitor->link);
	arm(visitor, DOOR_HEAD_MS);
}

void visitor_notify(void *door, struct MHD_Connection *connection, void **context,
		    enum MHD_ConnectionNotificationCode code)
{
	struct visitor *visitor = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		visitor = calloc(1, sizeof(*visitor));
		if (visitor)
			begin_visit(door, connection, visitor);
		*context = visitor;
	} else if (visitor) {
		timer_cancel(&visitor->timer);
		list_remove(&visitor->link);
		free(visitor);
		*context = NULL;
	}
}

static struct visitor *visitor_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

void visitor_completed(void *door, struct MHD_Connection *connection, void **marker,
		       enum MHD_RequestTerminationCode code)
{
	struct visitor *visitor = visitor_of(connection);

	if (!visitor)
		return;
	if (visitor->away)
		visitor->request->visitor = NULL;
	else
		request_free(visitor->request);
	visitor->request = NULL;
	visitor->away = visitor->late = false;
	visitor->served = true;
	forget_body(visitor);
	arm(visitor, DOOR_IDLE_MS);
}

/* --- answering --- */

/* A page may run what stands in it, and talk to us alone; anything else may do nothing at all. */
static bool add_policy(struct MHD_Response *response, const struct request *request)
{
	char policy[256] = "default-src 'none'; frame-ancestors 'none'";

	if (request && *request->nonce)
		snprintf(policy, sizeof(policy),
			 "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
			 "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
			 "frame-ancestors 'none'",
			 request->nonce, request->nonce);
	return MHD_add_response_header(response, "Content-Security-Policy", policy);
}

/* Nothing that is shown can be taken for something else, kept, or fetch anything. `request` may be
 * NULL. */
static bool add_headers(struct MHD_Response *response, const char *type,
			const struct request *request)
{
	bool ok = MHD_add_response_header(response, "Content-Type", type) &&
		  MHD_add_response_header(response, "Cache-Control", "no-store") &&
		  MHD_add_response_header(response, "Referrer-Policy", "no-referrer") &&
		  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") &&
		  MHD_add_response_header(response, "X-Frame-Options", "DENY") &&
		  add_policy(response, request);

	return ok && (!request || !request->allow ||
		      MHD_add_response_header(response, "Allow", request->allow));
}

static enum MHD_Result send_text(struct visitor *visitor, unsigned status, const char *type,
				 const struct request *request, char *text,
				 enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, mode);
	enum MHD_Result result = MHD_NO;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	if (atomic_load(&visitor->door->lobby->leaving))
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (add_headers(response, type, request))
		result = MHD_queue_response(visitor->connection, status, response);
	MHD_destroy_response(response);
	arm(visitor, DOOR_SEND_MS);
	return result;
}

static enum MHD_Result send_fixed(struct visitor *visitor, unsigned status, const char *text)
{
	return send_text(visitor, status, "application/json", NULL, (char *)text,
			 MHD_RESPMEM_PERSISTENT);
}

/* JSON is written down here, so that another thread need not. */
static enum MHD_Result send_answer(struct visitor *visitor)
{
	struct request *request = visitor->request;
	const char *type = request->type ? request->type : "application/json";
	char *text = request->text ? request->text : jot_dump(request->answer);

	if (!text)
		return send_fixed(visitor, MHD_HTTP_INTERNAL_SERVER_ERROR, out_of_memory);
	request->text = NULL;
	return send_text(visitor, (unsigned)request->status, type, request, text,
			 MHD_RESPMEM_MUST_FREE);
}

/* --- reading --- */

static enum MHD_Result add_argument(void *request, enum MHD_ValueKind kind, const char *name,
				    const char *value)
{
	return request_add_argument(request, name, value) ? MHD_YES : MHD_NO;
}

static void read_arguments(struct visitor *visitor)
{
	struct request *request = visitor->request;
	int count =
		MHD_get_connection_values(visitor->connection, MHD_GET_ARGUMENT_KIND, NULL, NULL);

	if (count > REQUEST_ARGUMENTS)
		request_refuse(request, 400, "at most %d arguments", REQUEST_ARGUMENTS);
	else if (MHD_get_connection_values(visitor->connection, MHD_GET_ARGUMENT_KIND, add_argument,
					   request) != count ||
		 (int)request->argument_count != count)
		request_reply(request, 500, NULL);
}

/* More than we read at all, as its length says. */
static bool is_too_large(struct visitor *visitor)
{
	const char *text = MHD_lookup_connection_value(visitor->connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text && strtoull(text, NULL, 10) > DOOR_BODY_MAX;
}

static void refuse_large(struct request *request)
{
	request_refuse(request, 413, "the body is larger than %u bytes", DOOR_BODY_MAX);
}

/* The headers are there. What can be said by now is said when the body is over, unless it is too
 * large to wait for. */
static enum MHD_Result begin_request(struct visitor *visitor, const char *method, const char *url)
{
	struct request *request = request_new(method, url);

	if (!request)
		return MHD_NO;
	visitor->request = request;
	request->visitor = visitor;
	request->local = visitor->door->kind == DOOR_SOCKET;
	request->uid = visitor->uid;
	request->pid = visitor->pid;
	arm(visitor, DOOR_BODY_MS);
	if (MHD_get_connection_values(visitor->connection, MHD_HEADER_KIND, NULL, NULL) >
	    DOOR_HEADERS)
		request_refuse(request, 431, "more than %d headers", DOOR_HEADERS);
	else if (visitor->door->kind == DOOR_HTTP && !host_fits(visitor->connection))
		request_refuse(
			request, 421,
			"the Host is not this address; ask for localhost, or for the address "
			"as a number");
	else if (is_too_large(visitor))
		refuse_large(request);
	else
		read_arguments(visitor);
	if (!request->status)
		visitor->door->lobby->route(visitor->door, request);
	return is_too_large(visitor) ? send_answer(visitor) : MHD_YES;
}

static bool grow(struct visitor *visitor, size_t needed)
{
	struct lobby *lobby = visitor->door->lobby;
	size_t capacity = visitor->body_capacity ? visitor->body_capacity : BODY_FIRST;
	char *grown;

	while (capacity < needed)
		capacity *= 2;
	if (lobby->body_bytes - visitor->body_capacity + capacity > DOOR_BODIES)
		return false;
	grown = realloc(visitor->body, capacity);
	if (!grown)
		return false;
	lobby->body_bytes += capacity - visitor->body_capacity;
	visitor->body = grown;
	visitor->body_capacity = capacity;
	return true;
}

/* What belongs to a request that is refused already is read and dropped, up to the same bound. */
static enum MHD_Result read_body(struct visitor *visitor, const char *data, size_t size)
{
	struct request *request = visitor->request;
	size_t needed = visitor->body_size + size;

	if (request->status) {
		visitor->body_size = needed;
		return needed > 2 * DOOR_BODY_MAX ? MHD_NO : MHD_YES;
	}
	if (needed > DOOR_BODY_MAX)
		refuse_large(request);
	else if (needed > visitor->body_capacity && !grow(visitor, needed))
		request_refuse(request, 503, "too many large requests at once");
	else
		memcpy(visitor->body + visitor->body_size, data, size);
	visitor->body_size = needed;
	return MHD_YES;
}

/* From submit() on the request may be somebody else's. */
static enum MHD_Result submit(struct visitor *visitor)
{
	uint64_t patience_ms = visitor->door->lobby->submit(visitor->door, visitor->request);

	if (!patience_ms)
		return send_answer(visitor);
	arm(visitor, patience_ms);
	visitor->away = true;
	MHD_suspend_connection(visitor->connection);
	return MHD_YES;
}

static enum MHD_Result end_request(struct visitor *visitor)
{
	struct request *request = visitor->request;

	if (!request->status)
		request_parse(request, visitor->body, visitor->body_size);
	if (request->status)
		return send_answer(visitor);
	forget_body(visitor);
	return submit(visitor);
}

enum MHD_Result visitor_handle(void *door, struct MHD_Connection *connection, const char *url,
			       const char *method, const char *version, const char *upload,
			       size_t *upload_size, void **marker)
{
	struct visitor *visitor = visitor_of(connection);

	if (!visitor)
		return MHD_NO;
	if (!*marker) {
		*marker = visitor;
		return begin_request(visitor, method, url);
	}
	if (visitor->late)
		return send_fixed(visitor, MHD_HTTP_SERVICE_UNAVAILABLE, no_answer);
	if (*upload_size) {
		size_t size = *upload_size;

		*upload_size = 0;
		return read_body(visitor, upload, size);
	}
	return end_request(visitor);
}
