/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of scalar: how each is parsed and how each is described. See value.h.
 */
#include "proxy/base/conf/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/conf/bytes.h"
#include "proxy/base/conf/endpoint.h"
#include "proxy/base/conf/text.h"
#include "proxy/base/conf/units.h"
#include "proxy/base/panic.h"

static int refuse(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EINVAL;
}

bool value_list_find(const char *list, const char *text, uint64_t *ret_index)
{
	size_t text_len = strlen(text);

	for (uint64_t i = 0; *list; i++) {
		size_t len = strcspn(list, "|");

		if (len == text_len && memcmp(list, text, len) == 0) {
			*ret_index = i;
			return true;
		}
		list += len + (list[len] == '|');
	}
	return false;
}

static int parse_number(const struct schema_key *key, const char *text, uint64_t *ret_number,
			const char **ret_why)
{
	switch (key->kind) {
	case SCHEMA_INTEGER:
		return units_integer(text, ret_number, ret_why);
	case SCHEMA_PERCENT:
		return units_percent(text, ret_number, ret_why);
	case SCHEMA_SIZE:
		return units_size(text, ret_number, ret_why);
	case SCHEMA_DURATION:
	case SCHEMA_SECONDS:
		return units_duration(text, ret_number, ret_why);
	case SCHEMA_RANGE:
		return units_range(text, ret_number, ret_why);
	case SCHEMA_BOOL:
		return units_bool(text, ret_number, ret_why);
	case SCHEMA_MODE:
		return units_mode(text, ret_number, ret_why);
	default:
		must(key->kind == SCHEMA_ENUM);
		return value_list_find(key->values, text, ret_number)
			       ? 0
			       : refuse("is not one of its values", ret_why);
	}
}

static int check_bounds(const struct schema_key *key, uint64_t number, const char **ret_why)
{
	bool range = key->kind == SCHEMA_RANGE;

	if ((range ? units_range_first(number) : number) < key->min)
		return refuse("is too small", ret_why);
	if (key->max && (range ? units_range_last(number) : number) > key->max)
		return refuse("is too large", ret_why);
	if (key->kind == SCHEMA_SECONDS && number % 1000)
		return refuse("is not in whole seconds", ret_why);
	return 0;
}

static int check_name(const char *text, const char **ret_why)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char other[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";

	if (strspn(text, first) == 0)
		return refuse("does not begin with a small letter or a digit", ret_why);
	if (text[strspn(text, other)])
		return refuse("has a character that no name may have", ret_why);
	return 0;
}

static int check_text(const struct schema_key *key, const char *text, const char **ret_why)
{
	struct endpoint endpoint;
	struct addr_block block;
	size_t size;

	if (*text == '\0')
		return refuse("is empty", ret_why);
	if (!text_is_clean(text))
		return refuse("is not plain UTF-8 text", ret_why);
	if (key->kind == SCHEMA_BYTES)
		return bytes_parse(text, key->max, NULL, &size, ret_why);
	if (key->max && strlen(text) > key->max)
		return refuse("is too long", ret_why);
	switch (key->kind) {
	case SCHEMA_NAME:
		return check_name(text, ret_why);
	case SCHEMA_TOKEN:
		return strchr(text, ' ') ? refuse("has a space in it", ret_why) : 0;
	case SCHEMA_TCP:
		return endpoint_parse_tcp(text, &endpoint.addr, ret_why);
	case SCHEMA_SOCKET:
		return endpoint_parse_socket(text, &endpoint.addr, ret_why);
	case SCHEMA_BIND:
		return endpoint_parse_bind(text, &endpoint, ret_why);
	case SCHEMA_TARGET:
		return endpoint_parse_target(text, &endpoint, ret_why);
	case SCHEMA_IP:
		return endpoint_parse_ip(text, &endpoint.addr, ret_why);
	case SCHEMA_BLOCK:
		if (addr_block_parse(text, &block) < 0)
			return refuse("is not a block of addresses", ret_why);
		return 0;
	default:
		return 0;
	}
}

int value_parse(const struct schema_key *key, const char *text, uint64_t *ret_number,
		const char **ret_why)
{
	uint64_t number = 0;
	int err;

	if (key->word && strcmp(text, key->word) == 0) {
		*ret_number = 0;
		return 0;
	}
	if (key->kind >= SCHEMA_TEXT) {
		err = check_text(key, text, ret_why);
	} else {
		err = parse_number(key, text, &number, ret_why);
		if (err == 0)
			err = check_bounds(key, number, ret_why);
	}
	if (err == 0)
		*ret_number = number;
	return err;
}

struct sentence {
	char *buf;
	size_t size;
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *sentence, const char *format,
						      ...)
{
	va_list args;

	if (sentence->used >= sentence->size)
		return;
	va_start(args, format);
	sentence->used += (size_t)vsnprintf(sentence->buf + sentence->used,
					    sentence->size - sentence->used, format, args);
	va_end(args);
}

const char *value_list_words(const char *list, char *buf, size_t size)
{
	struct sentence sentence = {buf, size, 0};

	say(&sentence, "%s", "");
	while (*list) {
		size_t len = strcspn(list, "|");
		bool last = list[len] == '\0';

		if (sentence.used)
			say(&sentence, last ? " or " : ", ");
		say(&sentence, "%.*s", (int)len, list);
		list += len + !last;
	}
	return buf;
}

