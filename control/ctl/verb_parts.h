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

/* The row of a verb that stands with the proxy's own. */
#define GUARD_VERB                                                                                 \
	{                                                                                          \
		.name = "guard", .group = "The proxy itself",                                      \
		.doc = "what is dropped at the door; allow or deny a block of addresses there",    \
		.more = "An entry goes before the configuration's on the same block, and lasts "   \
			"until --for or\n--until, `remove`, or the proxy's end.",                  \
		.examples = "sluicectl guard\n"                                                    \
			    "sluicectl guard deny 192.0.2.0/24 --for 1h --why \"SYN flood\"\n"     \
			    "sluicectl guard allow 198.51.100.7 --listener api\n"                  \
			    "sluicectl guard remove 192.0.2.0/24",                                 \
		.words = {{.name = "ACTION",                                                       \
			   .kind = WORD_CHOICE,                                                    \
			   .optional = true,                                                       \
			   .choices = "show|allow|deny|remove"},                                   \
			  {.name = "BLOCK", .kind = WORD_TEXT, .optional = true}},                 \
		.options = {{"--listener", "NAME", WORD_LISTENER, .doc = "at this door alone"},    \
			    FOR_OPTION,                                                            \
			    UNTIL_OPTION,                                                          \
			    {"--why", "TEXT", WORD_TEXT, .doc = "a note that `guard` shows"}},     \
		.run = verb_guard,                                                                 \
	}

/* Of `doctor`. */
#define DOCTOR_MORE                                                                                \
	"It runs `sluice --doctor --json` here, and needs no proxy that runs. With FILE, what\n"   \
	"that configuration says is judged too. Root sees more. Exit 5 if anything fails.\n\n"     \
	"With --template it looks at a CloudFormation template instead, in YAML or JSON, and\n"    \
	"names each attribute of load balancers, target groups, Auto Scaling groups and ECS\n"     \
	"tasks that contradicts the configuration: that of --config, or of the proxy that runs."
#define DOCTOR_OPTIONS                                                                             \
	{                                                                                          \
		{"--template", "FILE", WORD_FILE,                                                  \
		 .doc = "hold this CloudFormation template against a configuration"},              \
			{"--config", "FILE", WORD_FILE,                                            \
			 .doc = "with --template: this one, not that of the proxy that runs"},     \
		{                                                                                  \
			"--parameters", "LIST", WORD_TEXT,                                         \
				.doc = "with --template: NAME=VALUE,... instead of its defaults"   \
		}                                                                                  \
	}
