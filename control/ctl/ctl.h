/* SPDX-License-Identifier: Apache-2.0
 *
 * What every verb is given, and the calls that most of them are made of. One process is one verb.
 *
 * Happy path of a verb: build a path, ctl_get() or ctl_call(), ctl_show() with a function that
 * prints the answer for people. Each returns CTL_OK, or the exit status of the program after having
 * said why on stderr.
 */
#pragma once

#include <jansson.h>

#include "control/ctl/args.h"
#include "control/ctl/client.h"
#include "control/ctl/screen.h"

enum ctl_exit {
	CTL_OK,
	CTL_REFUSED,     /* by the server, with a reason */
	CTL_USAGE,       /* the command line makes no sense */
	CTL_UNREACHABLE, /* nobody answers on the socket */
	CTL_TIMED_OUT,   /* --wait=TIMEOUT was not enough, or an answer took too long */
	CTL_UNHEALTHY,   /* what `health` or `doctor` found */
	CTL_EXITS
};

/* One line on each, for help. */
extern const char *const ctl_exit_docs[CTL_EXITS];

struct ctl {
	struct args args;
	struct client *client;
	struct screen screen; /* of stdout */
};

/* One request. With --json an error's body goes to stdout as it is. On CTL_OK the caller owns
 * `ret_reply`, whose `json` is an object. */
int ctl_call(struct ctl *ctl, const char *method, const struct path *path, const json_t *body,
	     struct reply *ret_reply);
int ctl_get(struct ctl *ctl, const struct path *path, struct reply *ret_reply);

/* Say why client_call() failed; returns CTL_UNREACHABLE or CTL_TIMED_OUT. */
int ctl_unreachable(const struct ctl *ctl, int err);

bool ctl_wants_json(const struct ctl *ctl);

/* Print an answer, untouched with --json, else by `print`. */
void ctl_show(struct ctl *ctl, const struct reply *reply,
	      void (*print)(struct ctl *ctl, const json_t *json));

/* Call, show, and free: all of a verb that asks one question. */
int ctl_ask(struct ctl *ctl, const char *method, const struct path *path, const json_t *body,
	    void (*print)(struct ctl *ctl, const json_t *json));

/* Say what is wrong with the command line; returns CTL_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Say what failed, as `sluicectl: ...`; returns CTL_REFUSED. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line of plain prose on stdout, cleaned of what could move the cursor. */
void ctl_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each of a list of sentences or names that came with an answer, on a line of stderr with `before`
 * in front. */
void ctl_list(const json_t *json, const char *key, const char *before);
