/* SPDX-License-Identifier: Apache-2.0
 *
 * What several rows of the table of verbs have in common.
 */
#pragma once

#include "control/ctl/verb.h"

#define TARGET                                                                                     \
	{                                                                                          \
		.name = "TARGET", .kind = WORD_TARGET                                              \
	}
#define POOL_OPTION                                                                                \
	{                                                                                          \
		"--pool", "POOL", WORD_POOL, .doc = "look for the target in this pool alone"       \
	}
#define FOR_OPTION                                                                                 \
	{                                                                                          \
		"--for", "DURATION", WORD_DURATION, .doc = "undo it by itself after so long"       \
	}
#define UNTIL_OPTION                                                                               \
	{                                                                                          \
		"--until", "TIME", WORD_TEXT,                                                      \
			.doc = "undo it by itself then (2026-01-02T03:04:05Z)"                     \
	}
#define WHY_OPTION                                                                                 \
	{                                                                                          \
		"--why", "TEXT", WORD_TEXT, .doc = "a note that `explain` and the events show"     \
	}
#define NAMED                                                                                      \
	"TARGET is its name, its id, its key, or its address:port. If it stands in several "       \
	"pools,\n"                                                                                 \
	"--pool says which is meant."
