/* SPDX-License-Identifier: Apache-2.0
 *
 * What an operator can type: one row for each verb. The parser, every help text and the shells'
 * completion are made from these rows, so a verb is described in one place only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ctl;

#define VERB_WORDS   4
#define VERB_OPTIONS 8

/* What stands in a place: how it is checked, and what completes it. */
enum word_kind {
	WORD_TEXT, /* anything; nothing completes it */
	WORD_VERB,
	WORD_POOL,
	WORD_TARGET,
	WORD_LISTENER,
	WORD_SOURCE,
	WORD_FILE,
	WORD_NUMBER,   /* checked: whole, without a sign */
	WORD_DURATION, /* checked: 500ms, 30s, 2h */
	WORD_CHOICE,   /* checked: one of `choices` */
	WORD_KINDS
};

struct verb_word {
	const char *name; /* as help shows it: "TARGET" */
	enum word_kind kind;
	bool optional;
	const char *choices; /* of WORD_CHOICE: "pause|resume" */
};

struct verb_option {
	const char *flag;    /* "--pool" */
	const char *metavar; /* "POOL"; NULL for a switch */
	enum word_kind kind;
	bool optional; /* its value, which then only comes behind an equals sign */
	const char *choices;
	const char *doc;
};

struct verb {
	const char *name;
	const char *group;    /* the heading it stands under */
	const char *doc;      /* one line */
	const char *more;     /* further lines of its help, or NULL */
	const char *examples; /* whole lines, each begins with "sluicectl" */
	bool waits;           /* knows --wait */
	bool control;         /* asks sluice-control, not the proxy */
	struct verb_word words[VERB_WORDS];
	struct verb_option options[VERB_OPTIONS];
	int (*run)(struct ctl *ctl); /* returns an enum ctl_exit */
};

extern const struct verb verbs[];
extern const size_t verb_count;

enum global {
	GLOBAL_SOCKET,
	GLOBAL_CONTROL,
	GLOBAL_JSON,
	GLOBAL_WAIT,
	GLOBAL_HELP,
	GLOBAL_VERSION,
	GLOBALS
};

/* Options that stand before or behind any verb. */
extern const struct verb_option global_options[GLOBALS];

/* NULL if there is none of that name. */
const struct verb *verb_find(const char *name);

/* The name that was probably meant, or NULL. */
const char *verb_nearest(const char *name);
