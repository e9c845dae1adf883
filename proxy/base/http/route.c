/* SPDX-License-Identifier: Apache-2.0
 *
 * From a request line and a body to what is asked for. Happy path: the path is cut at its slashes
 * and only then decoded (RFC 3986, section 2.4), so that a target's name may hold one; the route is
 * found, its arguments are those it knows, the body is one JSON object.
 *
 * Failure modes, each with a sentence that says where: a path that is no text (400) or leads
 * nowhere (404), a method that it does not have (405), a change asked for where only reading is
 * allowed (403), an argument that is unknown or twice there, a body that is no JSON object.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/http/request.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. False where a `%` has no two digits, or stands for NUL. */
static bool decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		int high, low;

		if (*text != '%') {
			*out++ = *text;
			continue;
		}
		high = hex_value(text[1]);
		low = high < 0 ? -1 : hex_value(text[2]);
		if (low < 0 || (!high && !low))
			return false;
		*out++ = (char)(high << 4 | low);
		text += 2;
	}
	*out = '\0';
	return true;
}

static bool is_utf8(const char *text)
{
	json_t *string = json_string(text);

	json_decref(string);
	return string;
}

/* Cut and decode the path. False if it is no text, or too deep to lead anywhere. */
static bool split_path(struct request *request)
{
	char *segment = request->decoded;

	if (*segment++ != '/')
		return false;
	while (segment) {
		char *next = strchr(segment, '/');

		if (next)
			*next++ = '\0';
		if (request->segment_count == REQUEST_SEGMENTS || !decode(segment) ||
		    !is_utf8(segment))
			return false;
		request->segments[request->segment_count++] = segment;
		segment = next;
	}
	return true;
}

static bool matches(const struct route *route, const struct request *request)
{
	const char *at = route->pattern;

	for (unsigned i = 0; i < request->segment_count; i++) {
		const char *segment = request->segments[i];
		size_t len;

		if (*at++ != '/')
			return false;
		len = strcspn(at, "/");
		if (len == 1 && *at == '*'
			    ? !*segment
			    : strlen(segment) != len || memcmp(segment, at, len) != 0)
			return false;
		at += len;
	}
	return !*at;
}

/* For the Allow header: what the path has methods for, as a set of bits. */
static const char *allow_text(unsigned methods)
{
	static const char *const texts[1 << METHODS] = {
		[1 << METHOD_GET] = "GET, HEAD",
		[1 << METHOD_POST] = "POST",
		[1 << METHOD_DELETE] = "DELETE",
		[1 << METHOD_GET | 1 << METHOD_PATCH] = "GET, HEAD, PATCH",
		[1 << METHOD_PUT | 1 << METHOD_DELETE] = "PUT, DELETE",
		[1 << METHOD_POST | 1 << METHOD_DELETE] = "POST, DELETE",
		[1 << METHOD_PATCH | 1 << METHOD_DELETE] = "PATCH, DELETE",
	};

	return texts[methods];
}

static const struct route *find_route(struct request *request, const struct route *routes,
				      size_t count)
{
	unsigned others = 0;

	for (size_t i = 0; i < count; i++) {
		if (!matches(&routes[i], request))
			continue;
		if (routes[i].method == request->method)
			return &routes[i];
		others |= 1u << routes[i].method;
	}
	if (!others) {
		request_refuse(request, 404, "there is nothing at %s", request->path);
		return NULL;
	}
	request->allow = allow_text(others);
	request_refuse(request, 405, "%s takes %s only", request->path, request->allow);
	return NULL;
}

/* Whether `name` is among words with blanks between. */
static bool is_word_of(const char *words, const char *name)
{
	size_t len = strlen(name);

	while (words && *words) {
		size_t word = strcspn(words, " ");

		if (len && word == len && !memcmp(words, name, len))
			return true;
		words += word + (words[word] == ' ');
	}
	return false;
}

static bool check_argument(struct request *request, unsigned index)
{
	struct request_argument *argument = &request->arguments[index];

	if (!decode(argument->name) || !decode(argument->value) || !is_utf8(argument->name) ||
	    !is_utf8(argument->value)) {
		request_refuse(request, 400, "argument %u behind the ? is not UTF-8 in %%XX form",
			       index + 1);
		return false;
	}
	if (!is_word_of(request->route->arguments, argument->name)) {
		request_refuse(request, 400, "%s takes no argument \"%s\"", request->path,
			       argument->name);
		return false;
	}
	for (unsigned i = 0; i < index; i++)
		if (!strcmp(request->arguments[i].name, argument->name)) {
			request_refuse(request, 400, "argument \"%s\" is given twice",
				       argument->name);
			return false;
		}
	return true;
}

bool request_route(struct request *request, const struct route *routes, size_t count)
{
	request->decoded = strdup(request->path);
	if (!request->decoded) {
		request_reply(request, 500, NULL);
		return false;
	}
	if (!split_path(request)) {
		request_refuse(request, 400, "the path is not UTF-8 in %%XX form, or too deep");
		return false;
	}
	request->route = find_route(request, routes, count);
	if (!request->route)
		return false;
	if (!request->local && request->method != METHOD_GET) {
		request_refuse(request, 403,
			       "this address only answers GET; changes go through the Unix socket");
		return false;
	}
	for (unsigned i = 0; i < request->argument_count; i++)
		if (!check_argument(request, i))
			return false;
	return true;
}

const char *request_argument(const struct request *request, const char *name)
{
	for (unsigned i = 0; i < request->argument_count; i++)
		if (!strcmp(request->arguments[i].name, name))
			return request->arguments[i].value;
	return NULL;
}

bool request_number(struct request *request, const char *name, uint64_t fallback, uint64_t max,
		    uint64_t *ret_number)
{
	const char *text = request_argument(request, name);
	unsigned long long number;
	char *end;

	if (!text) {
		*ret_number = fallback;
		return true;
	}
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number > max) {
		request_refuse(request, 400, "argument \"%s\" must be a number from 0 to %llu",
			       name, (unsigned long long)max);
		return false;
	}
	*ret_number = number;
	return true;
}

bool request_flag(struct request *request, const char *name, bool *ret_flag)
{
	uint64_t number;

	if (!request_number(request, name, 0, 1, &number))
		return false;
	*ret_flag = number;
	return true;
}

/* Jansson's sentence begins with a capital or not, and says nothing of the place. */
static void refuse_json(struct request *request, const json_error_t *error)
{
	request_refuse(request, 400, "the body is no JSON: line %d, column %d: %s", error->line,
		       error->column, error->text);
}

bool request_parse(struct request *request, const char *text, size_t size)
{
	json_error_t error;

	if (!size)
		return true;
	if (!(request->route->flags & ROUTE_BODY)) {
		request_refuse(request, 400, "%s %s takes no body",
			       request_method_names[request->method], request->path);
		return false;
	}
	request->body = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!request->body) {
		refuse_json(request, &error);
		return false;
	}
	if (json_is_object(request->body))
		return true;
	request_refuse(request, 400, "the body must be a JSON object, { ... }");
	return false;
}