static void say_size(struct sentence *sentence, uint64_t bytes)
{
	static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
	unsigned unit = 0;

	for (; unit < 4 && bytes && bytes % 1024 == 0; unit++)
		bytes /= 1024;
	say(sentence, "%llu%s", (unsigned long long)bytes, units[unit]);
}

static void say_duration(struct sentence *sentence, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = {{24 * 3600 * 1000, "d"}, {3600 * 1000, "h"}, {60 * 1000, "m"}, {1000, "s"}};

	for (size_t i = 0; ms && i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms % units[i].ms == 0) {
			say(sentence, "%llu%s", (unsigned long long)(ms / units[i].ms),
			    units[i].name);
			return;
		}
	}
	say(sentence, ms ? "%llums" : "%llu", (unsigned long long)ms);
}

static void say_bound(struct sentence *sentence, const struct schema_key *key, uint64_t bound)
{
	if (key->kind == SCHEMA_SIZE)
		say_size(sentence, bound);
	else if (key->kind == SCHEMA_DURATION || key->kind == SCHEMA_SECONDS)
		say_duration(sentence, bound);
	else
		say(sentence, key->kind == SCHEMA_PERCENT ? "%llu%%" : "%llu",
		    (unsigned long long)bound);
}

static void say_range(struct sentence *sentence, const struct schema_key *key)
{
	if (key->kind == SCHEMA_MODE || !key->max)
		return;
	say(sentence, key->kind == SCHEMA_INTEGER ? " from " : ", from ");
	say_bound(sentence, key, key->min);
	say(sentence, " to ");
	say_bound(sentence, key, key->max);
}

/* By kind; bounds follow where a kind has any. */
static const char *const kind_texts[] = {
	[SCHEMA_INTEGER] = "a whole number",
	[SCHEMA_PERCENT] = "a percentage such as 20%",
	[SCHEMA_SIZE] = "a size such as 65536, 64KiB, 1MiB or 1GB",
	[SCHEMA_DURATION] = "a duration such as 500ms, 2s or 5m",
	[SCHEMA_SECONDS] = "a duration in whole seconds such as 10s or 1m",
	[SCHEMA_RANGE] = "a number or a range such as 200-399",
	[SCHEMA_BOOL] = "true or false",
	[SCHEMA_MODE] = "an octal file mode such as 0660",
	[SCHEMA_BIND] = "an address such as :8080, 10.0.0.1:443, \"[::]:443\", :8000-8099 "
			"or unix:/path",
	[SCHEMA_TCP] = "an address such as 127.0.0.1:9900 or \"[::1]:9900\"",
	[SCHEMA_SOCKET] = "a path such as /run/sluice/admin.sock",
	[SCHEMA_TARGET] = "an address such as 10.0.0.1:80, \"[2001:db8::1]:80\", "
			  "db.internal:5432 or unix:/path",
	[SCHEMA_IP] = "an address without a port such as 10.0.0.1",
	[SCHEMA_BLOCK] = "a block of addresses such as 10.0.0.0/8 or \"fd00::/8\"",
	[SCHEMA_LABELS] = "a mapping of names to texts",
};

static void say_text(struct sentence *sentence, const struct schema_key *key)
{
	if (key->kind == SCHEMA_NAME)
		say(sentence,
		    "a name of at most %llu small letters, digits, \"_\", \"-\" and \".\"",
		    (unsigned long long)key->max);
	else if (key->kind == SCHEMA_TOKEN)
		say(sentence, "a text without spaces of at most %llu bytes",
		    (unsigned long long)key->max);
	else if (key->kind == SCHEMA_BYTES)
		say(sentence,
		    "a text such as PING, or bytes such as hex:50494e470d0a, at most %llu",
		    (unsigned long long)key->max);
	else if (key->max)
		say(sentence, "a text of at most %llu bytes", (unsigned long long)key->max);
	else
		say(sentence, "a text");
}

const char *value_expected(const struct schema_key *key, char *buf, size_t size)
{
	struct sentence sentence = {buf, size, 0};
	char words[VALUE_EXPECTED_MAX];

	if (key->word)
		say(&sentence, "%s or ", key->word);
	if (key->kind == SCHEMA_ENUM)
		say(&sentence, "%s", value_list_words(key->values, words, sizeof(words)));
	else if (key->kind >= SCHEMA_TEXT && key->kind <= SCHEMA_BYTES)
		say_text(&sentence, key);
	else if (key->kind == SCHEMA_MAP)
		say(&sentence, "a mapping");
	else if (key->kind == SCHEMA_LIST && key->max)
		say(&sentence, "a list of %llu to %llu items", (unsigned long long)key->min,
		    (unsigned long long)key->max);
	else if (key->kind == SCHEMA_LIST)
		say(&sentence, "a list");
	else
		say(&sentence, "%s", kind_texts[key->kind]);
	if (key->kind < SCHEMA_BOOL)
		say_range(&sentence, key);
	return buf;
}
