/* SPDX-License-Identifier: Apache-2.0
 *
 * One request and its answer. Happy path: the headers come, then what body there is; the way is
 * found and the answer written, all in one turn of the loop.
 * Failure modes: a body over SERVE_BODY_MAX (413), one meant for somebody else (421), a method that
 * nobody has (405), changes that do not come by the socket (403).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "control/serve/internal.h"
#include "proxy/base/http/host.h"
#include "proxy/base/jot.h"

static const char out_of_memory[] = "{\"error\":\"out of memory\"}";

void exchange_reply(struct exchange *exchange, unsigned status, json_t *answer)
{
	exchange->status = answer ? status : MHD_HTTP_INTERNAL_SERVER_ERROR;
	exchange->answer = answer;
}

void exchange_refuse(struct exchange *exchange, unsigned status, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	exchange_reply(exchange, status, JOT({"error", jot_text(text)}));
}

const char *exchange_who(const struct exchange *exchange, char *buf)
{
	int fd = MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			 ->connect_fd;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		snprintf(buf, 64, "somebody");
	else
		snprintf(buf, 64, "uid %u, pid %d", peer.uid, peer.pid);
	return buf;
}

static bool cut_url(struct exchange *exchange, const char *url)
{
	char *rest;

	exchange->url = strdup(url);
	if (!exchange->url)
		return false;
	for (char *word = strtok_r(exchange->url, "/", &rest); word;
	     word = strtok_r(NULL, "/", &rest)) {
		if (exchange->count < SERVE_SEGMENTS)
			exchange->segments[exchange->count] = word;
		exchange->count++;
	}
	return true;
}

static void check(struct exchange *exchange, const char *method)
{
	if (exchange->door->kind == SERVE_HTTP && !host_fits(exchange->connection))
		exchange_refuse(exchange, 421,
				"the Host is not this address; ask for localhost, or for the "
				"address as a number");
	else if (!strcmp(method, MHD_HTTP_METHOD_POST))
		exchange->post = true;
	else if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		exchange_refuse(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST");
	if (!exchange->status && exchange->post && exchange->door->kind != SERVE_SOCKET)
		exchange_refuse(exchange, MHD_HTTP_FORBIDDEN,
				"changes are taken on the Unix socket alone (control.socket)");
}

static struct exchange *begin(const struct serve_door *door, struct MHD_Connection *connection,
			      const char *url, const char *method)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->door = door;
	exchange->connection = connection;
	if (!cut_url(exchange, url)) {
		free(exchange);
		return NULL;
	}
	check(exchange, method);
	return exchange;
}

/* What belongs to a request that is refused already is read and dropped. */
static void read_body(struct exchange *exchange, const char *data, size_t size)
{
	if (exchange->status)
		return;
	if (exchange->body_size + size > sizeof(exchange->body)) {
		exchange_refuse(exchange, 413, "the body is larger than %d bytes", SERVE_BODY_MAX);
		return;
	}
	memcpy(exchange->body + exchange->body_size, data, size);
	exchange->body_size += size;
}

/* Nothing that is shown can be taken for something else, kept, or fetch anything. */
static bool add_headers(struct MHD_Response *response, const char *type)
{
	return MHD_add_response_header(response, "Content-Type", type) &&
	       MHD_add_response_header(response, "Cache-Control", "no-store") &&
	       MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") &&
	       MHD_add_response_header(response, "Content-Security-Policy",
				       "default-src 'none'; frame-ancestors 'none'");
}

static enum MHD_Result send_text(struct exchange *exchange, unsigned status, const char *type,
				 char *text, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, mode);
	enum MHD_Result result = MHD_NO;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	if (add_headers(response, type))
		result = MHD_queue_response(exchange->connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
	const char *type = exchange->text ? "text/plain; version=0.0.4" : "application/json";
	char *text = exchange->text ? exchange->text : jot_dump(exchange->answer);

	exchange->text = NULL;
	if (!text)
		return send_text(exchange, 500, type, (char *)out_of_memory,
				 MHD_RESPMEM_PERSISTENT);
	return send_text(exchange, exchange->status, type, text, MHD_RESPMEM_MUST_FREE);
}

enum MHD_Result exchange_handle(void *door, struct MHD_Connection *connection, const char *url,
				const char *method, const char *version, const char *upload,
				size_t *upload_size, void **marker)
{
	struct exchange *exchange = *marker;

	if (!exchange) {
		*marker = begin(door, connection, url, method);
		return *marker ? MHD_YES : MHD_NO;
	}
	if (*upload_size) {
		read_body(exchange, upload, *upload_size);
		*upload_size = 0;
		return MHD_YES;
	}
	if (!exchange->status)
		route(exchange);
	return send_answer(exchange);
}

void exchange_completed(void *door, struct MHD_Connection *connection, void **marker,
			enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *marker;

	if (!exchange)
		return;
	json_decref(exchange->answer);
	free(exchange->text);
	free(exchange->url);
	free(exchange);
	*marker = NULL;
}
