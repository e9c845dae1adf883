/* SPDX-License-Identifier: Apache-2.0
 *
 * PROXY headers put together byte by byte, so that neither direction's code is tested by the other.
 */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxyproto.h"

/* A version 2 header in the making. */
struct made {
	uint8_t bytes[70000];
	size_t len;
};

/* `command` is the 13th byte, `family` the 14th. */
static inline void make_fixed(struct made *made, uint8_t command, uint8_t family)
{
	memcpy(made->bytes, "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a", 12);
	made->bytes[12] = command;
	made->bytes[13] = family;
	made->bytes[14] = made->bytes[15] = 0;
	made->len = 16;
}

/* Append, and say so in the length. */
static inline void make_add(struct made *made, const void *bytes, size_t size)
{
	memcpy(made->bytes + made->len, bytes, size);
	made->len += size;
	made->bytes[14] = (uint8_t)((made->len - 16) >> 8);
	made->bytes[15] = (uint8_t)(made->len - 16);
}

static inline void make_tlv(struct made *made, uint8_t type, const void *value, size_t size)
{
	uint8_t head[3] = {type, (uint8_t)(size >> 8), (uint8_t)size};

	make_add(made, head, sizeof(head));
	make_add(made, value, size);
}

/* 192.0.2.1:1025 to 198.51.100.2:443 */
static inline void make_tcp4(struct made *made)
{
	make_fixed(made, 0x21, 0x11);
	make_add(made, "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\x01\x01\xbb", 12);
}

static struct proxyproto header;
static size_t length;
static const char *error;

/* Read exactly these bytes, copied so that a sanitizer sees a read behind them. */
static inline enum proxyproto_result read_bytes(const void *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	enum proxyproto_result result;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, size);
	length = 0;
	error = NULL;
	result = proxyproto_read(copy, size, &header, &length, &error);
	ck_assert_int_eq(result == PROXYPROTO_BAD, error != NULL);
	ck_assert_int_eq(result == PROXYPROTO_OK, length != 0);
	free(copy);
	return result;
}

static inline enum proxyproto_result read_made(const struct made *made)
{
	return read_bytes(made->bytes, made->len);
}

static inline enum proxyproto_result read_text(const char *text)
{
	return read_bytes(text, strlen(text));
}

static inline void expect_addr(const struct addr *addr, const char *text)
{
	char buf[ADDR_TEXT];

	ck_assert_str_eq(addr_format(addr, buf), text);
}
