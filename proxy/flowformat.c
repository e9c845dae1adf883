/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns what a flow-log line looks like. The happy path is: one table names every field and says
 * where in the record it is and how it prints; both formats walk that table and differ only in what
 * they put around a value.
 *
 * It runs once per session beside the workers, so numbers are written by hand instead of through
 * printf(3). Failure modes: a value with bytes that would break the line is escaped as in JSON
 * (text quotes it then), bytes that are not UTF-8 become U+FFFD, an overlong one is cut; a line
 * that does not fit `size` gives 0, which no record does in FLOW_LINE_MAX.
 */
#include <stddef.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/timestamp.h"
#include "proxy/flowlog.h"

/* Of one value, escapes included; keeps the sum of all fields below FLOW_LINE_MAX. */
#define VALUE_MAX 150

enum field_kind {
	FIELD_TIME,
	FIELD_U64,
	FIELD_U32,
	FIELD_U8,
	FIELD_NAME, /* char[] */
	FIELD_ADDR,
	FIELD_MS,     /* uint64_t in microseconds */
	FIELD_OFFSET, /* uint32_t in microseconds, 0 if it never happened */
	FIELD_RELAY,
	FIELD_REASON,
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t at; /* offset in struct flow_record */
};

#define AT(member) offsetof(struct flow_record, member)

static const struct field fields[] = {
	{"time", FIELD_TIME, AT(accepted_wall_us)},
	{"id", FIELD_U64, AT(id)},
	{"listener", FIELD_NAME, AT(listener)},
	{"pool", FIELD_NAME, AT(pool)},
	{"target", FIELD_NAME, AT(target)},
	{"client", FIELD_ADDR, AT(client.peer)},
	{"client_local", FIELD_ADDR, AT(client.local)},
	{"proxy_source", FIELD_ADDR, AT(proxy_source)},
	{"proxy_destination", FIELD_ADDR, AT(proxy_destination)},
	{"vpce", FIELD_NAME, AT(vpce)},
	{"backend_local", FIELD_ADDR, AT(backend.local)},
	{"backend", FIELD_ADDR, AT(backend.peer)},
	{"connect_ms", FIELD_OFFSET, AT(connect_us)},
	{"client_first_ms", FIELD_OFFSET, AT(client_first_us)},
	{"backend_first_ms", FIELD_OFFSET, AT(backend_first_us)},
	{"duration_ms", FIELD_MS, AT(duration_us)},
	{"client_bytes", FIELD_U64, AT(client_bytes)},
	{"backend_bytes", FIELD_U64, AT(backend_bytes)},
	{"relay", FIELD_RELAY, 0},
	{"spliced_bytes", FIELD_U64, AT(spliced_bytes)},
	{"retries", FIELD_U8, AT(retries)},
	{"client_rtt_us", FIELD_U32, AT(client.rtt_us)},
	{"client_retransmits", FIELD_U32, AT(client.retransmits)},
	{"client_rate", FIELD_U64, AT(client.delivery_rate)},
	{"backend_rtt_us", FIELD_U32, AT(backend.rtt_us)},
	{"backend_retransmits", FIELD_U32, AT(backend.retransmits)},
	{"backend_rate", FIELD_U64, AT(backend.delivery_rate)},
	{"worker", FIELD_U32, AT(worker)},
	{"reason", FIELD_REASON, AT(reason)},
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

struct line {
	char *buf;
	size_t size;
	size_t len;
	bool json;
	bool cut; /* something did not fit */
};

static void put_bytes(struct line *line, const char *bytes, size_t len)
{
	if (line->cut || len > line->size - line->len) {
		line->cut = true;
		return;
	}
	memcpy(line->buf + line->len, bytes, len);
	line->len += len;
}

static void put_text(struct line *line, const char *text)
{
	put_bytes(line, text, strlen(text));
}

static void put_number(struct line *line, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = '0' + value % 10;
		value /= 10;
	} while (value);
	put_bytes(line, digits + at, sizeof(digits) - at);
}

static void put_ms(struct line *line, uint64_t us)
{
	uint32_t rest = us % US_PER_MS;
	char decimals[4] = {'.', '0' + rest / 100, '0' + rest / 10 % 10, '0' + rest % 10};

	put_number(line, us / US_PER_MS);
	put_bytes(line, decimals, sizeof(decimals));
}

static void put_absent(struct line *line)
{
	put_text(line, line->json ? "null" : "-");
}

