/* SPDX-License-Identifier: Apache-2.0
 *
 * How servers are checked: `option httpchk` and its kin, `http-check` and `tcp-check` lines.
 *
 * HAProxy runs a script of sends and expectations, one after the other. Sluice sends once and looks
 * for one thing in the answer. So what is sent is joined, and of what is expected the longest is
 * kept, which is what tells a master from a replica, or an answer from a banner; the others are
 * noted. Where the server speaks first, it alone is listened to.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "control/ctl/haproxy/parse.h"

#define PLAIN "Sluice has no such check; it connects"

static struct hap_bytes bytes_of(const char *text)
{
	return (struct hap_bytes){(const uint8_t *)text, strlen(text)};
}

static void set_kind(struct hap_section *section, const struct hap_line *line,
		     enum hap_check_kind kind)
{
	/* The rules of the defaults are not added to, they are replaced. */
	if (section->check.line && section->check.line->section != section)
		section->check = (struct hap_check){0};
	section->check.kind = kind;
	section->check.line = line;
}

void hap_take_tls_check(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	set_kind(section, line, HAP_CHECK_TLS);
}

void hap_take_script_check(struct hap *hap, struct hap_section *section,
			   const struct hap_line *line)
{
	set_kind(section, line, HAP_CHECK_SCRIPT);
}

void hap_take_plain_check(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	section->check = (struct hap_check){.kind = HAP_CHECK_TCP, .line = line};
	hap_note(hap, line, HAP_LOST, "%s", PLAIN);
}

static void set_script(struct hap_section *section, const struct hap_line *line,
		       struct hap_bytes send, struct hap_bytes expect)
{
	section->check = (struct hap_check){.kind = HAP_CHECK_SCRIPT,
					    .line = line,
					    .send = send,
					    .expect = expect,
					    .expect_line = line};
}

void hap_take_redis_check(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	set_script(section, line, bytes_of("*1\r\n$4\r\nPING\r\n"), bytes_of("+PONG"));
}

void hap_take_smtp_check(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	set_script(section, line, (struct hap_bytes){0}, bytes_of("220 "));
	hap_note(hap, line, HAP_NOTE, "Sluice waits for the greeting and says no HELO");
}

/* The startup message of protocol 3.0: its length, the version, `user` and its name. Any request
 * for authentication has four bytes of length behind its R, the first two of which are 0. */
void hap_take_pgsql_check(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	const char *user = hap_word(line, 3);
	size_t len = 8 + strlen("user") + 1 + strlen(user) + 2;
	uint8_t *message = hap_alloc(&hap->arena, len);

	message[2] = (uint8_t)(len >> 8);
	message[3] = (uint8_t)len;
	message[5] = 3;
	memcpy(message + 8, "user", strlen("user"));
	memcpy(message + 13, user, strlen(user));
	set_script(section, line, (struct hap_bytes){message, len},
		   (struct hap_bytes){(const uint8_t *)"R\0", 3});
}

/* --- HTTP --- */

/* The value of a Host header among lines that follow the version, or NULL. */
static const char *find_host(struct hap *hap, const char *lines)
{
	const char *at = strcasestr(lines, "\nhost:");

	if (!at)
		return NULL;
	at += strlen("\nhost:");
	at += strspn(at, " \t");
	return hap_copy(&hap->arena, at, strcspn(at, "\r\n"));
}

/* option httpchk [[METHOD] URI [VERSION]] */
void hap_take_httpchk(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	struct hap_check *check = &section->check;
	bool has_method = line->count > 3;

	set_kind(section, line, HAP_CHECK_HTTP);
	check->method = has_method ? line->words[2] : "OPTIONS";
	check->path = line->count > 2 ? hap_word(line, has_method ? 3 : 2) : "/";
	check->host = find_host(hap, hap_word(line, 4));
}

static void take_http_send(struct hap *hap, struct hap_check *check, const struct hap_line *line)
{
	for (unsigned i = 2; i < line->count; i += 2) {
		const char *name = line->words[i], *value = hap_word(line, i + 1);

		if (strcmp(name, "meth") == 0) {
			check->method = value;
		} else if (strcmp(name, "uri") == 0) {
			check->path = value;
		} else if (strcmp(name, "hdr") == 0) {
			if (strcasecmp(value, "host") == 0)
				check->host = hap_word(line, i + 2);
			else
				hap_note(hap, line, HAP_LOST, "Sluice sends no header but Host");
			i++;
		} else if (strcmp(name, "ver") != 0) {
			hap_note(hap, line, HAP_LOST, "\"%s\": not in Sluice's request", name);
		}
	}
}

static void take_http_expect(struct hap *hap, struct hap_check *check, const struct hap_line *line)
{
	unsigned i = 2;

	while (strcmp(hap_word(line, i), "min-recv") == 0 ||
	       strcmp(hap_word(line, i), "comment") == 0)
		i += 2;
	if (strcmp(hap_word(line, i), "status") == 0) {
		check->status = hap_word(line, i + 1);
		check->expect_line = line;
	} else {
		hap_note(hap, line, HAP_LOST, "Sluice looks at the status alone");
	}
}

