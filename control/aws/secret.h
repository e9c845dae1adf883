/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that may hold a secret: built by appending, wiped whenever their memory is given back,
 * also when a longer piece of memory takes their place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct secret_text {
	char *data; /* NULL while empty */
	size_t size;
	size_t room;
	bool failed; /* memory ran short; what follows is not added */
};

void secret_add(struct secret_text *text, const void *bytes, size_t size);
void secret_add_text(struct secret_text *text, const char *more);
void secret_add_format(struct secret_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Percent-encoded, except for A-Z a-z 0-9 - . _ ~ and the characters of `keep`. */
void secret_add_encoded(struct secret_text *text, const char *bytes, size_t size, const char *keep);

/* What was built, with a NUL behind it, to be given to secret_free(); NULL if memory ran short. The
 * text is empty again either way. */
char *secret_take(struct secret_text *text);
void secret_discard(struct secret_text *text);

char *secret_copy(const char *text);              /* NULL for NULL, or without memory */
char *secret_cut(const char *bytes, size_t size); /* a copy of so many bytes */
void secret_free(char *text);                     /* wiped as far as its NUL; accepts NULL */