/* The length of the UTF-8 sequence at `text`, or 0 if it is not one. Overlong forms and surrogates
 * are refused by the bounds on the second byte (RFC 3629, section 4). */
static size_t utf8_length(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		len = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		len = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		len = 4;
	else
		return text[0] && text[0] < 0x80;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (text[i] < 0x80 || text[i] > 0xbf)
			return 0;
	return len;
}

/* One character of `text` as JSON wants it, into `piece` of at least 6 bytes. Returns its length
 * and moves `text` past it. */
static size_t escape(const unsigned char **text, char *piece)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *at = *text;
	size_t len = utf8_length(at);

	*text = at + (len ? len : 1);
	if (!len) {
		memcpy(piece, "\xef\xbf\xbd", 3); /* U+FFFD */
		return 3;
	}
	if (*at == '"' || *at == '\\') {
		piece[0] = '\\';
		piece[1] = *at;
		return 2;
	}
	if (*at < 0x20 || *at == 0x7f) {
		memcpy(piece, "\\u00", 4);
		piece[4] = hex[*at >> 4];
		piece[5] = hex[*at & 15];
		return 6;
	}
	memcpy(piece, at, len);
	return len;
}

static void put_quoted(struct line *line, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = VALUE_MAX;
	char piece[6];

	put_text(line, "\"");
	while (*at) {
		size_t len = escape(&at, piece);

		if (len > left)
			break;
		left -= len;
		put_bytes(line, piece, len);
	}
	put_text(line, "\"");
}

/* Whether `text` can stand in a key=value line without quotes. */
static bool is_plain(const char *text)
{
	size_t len = 0;

	for (; text[len]; len++)
		if (text[len] <= ' ' || text[len] >= 0x7f || text[len] == '"' || text[len] == '\\')
			return false;
	return len <= VALUE_MAX;
}

static void put_string(struct line *line, const char *text)
{
	if (!*text)
		put_absent(line);
	else if (line->json || !is_plain(text))
		put_quoted(line, text);
	else
		put_text(line, text);
}

static void put_addr(struct line *line, const struct addr *addr)
{
	char text[ADDR_TEXT];

	if (addr->family)
		put_string(line, addr_format(addr, text));
	else
		put_absent(line);
}

static const char *relay_name(const struct flow_record *record)
{
	if (record->offloaded_bytes)
		return record->joined ? "sockmap" : "flow";
	if (!record->spliced_bytes)
		return "copy";
	return record->spliced_bytes < record->client_bytes + record->backend_bytes ? "mixed"
										    : "splice";
}

static void put_offset(struct line *line, uint32_t us)
{
	if (us)
		put_ms(line, us);
	else
		put_absent(line);
}

static void put_value(struct line *line, const struct field *field,
		      const struct flow_record *record)
{
	const void *value = (const char *)record + field->at;
	char time[TIMESTAMP_TEXT];

	switch (field->kind) {
	case FIELD_TIME:
		return put_string(line, timestamp_format(*(const uint64_t *)value, time));
	case FIELD_U64:
		return put_number(line, *(const uint64_t *)value);
	case FIELD_U32:
		return put_number(line, *(const uint32_t *)value);
	case FIELD_U8:
		return put_number(line, *(const uint8_t *)value);
	case FIELD_NAME:
		return put_string(line, value);
	case FIELD_ADDR:
		return put_addr(line, value);
	case FIELD_MS:
		return put_ms(line, *(const uint64_t *)value);
	case FIELD_OFFSET:
		return put_offset(line, *(const uint32_t *)value);
	case FIELD_RELAY:
		return put_string(line, relay_name(record));
	case FIELD_REASON:
		return put_string(line, reason_names[record->reason]);
	}
}

static int finish(struct line *line, const char *end)
{
	put_text(line, end);
	return line->cut ? 0 : (int)line->len;
}

int flow_format_text(const struct flow_record *record, char *buf, int size)
{
	struct line line = {.buf = buf, .size = size};

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		put_text(&line, i ? " " : "");
		put_text(&line, fields[i].name);
		put_text(&line, "=");
		put_value(&line, &fields[i], record);
	}
	return finish(&line, "\n");
}

int flow_format_json(const struct flow_record *record, char *buf, int size)
{
	struct line line = {.buf = buf, .size = size, .json = true};

	for (size_t i = 0; i < FIELD_COUNT; i++) {
		put_text(&line, i ? ",\"" : "{\"");
		put_text(&line, fields[i].name);
		put_text(&line, "\":");
		put_value(&line, &fields[i], record);
	}
	return finish(&line, "}\n");
}
