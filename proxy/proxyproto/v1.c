/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads version 1, one line of text (section 2.1 of the specification).
 *
 * Happy path: the CRLF is there, the words between single spaces are two addresses and two ports
 * of the family that the first word names. Failure modes: no CRLF yet, none within the longest
 * line there can be, or words that are not exactly that; what follows UNKNOWN is ignored, as the
 * specification asks.
 */
#include <stdio.h>
#include <string.h>

#include "proxy/proxyproto/read.h"

#define WORDS 6 /* PROXY TCP4 source destination port port */

/* Cut at every space; the number of words, or WORDS + 1 when there are more. */
static int split(char *line, char *ret_words[WORDS])
{
	int count = 0;
	char *word;

	while ((word = strsep(&line, " "))) {
		if (count == WORDS)
			return WORDS + 1;
		ret_words[count++] = word;
	}
	return count;
}

/* addr_parse() is as strict as the specification, but for a zone, which has no meaning to us. */
static bool read_address(const char *host, const char *port, uint16_t family, struct addr *ret_addr)
{
	char text[PROXYPROTO_V1_MAX + 4];

	snprintf(text, sizeof(text), family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return !strchr(host, '%') && addr_parse(text, ret_addr) == 0 && ret_addr->family == family;
}

static bool read_words(char *words[WORDS], struct proxyproto *header)
{
	header->command = PROXYPROTO_PROXY;
	header->family = words[1][3] == '4' ? AF_INET : AF_INET6;
	return read_address(words[2], words[4], header->family, &header->source) &&
	       read_address(words[3], words[5], header->family, &header->destination);
}

static bool read_line(char *line, struct proxyproto *header)
{
	char *words[WORDS];
	int count = split(line, words);

	memset(header, 0, sizeof(*header));
	header->version = 1;
	header->command = PROXYPROTO_LOCAL;
	if (count < 2)
		return false;
	if (!strcmp(words[1], "UNKNOWN"))
		return true;
	return count == WORDS && (!strcmp(words[1], "TCP4") || !strcmp(words[1], "TCP6")) &&
	       read_words(words, header);
}

enum proxyproto_result proxyproto_read_v1(const uint8_t *bytes, size_t size,
					  struct proxyproto *header, size_t *ret_length,
					  const char **ret_error)
{
	size_t seen = size < PROXYPROTO_V1_MAX ? size : PROXYPROTO_V1_MAX;
	const uint8_t *end = memmem(bytes, seen, "\r\n", 2);
	char line[PROXYPROTO_V1_MAX];

	if (!end && size < PROXYPROTO_V1_MAX)
		return PROXYPROTO_NEED_MORE;
	if (!end) {
		*ret_error = "no CRLF within the longest line of version 1";
		return PROXYPROTO_BAD;
	}
	memcpy(line, bytes, (size_t)(end - bytes));
	line[end - bytes] = '\0';
	if (strlen(line) != (size_t)(end - bytes) || !read_line(line, header)) {
		*ret_error = "the line of version 1 is malformed";
		return PROXYPROTO_BAD;
	}
	*ret_length = (size_t)(end - bytes) + 2;
	return PROXYPROTO_OK;
}
