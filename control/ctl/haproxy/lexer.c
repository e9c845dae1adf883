/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the splitting of a line into words. Happy path: read_word() for each, which hands quotes,
 * escapes and variables to functions of their own and collects bytes in one buffer.
 *
 * Failure modes: a quote or a brace that is not closed, and an escape that is none; the line is
 * then refused, as HAProxy does.
 */
#include "control/ctl/haproxy/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lexer {
	struct hap_arena *arena;
	struct hap_line *line;
	const char *at;
	char *word; /* what is collected of it so far */
	size_t len;
	bool begun; /* a word is, even if it is empty: "" */
	bool in_double;
	bool in_single;
	const char *why;
};

static int refuse(struct lexer *lexer, const char *why)
{
	lexer->why = why;
	return -EINVAL;
}

static void add_byte(struct lexer *lexer, char c)
{
	lexer->word = hap_grow(lexer->arena, lexer->word, lexer->len, 1);
	lexer->word[lexer->len++] = c;
	lexer->begun = true;
}

static void end_word(struct lexer *lexer)
{
	struct hap_line *line = lexer->line;

	if (lexer->begun) {
		line->words = hap_grow(lexer->arena, line->words, line->count, sizeof(char *));
		line->words[line->count++] =
			hap_copy(lexer->arena, lexer->len ? lexer->word : "", lexer->len);
	}
	lexer->len = 0;
	lexer->begun = false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex(struct lexer *lexer)
{
	int high = hex_digit(lexer->at[2]), low = high < 0 ? -1 : hex_digit(lexer->at[3]);

	if (low < 0)
		return refuse(lexer, "has \\x without two hexadecimal digits");
	if (high == 0 && low == 0)
		return refuse(lexer, "has a NUL in it");
	add_byte(lexer, (char)(high << 4 | low));
	lexer->at += 4;
	return 0;
}

/* `at` is on a backslash outside of ''. */
static int read_escape(struct lexer *lexer)
{
	static const char letters[] = "nrt", bytes[] = "\n\r\t";
	char next = lexer->at[1];
	const char *letter = next ? strchr(letters, next) : NULL;

	if (next == 'x')
		return read_hex(lexer);
	if (letter)
		add_byte(lexer, bytes[letter - letters]);
	else if (next && (strchr(" \\#'\"", next) || (next == '$' && lexer->in_double)))
		add_byte(lexer, next);
	else {
		/* Others are no escapes: the backslash stands for itself. */
		add_byte(lexer, '\\');
		lexer->at++;
		return 0;
	}
	lexer->at += 2;
	return 0;
}

static void add_value(struct lexer *lexer, const char *value, size_t len, bool several)
{
	lexer->begun = lexer->begun || !several;
	for (size_t i = 0; i < len; i++) {
		if (several && isspace((unsigned char)value[i]))
			end_word(lexer);
		else
			add_byte(lexer, value[i]);
	}
}

/* `at` is behind the name; go to what follows the variable. */
static int read_variable_end(struct lexer *lexer, const char **ret_default, size_t *ret_len,
			     bool *ret_several)
{
	const char *close = strchr(lexer->at, '}');

	if (!close)
		return refuse(lexer, "has a brace that is not closed");
	*ret_several = strncmp(lexer->at, "[*]", 3) == 0;
	if (*ret_several)
		lexer->at += 3;
	if (*lexer->at != '-' && *lexer->at != '}')
		return refuse(lexer, "has a variable that is written in no known way");
	*ret_default = lexer->at + 1;
	*ret_len = *lexer->at == '-' ? (size_t)(close - lexer->at - 1) : 0;
	lexer->at = close + 1;
	return 0;
}

/* `at` is on a dollar sign within "". */
static int read_variable(struct lexer *lexer)
{
	bool braced = lexer->at[1] == '{', several = false;
	const char *name = lexer->at + 1 + braced, *fallback = "";
	size_t len = 0, fallback_len = 0;

	while (isalnum((unsigned char)name[len]) || name[len] == '_' || name[len] == '.')
		len++;
	if (!len)
		return refuse(lexer, "has a $ without a name behind it");
	lexer->at = name + len;
	if (braced && read_variable_end(lexer, &fallback, &fallback_len, &several) < 0)
		return -EINVAL;
	char *copy = hap_copy(lexer->arena, name, len);
	const char *value = getenv(copy);

	if (!value && !fallback_len)
		lexer->line->unset = copy;
	add_value(lexer, value ? value : fallback, value ? strlen(value) : fallback_len, several);
	return 0;
}

static int read_byte(struct lexer *lexer)
{
	char c = *lexer->at;

	if (c == '\\' && !lexer->in_single)
		return read_escape(lexer);
	if (c == '$' && lexer->in_double)
		return read_variable(lexer);
	if (c == '"' && !lexer->in_single) {
		lexer->in_double = !lexer->in_double;
		/* Only what is quoted can be an empty word; a variable decides that for itself. */
		lexer->begun = lexer->begun || (lexer->in_double && lexer->at[1] == '"');
	} else if (c == '\'' && !lexer->in_double) {
		lexer->in_single = !lexer->in_single;
		lexer->begun = true;
	} else {
		add_byte(lexer, c);
	}
	lexer->at++;
	return 0;
}

static int read_words(struct lexer *lexer)
{
	while (*lexer->at) {
		bool quoted = lexer->in_double || lexer->in_single;

		if (!quoted && *lexer->at == '#')
			break;
		if (!quoted && isspace((unsigned char)*lexer->at)) {
			end_word(lexer);
			lexer->at++;
			continue;
		}
		if (read_byte(lexer) < 0)
			return -EINVAL;
	}
	if (lexer->in_double || lexer->in_single)
		return refuse(lexer, "has a quote that is not closed");
	end_word(lexer);
	return 0;
}

int hap_lex(struct hap_arena *arena, const char *text, struct hap_line *line, const char **ret_why)
{
	struct lexer lexer = {.arena = arena, .line = line, .at = text};
	int err = read_words(&lexer);

	if (err < 0)
		*ret_why = lexer.why;
	return err;
}

const char *hap_word(const struct hap_line *line, unsigned i)
{
	return i < line->count ? line->words[i] : "";
}
