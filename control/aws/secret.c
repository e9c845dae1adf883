/* SPDX-License-Identifier: Apache-2.0
 *
 * Appending to memory that is wiped before it is freed. realloc(3) may leave a copy behind, so
 * growing is a fresh piece, a copy and a wipe.
 *
 * Failure mode: memory runs short; the text says so once, when it is taken.
 */
#include "control/aws/secret.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void secret_discard(struct secret_text *text)
{
	if (text->data)
		OPENSSL_cleanse(text->data, text->room);
	free(text->data);
	*text = (struct secret_text){.data = NULL};
}

static bool grow(struct secret_text *text, size_t more)
{
	size_t room = text->room ? text->room : 256;
	char *data;

	if (text->failed)
		return false;
	while (room - text->size <= more) /* one byte stays for the NUL */
		room *= 2;
	if (room == text->room)
		return true;
	data = malloc(room);
	if (!data) {
		text->failed = true;
		return false;
	}
	if (text->data) {
		memcpy(data, text->data, text->size);
		OPENSSL_cleanse(text->data, text->room);
		free(text->data);
	}
	text->data = data;
	text->room = room;
	return true;
}

void secret_add(struct secret_text *text, const void *bytes, size_t size)
{
	if (!grow(text, size))
		return;
	if (size)
		memcpy(text->data + text->size, bytes, size);
	text->size += size;
}

void secret_add_text(struct secret_text *text, const char *more)
{
	secret_add(text, more, strlen(more));
}

void secret_add_format(struct secret_text *text, const char *format, ...)
{
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size < 0 || !grow(text, (size_t)size))
		return;
	va_start(args, format);
	vsnprintf(text->data + text->size, (size_t)size + 1, format, args);
	va_end(args);
	text->size += (size_t)size;
}

static bool is_unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void secret_add_encoded(struct secret_text *text, const char *bytes, size_t size, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];
		char code[3] = {'%', digits[c >> 4], digits[c & 15]};

		if (is_unreserved((char)c) || (c && strchr(keep, c)))
			secret_add(text, &bytes[i], 1);
		else
			secret_add(text, code, sizeof(code));
	}
}

char *secret_take(struct secret_text *text)
{
	char *data = NULL;

	if (grow(text, 0)) {
		data = text->data;
		data[text->size] = '\0';
		text->data = NULL;
	}
	secret_discard(text);
	return data;
}

char *secret_cut(const char *bytes, size_t size)
{
	char *copy = malloc(size + 1);

	if (copy) {
		memcpy(copy, bytes, size);
		copy[size] = '\0';
	}
	return copy;
}

char *secret_copy(const char *text)
{
	return text ? secret_cut(text, strlen(text)) : NULL;
}

void secret_free(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}
