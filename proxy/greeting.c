/* SPDX-License-Identifier: Apache-2.0
 *
 * First bytes. Happy path: recv(MSG_PEEK) shows a whole header, it is taken from the socket's queue
 * to the byte, and what it said is kept. A queue that shows only a beginning is looked at again
 * when more has come.
 *
 * Failure modes: a malformed header, none where one is required, one that speaks of datagrams, a
 * peer that ends within it; no memory to keep it.
 */
#include "proxy/greeting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"
#include "proxy/base/sys.h"
#include "proxy/proxyproto.h"

_Static_assert(GREETING_BUFFER >= PROXYPROTO_READ_MAX, "every header can be seen whole");

static ssize_t receive(int fd, uint8_t *buffer, size_t size, int flags)
{
	ssize_t got;

	do
		got = SYS(RECV, recv(fd, buffer, size, flags | MSG_DONTWAIT));
	while (got < 0 && errno == EINTR);
	return got;
}

/* Take the header from the queue. An urgent mark within it can cut a recv() short. */
static bool consume(int fd, uint8_t *buffer, size_t length)
{
	while (length) {
		ssize_t got = receive(fd, buffer, length, 0);

		if (got <= 0)
			return false;
		length -= (size_t)got;
	}
	return true;
}

/* Copy a string behind what is there; where it went, or NULL for none. */
static const char *keep_text(const char *text, uint8_t **at)
{
	char *copy = (char *)*at;

	if (!text || !*text)
		return NULL;
	strcpy(copy, text);
	*at += strlen(text) + 1;
	return copy;
}

static void keep_addr(const struct addr *addr, uint8_t **at, struct addr *ret_addr)
{
	*ret_addr = *addr;
	if (addr->family == AF_UNIX)
		ret_addr->path = keep_text(addr->path, at);
}

static struct greeting *greeting_new(const struct proxyproto *header)
{
	size_t texts = strlen(header->vpce) + strlen(header->paths[0]) + strlen(header->paths[1]);
	struct greeting *greeting = malloc(sizeof(*greeting) + header->tlv_size + texts + 3);
	uint8_t *at;

	if (!greeting)
		return NULL;
	greeting->local = header->version == 2 && header->command == PROXYPROTO_LOCAL;
	greeting->tlv_size = header->tlv_size;
	memcpy(greeting->bytes, header->tlvs, header->tlv_size);
	at = greeting->bytes + header->tlv_size;
	greeting->vpce = keep_text(header->vpce, &at);
	keep_addr(&header->source, &at, &greeting->source);
	keep_addr(&header->destination, &at, &greeting->destination);
	return greeting;
}

struct greeting *greeting_remember(const struct addr *source, const struct addr *destination,
				   const char *vpce)
{
	struct proxyproto header = {.source = *source, .destination = *destination};

	snprintf(header.vpce, sizeof(header.vpce), "%s", vpce);
	return greeting_new(&header);
}

void greeting_free(struct greeting *greeting)
{
	free(greeting);
}

static enum greeting_result refuse(enum reason reason, const char *error,
				   struct greeting_found *found)
{
	found->reason = reason;
	found->error = error;
	return GREETING_REFUSE;
}

static enum greeting_result accept_header(int fd, const struct proxyproto *header, size_t length,
					  uint8_t *buffer, struct greeting_found *found)
{
	if (header->datagram)
		return refuse(REASON_PROXY_HEADER_BAD, "the header is about datagrams", found);
	found->greeting = greeting_new(header);
	if (!found->greeting)
		return refuse(REASON_NO_MEMORY, NULL, found);
	if (consume(fd, buffer, length))
		return GREETING_CONTINUE;
	greeting_free(found->greeting);
	found->greeting = NULL;
	return refuse(REASON_CLIENT_ABORT, NULL, found);
}

/* Without a header. */
static enum greeting_result without(enum proxy_accept mode, const char *error,
				    struct greeting_found *found)
{
	if (mode == PROXY_ACCEPT_REQUIRED)
		return refuse(REASON_PROXY_HEADER_BAD, error, found);
	return GREETING_CONTINUE;
}

/* Not a byte: not yet, or never. */
static enum greeting_result nothing_there(ssize_t got, enum proxy_accept mode,
					  struct greeting_found *found)
{
	if (got < 0 && errno == EAGAIN)
		return GREETING_NEED_MORE;
	if (got < 0)
		return refuse(REASON_CLIENT_ABORT, NULL, found);
	if (mode == PROXY_ACCEPT_REQUIRED)
		return refuse(REASON_CLIENT_FIN, NULL, found);
	return GREETING_CONTINUE; /* it may still want to listen */
}

enum greeting_result greeting_look(int fd, enum proxy_accept mode, bool ended,
				   uint8_t buffer[GREETING_BUFFER],
				   struct greeting_found *ret_found)
{
	struct proxyproto header;
	const char *error = NULL;
	size_t length = 0;
	ssize_t got = receive(fd, buffer, GREETING_BUFFER, MSG_PEEK);

	*ret_found = (struct greeting_found){0};
	if (got <= 0)
		return nothing_there(got, mode, ret_found);
	switch (proxyproto_read(buffer, (size_t)got, &header, &length, &error)) {
	case PROXYPROTO_NEED_MORE:
		if (ended)
			return without(mode, "the connection ends within the header", ret_found);
		ret_found->begun = true;
		return GREETING_NEED_MORE;
	case PROXYPROTO_NONE:
		return without(mode, "the first bytes are no header", ret_found);
	case PROXYPROTO_OK:
		return accept_header(fd, &header, length, buffer, ret_found);
	default:
		return refuse(REASON_PROXY_HEADER_BAD, error, ret_found);
	}
}
