/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of control/lifecycle/ share. Everyone else includes control/lifecycle.h.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/aws/imds.h"
#include "control/lifecycle.h"
#include "proxy/base/timer.h"

#define GROUP_TEXT 256

enum action_state {
	ACTION_NONE, /* nobody waits for us */
	ACTION_WANTED,
	ACTION_OVER /* completed, or not ours, or timed out */
};

/* What instance metadata says (notice.c). */
struct notice {
	struct timer timer;
	struct imds_call *call;
	unsigned failures; /* in a row */
	bool terminated;   /* the group is ending this instance */
	bool interrupted;  /* EC2 takes a Spot instance back */
};

/* Who we are to Auto Scaling (self.c). */
struct self {
	struct timer timer;
	struct imds_call *call;
	struct aws *aws; /* of the instance's region; NULL: not known yet */
	struct aws_run *run;
	char instance[64];
	char group[GROUP_TEXT]; /* "": in none, as far as is known */
	char hook[GROUP_TEXT];  /* "": none that is ours to complete */
	uint32_t heartbeat_ms;  /* after which the hook gives up */
	unsigned hooks;         /* that wait for the end of an instance */
	bool known;             /* all of it was answered, at least once */
	unsigned failures;      /* in a row */
	char problem[512];      /* "" when the last answers were well */
};

/* The proxy's drain (lifecycle.c). */
struct draining {
	struct timer timer;
	bool ended_well; /* the last attempt */
	unsigned rounds; /* that ended well */
	unsigned absent; /* looks in a row that found no proxy */
	char problem[256];
};

/* The hook's wait (action.c). */
struct action {
	struct timer timer;
	struct aws_run *run;
	enum action_state state;
	unsigned refused; /* in a row: no such action */
	bool failing;     /* and said so */
	unsigned heartbeats;
};

struct lifecycle {
	struct lifecycle_conf conf;
	struct imds *imds;
	struct link *link; /* NULL: not known yet */
	enum lifecycle_phase phase;
	char why[160]; /* the notice, "" while there is none */
	struct notice notice;
	struct self self;
	struct draining drain;
	struct action action;
};

/* Between three quarters of it and all, so that a fleet does not ask at once. */
uint64_t lifecycle_jitter(uint64_t ms);

#define lifecycle_note(lifecycle, level, kind, ...)                                                \
	journal_note((lifecycle)->conf.journal, level, kind, NULL, NULL, NULL, __VA_ARGS__)

/* --- lifecycle.c --- */

/* The instance will end: begin the drain, once. */
void lifecycle_leave(struct lifecycle *lifecycle, const char *why);

/* --- notice.c --- */
void notice_start(struct lifecycle *lifecycle);
void notice_stop(struct lifecycle *lifecycle);

/* --- self.c --- */
void self_start(struct lifecycle *lifecycle);
void self_stop(struct lifecycle *lifecycle);
/* Ask at once if the answers are not there yet. */
void self_hurry(struct lifecycle *lifecycle);

/* --- action.c --- */
void action_init(struct lifecycle *lifecycle);
void action_stop(struct lifecycle *lifecycle);
/* The group waits for us, or may: heartbeats from now on. */
void action_begin(struct lifecycle *lifecycle);
/* The group became known, or the drain ended: go on, if there is anything to go on with. */
void action_continue(struct lifecycle *lifecycle);
