/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the reading of requests and the heads of answers. The happy path is: the head ends in an
 * empty line; its first line gives method, path and version; of the fields only Connection,
 * Content-Length and Transfer-Encoding matter.
 *
 * Failure modes: anything malformed is 400, a method other than GET and HEAD 405, a path that is
 * not there 404, a body without a length 411; after 400 and 411 the connection is not kept, since
 * nobody knows where the next request would begin.
 */
#include "proxy/demo/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A piece of the head, not NUL-ended. */
struct piece {
	const char *at;
	size_t len;
};

static bool is(struct piece piece, const char *text)
{
	return piece.len == strlen(text) && !strncasecmp(piece.at, text, piece.len);
}

/* Cuts off and returns what stands before `end`, or all there is. */
static struct piece cut(struct piece *rest, char end)
{
	const char *found = memchr(rest->at, end, rest->len);
	struct piece piece = {rest->at, found ? (size_t)(found - rest->at) : rest->len};
	size_t used = piece.len + (found != NULL);

	rest->at += used;
	rest->len -= used;
	return piece;
}

static struct piece trim(struct piece piece)
{
	while (piece.len && strchr(" \t\r", piece.at[piece.len - 1]))
		piece.len--;
	while (piece.len && strchr(" \t", *piece.at)) {
		piece.at++;
		piece.len--;
	}
	return piece;
}

static bool parse_number(struct piece digits, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (!digits.len || digits.len > 18)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.at[i] < '0' || digits.at[i] > '9')
			return false;
		number = number * 10 + (digits.at[i] - '0');
	}
	*ret_number = number;
	return true;
}

/* The length of the head with its empty line, 0 if that has not come yet. Bare line feeds count
 * as line ends (RFC 9112, section 2.2), since people type requests by hand. */
static size_t head_length(const char *data, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (data[i] == '\n' &&
		    (data[i - 1] == '\n' || (i > 1 && data[i - 1] == '\r' && data[i - 2] == '\n')))
			return i + 1;
	return 0;
}

static void refuse(struct http_request *request, int status)
{
	request->status = status;
	if (status == 400 || status == 411)
		request->keep_alive = false;
}

static void parse_path(struct piece path, struct http_request *request)
{
	static const char bulk[] = "/bytes/";
	size_t prefix = strlen(bulk);

	if (is(path, "/"))
		return;
	if (path.len <= prefix || memcmp(path.at, bulk, prefix)) {
		refuse(request, 404);
		return;
	}
	request->is_bulk =
		parse_number((struct piece){path.at + prefix, path.len - prefix}, &request->bytes);
	if (!request->is_bulk)
		refuse(request, 404);
}

static void parse_first_line(struct piece line, struct http_request *request)
{
	struct piece method = cut(&line, ' ');
	struct piece path = cut(&line, ' ');
	struct piece version = line;

	if (is(version, "HTTP/1.1"))
		request->keep_alive = true;
	else if (!is(version, "HTTP/1.0")) {
		refuse(request, 400);
		return;
	}
	request->wants_head = is(method, "HEAD");
	if (!request->wants_head && !is(method, "GET"))
		refuse(request, 405);
	else
		parse_path(path, request);
}

static void parse_field(struct piece line, struct http_request *request)
{
	struct piece name = cut(&line, ':');
	struct piece value = trim(line);

	if (is(name, "Connection") && is(value, "close"))
		request->keep_alive = false;
	else if (is(name, "Connection") && is(value, "keep-alive"))
		request->keep_alive = request->status != 400;
	else if (is(name, "Transfer-Encoding"))
		refuse(request, 411);
	else if (is(name, "Content-Length") && !parse_number(value, &request->body_length))
		refuse(request, 400);
}

bool http_parse(const char *data, size_t len, struct http_request *ret_request)
{
	struct http_request request = {.length = head_length(data, len), .status = 200};
	struct piece rest = {data, request.length};

	if (!request.length)
		return false;
	parse_first_line(trim(cut(&rest, '\n')), &request);
	while (rest.len && request.status != 400 && request.status != 411)
		parse_field(trim(cut(&rest, '\n')), &request);
	*ret_request = request;
	return true;
}

static const char *phrase(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 411:
		return "Length Required";
	default:
		return "Bad Request";
	}
}

int http_answer_head(const struct http_request *request, uint64_t body_length, char *buf,
		     size_t size)
{
	return snprintf(buf, size,
			"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %llu\r\n%s%s\r\n",
			request->status, phrase(request->status),
			request->is_bulk ? "application/octet-stream" : "text/plain",
			(unsigned long long)body_length,
			request->status == 405 ? "Allow: GET, HEAD\r\n" : "",
			request->keep_alive ? "" : "Connection: close\r\n");
}
