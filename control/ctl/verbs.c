/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the table of verbs. A new verb is a row here, a function in a file of its own, and its line
 * in verbs.h.
 */
#include "control/ctl/verbs.h"

#include "control/ctl/verb.h"
#include "control/ctl/verb_parts.h"

#define LOOK   "Look"
#define CHANGE "Change targets"
#define PROXY  "The proxy itself"
#define OTHER  "Other"

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
		.more = "USABLE counts targets that may take sessions, backups among them, and "
			"HEALTHY\n"
			"the primary ones alone, of those that nobody took out. WAITING is now; "
			"QUEUED,\n"
			"REFUSED (the queue was full) and TIMED OUT are since the start.",
		.examples = "sluicectl pools\n"
			    "sluicectl pools --json | jq -r '.pools[] | select(.panic) | .name'",
		.run = verb_pools,
	},
	{
		.name = "targets",
		.group = LOOK,
		.doc = "targets: state, weight, sessions, and why one is out",
		.more = "WEIGHT is the operator's where there is one, and its source's in "
			"brackets. SENT\n"
			"and RECEIVED are to and from the target, FAILED counts connects. Removed "
			"targets\n"
			"are shown while they have sessions, or with --state removed. With --json "
			"and no\n"
			"POOL the answers for all pools stand in one object, {\"pools\": [...]}.",
		.examples = "sluicectl targets\n"
			    "sluicectl targets api --state down",
		.words = {{.name = "POOL", .kind = WORD_POOL, .optional = true}},
		.options = {{"--state", "STATE", WORD_TEXT, .doc = "only those in this state"}},
		.run = verb_targets,
	},
	{
		.name = "explain",
		.group = LOOK,
		.doc = "why a target takes sessions or not, and what became of it",
		.more = NAMED,
		.examples = "sluicectl explain 10.0.1.10:8443\n"
			    "sluicectl explain i-0abc1234 --pool api",
		.words = {TARGET},
		.options = {POOL_OPTION},
		.run = verb_explain,
	},
	{
		.name = "sessions",
		.group = LOOK,
		.doc = "open sessions: who talks to which target, how much, how long",
		.more = "With --json it is one page; its `next` is what to give to --after.",
		.examples = "sluicectl sessions --target 10.0.1.10:8443\n"
			    "sluicectl sessions --top --limit 10\n"
			    "sluicectl sessions --json --limit 5000 | jq '.sessions | length'",
		.options =
			{
				{"--top", .doc = "those that moved the most bytes first"},
				{"--sort", "ORDER", WORD_CHOICE, .choices = "id|bytes|age",
				 .doc = "id, bytes or age"},
				{"--pool", "POOL", WORD_POOL, .doc = "only of this pool"},
				{"--target", "TARGET", WORD_TARGET, .doc = "only to this target"},
				{"--listener", "NAME", WORD_LISTENER,
				 .doc = "only from this listener"},
				{"--limit", "N", WORD_NUMBER,
				 .doc = "at most so many (default 500; 20 with --top)"},
				{"--after", "ID", WORD_NUMBER, .doc = "go on after this session"},
			},
		.run = verb_sessions,
	},
	{
		.name = "events",
		.group = LOOK,
		.doc = "what happened lately: targets, overrides, reloads, who did it",
		.more = "With --follow and --json each event is one line of JSON.",
		.examples = "sluicectl events --follow\n"
			    "sluicectl events --limit 100 --target 10.0.1.10:8443",
		.options =
			{
				{"--follow", .doc = "go on as they happen, until interrupted"},
				{"--limit", "N", WORD_NUMBER, .doc = "the last N (default 30)"},
				{"--after", "ID", WORD_NUMBER, .doc = "only those after this one"},
				{"--pool", "POOL", WORD_POOL, .doc = "only of this pool"},
				{"--target", "TARGET", WORD_TARGET, .doc = "only of this target"},
			},
		.run = verb_events,
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
		.name = "discovery",
		.group = LOOK,
		.doc = "what sluice-control finds: sources, their age, and changes it holds",
		.more = "Without an ACTION it is `list`. `show` has one source with its targets, "
			"and what\n"
			"would change if a held answer were let through: + is added, - removed, ~ "
			"changed.\n"
			"`approve` lets it through; with --digest only what `show` showed, "
			"whatever "
			"came\n"
			"since. `reject` forgets it: the next answer is judged anew. `refresh` "
			"asks "
			"the\n"
			"source now. `events` is what sluice-control did, and why.",
		.examples = "sluicectl discovery\n"
			    "sluicectl discovery show api ecs\n"
			    "sluicectl discovery approve api ecs --digest "
			    "0123456789abcdef0123456789abcdef\n"
			    "sluicectl discovery events --pool api --follow",
		.control = true,
		.words = {{.name = "ACTION",
			   .kind = WORD_CHOICE,
			   .optional = true,
			   .choices = "list|show|approve|reject|refresh|events"},
			  {.name = "POOL", .kind = WORD_POOL, .optional = true},
			  {.name = "SOURCE", .kind = WORD_SOURCE, .optional = true}},
		.options =
			{
				{"--pool", "POOL", WORD_POOL, .doc = "list, events: of this pool"},
				{"--digest", "DIGEST", WORD_TEXT,
				 .doc = "approve: only if this is what is held"},
				{"--follow", .doc = "events: go on as they happen"},
				{"--limit", "N", WORD_NUMBER,
				 .doc = "events: the last N (default 30)"},
				{"--after", "ID", WORD_NUMBER,
				 .doc = "events: only those after this one"},
				{"--target", "ADDRESS", WORD_TEXT,
				 .doc = "events: only of this target"},
			},
		.run = verb_discovery,
	},
	{
		.name = "health",
		.group = LOOK,
		.doc = "is all well? The exit status says it",
		.more = "Healthy is a proxy that is ready and not leaving, whose every pool has a "
			"usable\n"
			"target and none is in panic. Exit status 5 otherwise. With --wait it "
			"waits until\n"
			"it is, also for a proxy that does not answer yet.",
		.examples = "sluicectl health\n"
			    "sluicectl health --pool api || page-someone\n"
			    "sluicectl health --wait=30s",
		.waits = true,
		.options = {{"--pool", "POOL", WORD_POOL, .doc = "look at this pool alone"}},
		.run = verb_health,
	},
	{
		.name = "top",
		.group = LOOK,
		.doc = "a live view; q leaves it, s sorts, arrows scroll, space holds it",
		.examples = "sluicectl top\n"
			    "sluicectl top --pool api --interval 500ms\n"
			    "sluicectl top --once",
		.options =
			{
				{"--pool", "POOL", WORD_POOL, .doc = "only this pool"},
				{"--interval", "DURATION", WORD_DURATION,
				 .doc = "between two pictures (default 1s, at least 100ms)"},
				{"--once", .doc = "print one picture, measured over one interval"},
			},
		.run = verb_top,
	},
	{
		.name = "set-weight",
		.group = CHANGE,
		.doc = "change a target's share: 0 to 1000, or `default` for its source's",
		.more = NAMED "\nIt survives reload, push and restart. 0 drains.",
		.examples = "sluicectl set-weight 10.0.1.10:8443 50\n"
			    "sluicectl set-weight 10.0.1.10:8443 10 --for 30m --why canary\n"
			    "sluicectl set-weight 10.0.1.10:8443 default",
		.words = {TARGET, {.name = "WEIGHT", .kind = WORD_TEXT}},
		.options = {POOL_OPTION, FOR_OPTION, UNTIL_OPTION, WHY_OPTION},
		.run = verb_set_weight,
	},
	{
		.name = "drain",
		.group = CHANGE,
		.doc = "give a target no new sessions, and let those it has go on",
		.more = NAMED
		"\nSessions that are still open after the pool's drain_timeout (5m by default) "
		"are\n"
		"closed. It survives reload, push and restart; `undrain` ends it.\n"
		"--self drains the proxy: it takes nothing new and ends with its last session;\n"
		"with --wait, sluicectl returns when the process is gone.",
		.examples = "sluicectl drain 10.0.1.10:8443 --wait=10m --why \"kernel update\"\n"
			    "sluicectl drain 10.0.1.10:8443 --for 1h\n"
			    "sluicectl drain --self --wait",
		.waits = true,
		.words = {{.name = "TARGET", .kind = WORD_TARGET, .optional = true}},
		.options = {POOL_OPTION,
			    FOR_OPTION,
			    UNTIL_OPTION,
			    WHY_OPTION,
			    {"--self", .doc = "the proxy itself, instead of a target"}},
		.run = verb_drain,
	},
	{
		.name = "undrain",
		.group = CHANGE,
		.doc = "lift drain or maintenance: the target takes sessions again",
		.more = NAMED
		"\n--self takes back the drain of the proxy, while it is a lame duck.",
		.examples = "sluicectl undrain 10.0.1.10:8443\n"
			    "sluicectl undrain --self",
		.words = {{.name = "TARGET", .kind = WORD_TARGET, .optional = true}},
		.options = {POOL_OPTION,
			    {"--self", .doc = "the proxy itself, instead of a target"}},
		.run = verb_undrain,
	},
	{
		.name = "maint",
		.group = CHANGE,
		.doc = "put a target into maintenance: no new sessions, no health checks",
		.more = NAMED
		"\nIts sessions go on, without a deadline. It survives reload, push and "
		"restart;\n`undrain` ends it.",
		.examples =
			"sluicectl maint 10.0.1.10:8443 --until 2026-01-02T06:00:00Z --why disk\n"
			"sluicectl maint 10.0.1.10:8443 --wait",
		.waits = true,
		.words = {TARGET},
		.options = {POOL_OPTION, FOR_OPTION, UNTIL_OPTION, WHY_OPTION},
		.run = verb_maint,
	},
	{
		.name = "add-target",
		.group = CHANGE,
		.doc = "add a target by hand (source \"operator\")",
		.more = "It survives reload, and restart if there is a state_directory.",
		.examples = "sluicectl add-target api 10.0.1.12:8443\n"
			    "sluicectl add-target api 10.0.1.13:8443 --weight 10 --backup",
		.words = {{.name = "POOL", .kind = WORD_POOL},
			  {.name = "ADDRESS", .kind = WORD_TEXT}},
		.options =
			{
				{"--id", "ID", WORD_TEXT, .doc = "its identity beside the address"},
				{"--weight", "N", WORD_NUMBER, .doc = "0 to 1000"},
				{"--zone", "ZONE", WORD_TEXT, .doc = "where it is"},
				{"--max-connections", "N", WORD_NUMBER, .doc = "0 is unlimited"},
				{"--backup", .doc = "used only when the others are out"},
			},
		.run = verb_add_target,
	},
	{
		.name = "remove-target",
		.group = CHANGE,
		.doc = "remove a target that was added by hand; its sessions drain",
		.more = NAMED
		"\nWhat another source lists would come back: drain that instead, or remove it\n"
		"there.",
		.examples = "sluicectl remove-target 10.0.1.12:8443 --wait=5m",
		.waits = true,
		.words = {TARGET},
		.options = {POOL_OPTION},
		.run = verb_remove_target,
	},
	{
		.name = "put-targets",
		.group = CHANGE,
		.doc = "replace a source's whole set of targets",
		.more = "FILE holds {\"generation\": N, \"targets\": [...]} or only the list; - is "
			"stdin. Without\na generation it is the one that follows the source's "
			"current one.",
		.examples = "sluicectl put-targets api deploy targets.json\n"
			    "echo '[{\"address\": \"10.0.1.12:8443\"}]' | "
			    "sluicectl put-targets api deploy -",
		.words = {{.name = "POOL", .kind = WORD_POOL},
			  {.name = "SOURCE", .kind = WORD_SOURCE},
			  {.name = "FILE", .kind = WORD_FILE}},
		.options = {{"--generation", "N", WORD_NUMBER, .doc = "instead of the file's"}},
		.run = verb_put_targets,
	},
	{
		.name = "close-sessions",
		.group = CHANGE,
		.doc = "close all sessions of a target, at a quiet moment of each",
		.more = NAMED,
		.examples = "sluicectl close-sessions 10.0.1.10:8443 --spread 30s\n"
			    "sluicectl close-sessions 10.0.1.10:8443 --rst --wait=10s",
		.waits = true,
		.words = {TARGET},
		.options = {POOL_OPTION,
			    {"--rst", .doc = "reset them at once"},
			    {"--spread", "DURATION", WORD_DURATION,
			     .doc = "spread it over so long, in whole seconds"}},
		.run = verb_close_sessions,
	},
	{
		.name = "kill-session",
		.group = CHANGE,
		.doc = "close one session",
		.more = "ID is the first column of `sessions`.",
		.examples = "sluicectl kill-session 4711\n"
			    "sluicectl kill-session 4711 --rst",
		.words = {{.name = "ID", .kind = WORD_NUMBER}},
		.options = {{"--rst", .doc = "reset it at once"}},
		.run = verb_kill_session,
	},
	{
		.name = "listener",
		.group = PROXY,
		.doc = "stop or go on accepting on a listener",
		.examples = "sluicectl listener pause api\n"
			    "sluicectl listener resume api",
		.words = {{.name = "ACTION", .kind = WORD_CHOICE, .choices = "pause|resume"},
			  {.name = "NAME", .kind = WORD_LISTENER}},
		.run = verb_listener,
	},
	GUARD_VERB,
	{
		.name = "reload",
		.group = PROXY,
		.doc = "read the configuration again; prints its errors, which change nothing",
		.more = "It returns when every worker runs the new one; without --wait after 60s.",
		.examples = "sluicectl reload\n"
			    "sluicectl reload --wait=2m",
		.waits = true,
		.run = verb_reload,
	},
	{
		.name = "doctor",
		.group = OTHER,
		.doc = "what this host can do for a proxy, why not, and what to do about it",
		.more = DOCTOR_MORE,
		.examples = "sluicectl doctor\n"
			    "sluicectl doctor /etc/sluice/sluice.yaml\n"
			    "sluicectl doctor --json | jq '.lines[] | select(.verdict != \"ok\")'\n"
			    "sluicectl doctor --template nlb.yaml --config sluice.yaml",
		.words = {{.name = "FILE", .kind = WORD_FILE, .optional = true}},
		.options = DOCTOR_OPTIONS,
		.run = verb_doctor,
	},
	{
		.name = "completion",
		.group = OTHER,
		.doc = "print a script that makes a shell complete verbs, pools, targets",
		.examples =
			"eval \"$(sluicectl completion bash)\"\n"
			"sluicectl completion zsh >/usr/local/share/zsh/site-functions/_sluicectl\n"
			"sluicectl completion fish >~/.config/fish/completions/sluicectl.fish",
		.words = {{.name = "SHELL", .kind = WORD_CHOICE, .choices = "bash|zsh|fish"}},
		.run = verb_completion,
	},
	{
		.name = "import-haproxy",
		.group = OTHER,
		.doc = "turn the `mode tcp` part of an haproxy.cfg into a sluice.yaml",
		.more = "Every line that is not carried becomes a comment with its number and the "
			"reason.\n"
			"Variables are expanded from the environment, as HAProxy does.",
		.examples = "sluicectl import-haproxy /etc/haproxy/haproxy.cfg > sluice.yaml\n"
			    "sluicectl import-haproxy haproxy.cfg -o sluice.yaml --strict && "
			    "sluice --check sluice.yaml",
		.words = {{.name = "FILE", .kind = WORD_FILE}},
		.options = {{"--output", "FILE", WORD_FILE,
			     .doc = "write there instead of stdout (-o)"},
			    {"--strict", .doc = "exit 1 if anything was not carried"}},
		.run = verb_import_haproxy,
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
