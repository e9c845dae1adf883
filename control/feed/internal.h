/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of control/feed/ share. Everyone else includes control/feed.h.
 */
#pragma once

#include "control/feed.h"

/* What the file has becomes `current`, if it may. */
void feed_recall(struct feed *feed);

/* Judge a snapshot, which is taken over, and act on it. */
void feed_consider(struct feed *feed, struct target_set *next);

/* Note in the journal, about this feed. */
#define feed_note(feed, level, kind, target, ...)                                                  \
	journal_note((feed)->set->journal, level, kind, (feed)->pool, (feed)->name, target,        \
		     __VA_ARGS__)
