/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the table of verbs, and the options that all of them share. A new verb is a row here, a
 * function in a file of its own, and its line in verbs.h.
 */
#include "control/ctl/verbs.h"

#include <string.h>

#include "control/ctl/verb.h"
#include "proxy/base/conf/nearest.h"

#define LOOK   "Look"
#define CHANGE "Change targets"
#define PROXY  "The proxy itself"
#define OTHER  "Other"

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

const struct verb_option global_options[GLOBALS] = {
	[GLOBAL_SOCKET] = {"--socket", "PATH", WORD_FILE,
			   .doc = "the proxy's admin socket [SLUICE_SOCKET, default "
				  "/run/sluice/admin.sock]"},
	[GLOBAL_JSON] = {"--json", .doc = "print the API's own answer, for scripts"},
	[GLOBAL_WAIT] =
		{"--wait", "TIMEOUT", WORD_DURATION, .optional = true,
		 .doc = "return once it is done (drained, reloaded, gone), at most TIMEOUT"},
	[GLOBAL_HELP] = {"--help", .doc = "help on the program or on a verb"},
	[GLOBAL_VERSION] = {"--version", .doc = "print the version"},
};

const struct verb verbs[] = {
	{
		.name = "status",
		.group = LOOK,
		.doc = "what the proxy is, does and carries right now",
		.examples = "sluicectl status\n"
			    "sluicectl status --json | jq .rates",
		.run = verb_status,
	},
	{
		.name = "pools",
		.group = LOOK,
		.doc = "pools: targets usable and healthy, sessions, queues",
		.examples = "sluicectl pools\n"
			    "sluicectl pools --json | jq -r '.pools[] | select(.panic) | .name'",
		.run = verb_pools,
	},
	{
		.name = "targets",
		.group = LOOK,
		.doc = "targets: state, weight, sessions, and why one is out",
		.more = "With --json and no POOL the answers for all pools stand in one object,\n"
			"{\"pools\": [...]}.",
		.examples = "sluicectl targets\n"
			    "sluicectl targets api --state down",
		.words = {{.name = "POOL", .kind = WORD_POOL, .optional = true}},
		.options = {{"--state", "STATE", WORD_TEXT, .doc = "only those in this state"}},
		.run = verb_targets,
	},
	{
		.name = "sources",
		.group = LOOK,
		.doc = "where each pool's targets come from, and how old they are",
		.examples = "sluicectl sources\n"
			    "sluicectl sources api",
		.words = {{.name = "POOL", .kind = WORD_POOL, .optional = true}},
		.run = verb_sources,
	},
	{
		.name = "help",
		.group = OTHER,
		.doc = "help on a verb",
		.examples = "sluicectl help drain",
		.words = {{.name = "VERB", .kind = WORD_VERB, .optional = true}},
		.run = verb_help,
	},
};

const size_t verb_count = sizeof(verbs) / sizeof(verbs[0]);

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

const char *verb_nearest(const char *name)
{
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (size_t i = 0; i < verb_count; i++)
		if (!verbs[i].hidden)
			nearest_offer(&nearest, verbs[i].name);
	return nearest_best(&nearest);
}
