/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the buffer that metrics are written into. Happy path: there is room, and bytes are copied;
 * now and then the buffer doubles. Failure mode: it cannot, then the text is lost as a whole.
 */
#include "proxy/base/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE  65536
#define NUMBER_TEXT 24 /* digits of an uint64_t, and those of %.12g */

/* Room for `more` bytes and an end; NULL without memory. */
static char *room(struct exposition *out, size_t more)
{
	size_t capacity = out->capacity ? out->capacity : FIRST_SIZE;
	char *text;

	if (out->failed)
		return NULL;
	while (capacity < out->size + more + 1)
		capacity *= 2;
	if (capacity == out->capacity)
		return out->text + out->size;
	text = realloc(out->text, capacity);
	out->failed = !text;
	if (!text)
		return NULL;
	out->text = text;
	out->capacity = capacity;
	return out->text + out->size;
}

static void put(struct exposition *out, const char *text, size_t size)
{
	char *to = room(out, size);

	if (!to)
		return;
	memcpy(to, text, size);
	out->size += size;
}

static void put_text(struct exposition *out, const char *text)
{
	put(out, text, strlen(text));
}

/* snprintf(3) takes most of the time there is, for 100,000 samples. */
static void put_number(struct exposition *out, uint64_t value)
{
	char digits[NUMBER_TEXT];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + value % 10);
	while (value /= 10);
	put(out, digits + at, sizeof(digits) - at);
}

void exposition_metric(struct exposition *out, const char *name, const char *type, const char *help)
{
	const char *const parts[] = {"# HELP ", name, " ",  help, "\n# TYPE ",
				     name,      " ",  type, "\n"};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		put_text(out, parts[i]);
	out->name = name;
}

void exposition_sample(struct exposition *out, const char *suffix)
{
	put_text(out, out->name);
	put_text(out, suffix);
	out->labelled = false;
}

static void open_label(struct exposition *out, const char *name)
{
	put(out, out->labelled ? "," : "{", 1);
	out->labelled = true;
	put_text(out, name);
	put(out, "=\"", 2);
}

static bool is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '\\' && byte != '"';
}

/* What is not printable ASCII (the path of a Unix socket may be any bytes) is shown by its number,
 * so that the text is UTF-8 whatever it says. */
static void put_escaped(struct exposition *out, unsigned char byte)
{
	char text[8];

	if (byte == '\\' || byte == '"')
		snprintf(text, sizeof(text), "\\%c", byte);
	else if (byte == '\n')
		snprintf(text, sizeof(text), "\\n");
	else
		snprintf(text, sizeof(text), "\\\\x%02x", byte);
	put_text(out, text);
}

void exposition_label(struct exposition *out, const char *name, const char *value)
{
	open_label(out, name);
	while (*value) {
		size_t plain = 0;

		while (is_plain((unsigned char)value[plain]))
			plain++;
		put(out, value, plain);
		value += plain;
		if (*value)
			put_escaped(out, (unsigned char)*value++);
	}
	put(out, "\"", 1);
}

void exposition_label_number(struct exposition *out, const char *name, uint64_t value)
{
	open_label(out, name);
	put_number(out, value);
	put(out, "\"", 1);
}

void exposition_label_real(struct exposition *out, const char *name, double value)
{
	char text[NUMBER_TEXT];

	snprintf(text, sizeof(text), "%.12g", value);
	exposition_label(out, name, text);
}

void exposition_labels_begin(struct exposition *labels)
{
	labels->labelled = false;
}

void exposition_labels(struct exposition *out, const char *labels, size_t size)
{
	put(out, labels, size);
	out->labelled = true;
}

static void close_labels(struct exposition *out)
{
	if (out->labelled)
		put(out, "} ", 2);
	else
		put(out, " ", 1);
}

void exposition_integer(struct exposition *out, uint64_t value)
{
	close_labels(out);
	put_number(out, value);
	put(out, "\n", 1);
}

void exposition_real(struct exposition *out, double value)
{
	char text[NUMBER_TEXT];

	close_labels(out);
	snprintf(text, sizeof(text), "%.12g\n", value);
	put_text(out, text);
}

void exposition_single(struct exposition *out, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	exposition_metric(out, name, type, help);
	exposition_sample(out, "");
	exposition_integer(out, value);
}

char *exposition_take(struct exposition *out)
{
	char *end = room(out, 0);
	char *text = out->text;

	*out = (struct exposition){0};
	if (!end) {
		free(text);
		return NULL;
	}
	*end = '\0';
	return text;
}