static void take_connect(struct hap *hap, struct hap_check *check, const struct hap_line *line)
{
	for (unsigned i = 2; i < line->count; i++) {
		const char *word = line->words[i];

		if (strcmp(word, "ssl") == 0)
			check->tls = true;
		else if (strcmp(word, "port") == 0)
			hap_take_number(hap, line, ++i, &check->port);
		else if (strcmp(word, "comment") == 0)
			i++;
		else if (strcmp(word, "default") != 0 && strcmp(word, "linger") != 0)
			hap_note(hap, line, HAP_LOST, "\"%s\": not in Sluice's checks", word);
	}
}

void hap_take_http_check(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	const char *what = hap_word(line, 1);

	if (strcmp(what, "send") == 0)
		take_http_send(hap, &section->check, line);
	else if (strcmp(what, "expect") == 0)
		take_http_expect(hap, &section->check, line);
	else if (strcmp(what, "connect") == 0)
		take_connect(hap, &section->check, line);
	else if (strcmp(what, "comment") != 0)
		hap_note(hap, line, HAP_LOST, "\"%s\": not in Sluice's checks", what);
}

/* --- scripts --- */

/* Pairs of hexadecimal digits; false if they are not. */
static bool read_hex(struct hap *hap, const char *text, struct hap_bytes *ret_bytes)
{
	size_t count = strlen(text) / 2;
	uint8_t *bytes = hap_alloc(&hap->arena, count + 1);

	if (strlen(text) % 2)
		return false;
	for (size_t i = 0; i < count * 2; i++) {
		int c = tolower((unsigned char)text[i]);

		if (!isxdigit(c))
			return false;
		bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | (isdigit(c) ? c - '0' : c - 'a' + 10));
	}
	*ret_bytes = (struct hap_bytes){bytes, count};
	return true;
}

/* Never in place: what is there may be shared with the defaults that the section began with. */
static void add_send(struct hap *hap, struct hap_check *check, struct hap_bytes more)
{
	uint8_t *joined = hap_alloc(&hap->arena, check->send.count + more.count + 1);

	if (check->send.count)
		memcpy(joined, check->send.at, check->send.count);
	memcpy(joined + check->send.count, more.at, more.count);
	check->send = (struct hap_bytes){joined, check->send.count + more.count};
}

static void take_send(struct hap *hap, struct hap_check *check, const struct hap_line *line)
{
	bool binary = strcmp(hap_word(line, 1), "send-binary") == 0;
	struct hap_bytes more = bytes_of(hap_word(line, 2));

	if (binary && !read_hex(hap, hap_word(line, 2), &more))
		hap_note(hap, line, HAP_LOST, "these are no pairs of hexadecimal digits");
	else if (check->server_first)
		hap_note(hap, line, HAP_LOST,
			 "the server speaks first, and Sluice only listens then");
	else
		add_send(hap, check, more);
}

static void keep_expectation(struct hap *hap, struct hap_check *check, const struct hap_line *line,
			     struct hap_bytes wanted)
{
	const struct hap_line *less = line;

	if (!check->send.count && !check->expect.count)
		check->server_first = true;
	if (!check->expect.count || (!check->server_first && wanted.count > check->expect.count)) {
		less = check->expect_line;
		check->expect = wanted;
		check->expect_line = line;
	}
	if (less)
		hap_note(hap, less, HAP_LOST,
			 "Sluice looks for one thing in the answer: that of "
			 "line %u",
			 check->expect_line->number);
}

static void take_expect(struct hap *hap, struct hap_check *check, const struct hap_line *line)
{
	unsigned i = 2;

	while (strcmp(hap_word(line, i), "min-recv") == 0 ||
	       strcmp(hap_word(line, i), "comment") == 0)
		i += 2;
	const char *how = hap_word(line, i), *what = hap_word(line, i + 1);
	struct hap_bytes wanted = bytes_of(what);

	if (strcmp(how, "string") != 0 &&
	    (strcmp(how, "binary") != 0 || !read_hex(hap, what, &wanted)))
		hap_note(hap, line, HAP_LOST, "Sluice looks for plain bytes");
	else if (wanted.count)
		keep_expectation(hap, check, line, wanted);
}

void hap_take_tcp_check(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	const char *what = hap_word(line, 1);

	if (strcmp(what, "connect") == 0)
		take_connect(hap, &section->check, line);
	else if (strcmp(what, "send") == 0 || strcmp(what, "send-binary") == 0)
		take_send(hap, &section->check, line);
	else if (strcmp(what, "expect") == 0)
		take_expect(hap, &section->check, line);
	else if (strcmp(what, "comment") != 0)
		hap_note(hap, line, HAP_LOST, "\"%s\": not in Sluice's checks", what);
}
