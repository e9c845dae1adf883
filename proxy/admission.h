/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may come to our doors: what the configuration says and what operators added, told to the
 * guard in front of the interfaces (xdp/guard.h).
 *
 * Happy path: admission_start() before privileges are given up; then, by file descriptors alone,
 * admission_apply() for another configuration, admission_put() and admission_remove() for an
 * operator's word, admission_expire() now and then. Every change is a new set of rules, put in
 * force between two packets; the guard is never detached for it. Failure modes: a sentence for the
 * operator, and what was in force still is. What an operator added ends with its time or with this
 * process.
 *
 * Threads: main's alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdp/guard.h"

#define ADMISSION_ENTRIES 4096 /* of operators */

struct admission;
struct config;

/* An operator's word on a block of addresses. It goes before the configuration's on the same block.
 */
struct admission_entry {
	struct addr_block block;
	bool deny;
	char listener[32]; /* "": all */
	uint64_t since_wall_us;
	uint64_t until_wall_us; /* 0: until we end */
	char who[64];
	char why[128];
};

/* Names in logs, figures and answers. */
extern const char *const admission_verdict_names[GUARD_VERDICTS];
extern const char *const admission_mode_names[];   /* enum guard_mode */
extern const char *const admission_cookie_names[]; /* enum cookie_mode */

/* Whether the guard of `config` could be had. 0 or -errno, with a sentence of GUARD_PROBLEM. */
int admission_check(const struct config *config, char *ret_problem);

/* Load and attach; `config` is looked at until the next admission_apply(). `owner` is the user who
 * will stop it. 0 with NULL when no guard is configured; -errno with a sentence. */
int admission_start(const struct config *config, unsigned owner, struct admission **ret_admission,
		    char *ret_problem);
void admission_stop(struct admission *admission); /* accepts NULL */

/* Listeners and rules of another configuration; interfaces stay as they are. On failure `config` is
 * looked at all the same, and the rules are the old ones. */
int admission_apply(struct admission *admission, const struct config *config, char *ret_problem);

/* Add all of them, or replace those on the same block and listener. 0; -ENOSPC; or another -errno,
 * and nothing has changed. */
int admission_put(struct admission *admission, const struct admission_entry *entries, size_t count);

/* Take back those on these blocks for this listener ("": for all). 0; -ENOENT if one has none, and
 * then nothing has changed. */
int admission_remove(struct admission *admission, const struct addr_block *blocks, size_t count,
		     const char *listener);

/* End what is over; `on_over` hears of each. */
void admission_expire(struct admission *admission, uint64_t now_wall_us,
		      void (*on_over)(void *context, const struct admission_entry *entry),
		      void *context);

const struct admission_entry *admission_entries(const struct admission *admission,
						size_t *ret_count);
const struct guard_hook *admission_hooks(const struct admission *admission, size_t *ret_count);

/* Answers to SYNs say all that a client can, not the MSS alone. */
bool admission_answers_fully(const struct admission *admission);

/* Of a listener by name; NULL: of packets so broken that theirs cannot be told. */
void admission_read(const struct admission *admission, const char *listener,
		    struct guard_counts *ret_counts);

/* "10.0.0.0/8", into `buf` of ADDR_TEXT. Returns `buf`. */
const char *admission_block_text(const struct addr_block *block, char *buf);
