/* SPDX-License-Identifier: Apache-2.0
 *
 * `--once --dry-run`: what would change if the daemon ran now. Each source is asked once, the proxy
 * is only read, no file is read or written, nothing is pushed.
 *
 * Happy path: the proxy is read, then every source answers; per pool and source come one line that
 * sums up, and one line per change: `+` added, `-` removed, `~` drained, returned or changed, each
 * with its address, its id and what is different.
 * Failure modes: a source that fails, or a change that the guard would hold, is said and ends with
 * status 3. Without the proxy the diff is against nothing, which is said too.
 */
#pragma once

#include <stdio.h>

struct dryrun;
struct feed_set;
struct link;

struct dryrun_conf {
	struct feed_set *feeds; /* not started; their sources are closed by feed_free() as ever */
	struct link *link;      /* may be NULL if dryrun_on_proxy() will say a problem */
	FILE *out;
	void (*on_end)(void *context, int status); /* once: 0 or 3 */
	void *context;
};

/* Nothing happens before dryrun_on_proxy(). 0 or -ENOMEM. */
int dryrun_start(const struct dryrun_conf *conf, struct dryrun **ret_dryrun);

/* The proxy was read (`problem` NULL), or cannot be: every source is asked. Later words are
 * ignored. From the link's on_up and on_down. */
void dryrun_on_proxy(struct dryrun *dryrun, const char *problem);

/* Sources that are still being asked go on until they are closed. Accepts NULL. */
void dryrun_free(struct dryrun *dryrun);
