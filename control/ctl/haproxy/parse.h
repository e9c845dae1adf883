/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of an haproxy.cfg share. A line is taken by the function that its first word
 * has in a table; the parameters of a bind or server line are rows too. What no table knows is
 * noted as lost.
 */
#pragma once

#include "control/ctl/haproxy/model.h"

#define HAP_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Takes one line of a section. */
typedef void hap_taker(struct hap *hap, struct hap_section *section, const struct hap_line *line);

struct hap_keyword {
	const char *name;
	hap_taker *take; /* NULL: only `why` is noted */
	enum hap_level level;
	const char *why;
};

/* Let the row for word `i` take the line, or note why it is not carried. A name that ends in `*` is
 * a beginning. False if there is no row. */
bool hap_take_keyword(struct hap *hap, struct hap_section *section, const struct hap_line *line,
		      unsigned i, const struct hap_keyword *keywords, size_t count);

enum hap_param_kind {
	HAP_PARAM_TRUE,   /* sets a bool */
	HAP_PARAM_FALSE,  /* clears it */
	HAP_PARAM_NUMBER, /* a struct hap_value */
	HAP_PARAM_TIME,   /* likewise, in milliseconds */
	HAP_PARAM_WORD,   /* a const char * */
	HAP_PARAM_TEXT,   /* a struct hap_text */
	HAP_PARAM_CALL,
	HAP_PARAM_SKIP, /* means nothing without another parameter, which is noted */
	HAP_PARAM_NOTE,
	HAP_PARAM_LOST,
};

struct hap_param {
	const char *name;
	enum hap_param_kind kind;
	size_t offset;   /* of what it sets */
	const char *why; /* of NOTE and LOST */
	unsigned args;   /* how many words belong to it: of CALL, SKIP, NOTE and LOST */
	void (*call)(struct hap *hap, const struct hap_line *line, unsigned i, void *object);
};

/* One row of a table each. */
#define HAP_SETS(word, how, where)                                                                 \
	{                                                                                          \
		.name = (word), .kind = (how), .offset = (where)                                   \
	}
#define HAP_CALLS(word, many, function)                                                            \
	{                                                                                          \
		.name = (word), .kind = HAP_PARAM_CALL, .args = (many), .call = (function)         \
	}
#define HAP_SKIPS(word, many)                                                                      \
	{                                                                                          \
		.name = (word), .kind = HAP_PARAM_SKIP, .args = (many)                             \
	}
#define HAP_NOTES(word, many, because)                                                             \
	{                                                                                          \
		.name = (word), .kind = HAP_PARAM_NOTE, .args = (many), .why = (because)           \
	}
#define HAP_LOSES(word, many, because)                                                             \
	{                                                                                          \
		.name = (word), .kind = HAP_PARAM_LOST, .args = (many), .why = (because)           \
	}

/* Take the parameters from word `i` to the end into `object`. */
void hap_take_params(struct hap *hap, const struct hap_line *line, unsigned i, void *object,
		     const struct hap_param *params, size_t count);

/* Word `i` of the line; a note and false if it is none. */
bool hap_take_time(struct hap *hap, const struct hap_line *line, unsigned i, uint64_t unit_ms,
		   struct hap_value *value);
bool hap_take_number(struct hap *hap, const struct hap_line *line, unsigned i,
		     struct hap_value *value);

/* 0, or -EINVAL with `ret_why`, which follows "the address ...". */
int hap_address_parse(struct hap_arena *arena, const char *text, struct hap_address *ret_address,
		      const char **ret_why);

hap_taker hap_take_global; /* any line of such a section */
hap_taker hap_take_proxy;  /* of defaults, frontend, backend and listen */
hap_taker hap_take_bind;
hap_taker hap_take_server;
hap_taker hap_take_default_server;
hap_taker hap_take_server_template;
hap_taker hap_take_option; /* `option X`, with or without `no` or `default` in front */
hap_taker hap_take_httpchk;
hap_taker hap_take_redis_check;
hap_taker hap_take_smtp_check;
hap_taker hap_take_pgsql_check;
hap_taker hap_take_tls_check;
hap_taker hap_take_script_check; /* `option tcp-check` */
hap_taker hap_take_plain_check;  /* those that Sluice can only do as a connect */
hap_taker hap_take_tcp_check;
hap_taker hap_take_http_check;
