/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a `global` section.
 */
#include <string.h>

#include "control/ctl/haproxy/parse.h"

#define SERVICE "how a service is started is the service manager's business"
#define TLS     "Sluice speaks no TLS"
#define TUNING  "of HAProxy's own inside"
#define ADMIN   "Sluice has `admin:`, see sluicectl --help"

static void take_maxconn(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	hap_take_number(hap, line, 1, &hap->global.maxconn);
}

static void take_nbthread(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	hap_take_number(hap, line, 1, &hap->global.nbthread);
}

static void take_hard_stop(struct hap *hap, struct hap_section *section,
			   const struct hap_line *line)
{
	hap_take_time(hap, line, 1, 1, &hap->global.hard_stop);
}

static void take_spread_checks(struct hap *hap, struct hap_section *section,
			       const struct hap_line *line)
{
	hap_take_number(hap, line, 1, &hap->global.spread_checks);
}

static void take_user(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	hap->global.user = (struct hap_text){hap_word(line, 1), line};
}

static const struct hap_keyword keywords[] = {
	{.name = "maxconn", .take = take_maxconn},
	{.name = "nbthread", .take = take_nbthread},
	{.name = "hard-stop-after", .take = take_hard_stop},
	{.name = "spread-checks", .take = take_spread_checks},
	{.name = "user", .take = take_user},

	{"busy-polling", NULL, HAP_NOTE, "Sluice has busy_poll_us"},
	{"ca-base", NULL, HAP_NOTE, TLS},
	{"chroot", NULL, HAP_NOTE, SERVICE},
	{"cpu-map", NULL, HAP_NOTE, "Sluice pins its workers by itself where that helps"},
	{"crt-base", NULL, HAP_NOTE, TLS},
	{"daemon", NULL, HAP_NOTE, SERVICE},
	{"description", NULL, HAP_NOTE, TUNING},
	{"gid", NULL, HAP_NOTE, "Sluice takes the group of `user`"},
	{"group", NULL, HAP_NOTE, "Sluice takes the group of `user`"},
	{"insecure-*", NULL, HAP_NOTE, TUNING},
	{"log", NULL, HAP_NOTE, "Sluice logs to stdout and stderr, or to log.path"},
	{"log-send-hostname", NULL, HAP_NOTE, "Sluice logs to stdout and stderr, or to log.path"},
	{"log-tag", NULL, HAP_NOTE, "Sluice logs to stdout and stderr, or to log.path"},
	{"lua-*", NULL, HAP_LOST, "Sluice runs no scripts"},
	{"master-worker", NULL, HAP_NOTE, SERVICE},
	{"maxpipes", NULL, HAP_NOTE, TUNING},
	{"max-spread-checks", NULL, HAP_NOTE, TUNING},
	{"mworker-*", NULL, HAP_NOTE, SERVICE},
	{"nbproc", NULL, HAP_NOTE, "Sluice is one process; see `workers`"},
	{"no*", NULL, HAP_NOTE, TUNING},
	{"node", NULL, HAP_NOTE, TUNING},
	{"pidfile", NULL, HAP_NOTE, SERVICE},
	{"pp2-never-send-local", NULL, HAP_LOST, "Sluice's checks send LOCAL where targets get v2"},
	{"presetenv", NULL, HAP_LOST, "variables come from the environment of the import alone"},
	{"resetenv", NULL, HAP_LOST, "variables come from the environment of the import alone"},
	{"server-state-*", NULL, HAP_NOTE, "Sluice has state_directory"},
	{"set-dumpable", NULL, HAP_NOTE, SERVICE},
	{"setenv", NULL, HAP_LOST, "variables come from the environment of the import alone"},
	{"ssl-*", NULL, HAP_NOTE, TLS},
	{"stats", NULL, HAP_NOTE, ADMIN},
	{"tune.*", NULL, HAP_NOTE, TUNING},
	{"uid", NULL, HAP_LOST, "Sluice takes a name: `user`"},
	{"ulimit-n", NULL, HAP_NOTE, "Sluice takes what the service manager allows"},
	{"unix-bind", NULL, HAP_LOST, "write whole paths and modes at each bind"},
	{"unsetenv", NULL, HAP_LOST, "variables come from the environment of the import alone"},
	{"maxconnrate", NULL, HAP_LOST, "Sluice limits no rate of clients"},
	{"maxsessrate", NULL, HAP_LOST, "Sluice limits no rate of clients"},
};

void hap_take_global(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	if (!hap_take_keyword(hap, section, line, 0, keywords, HAP_COUNT(keywords)))
		hap_note(hap, line, HAP_LOST, "\"%s\" is not known here", hap_word(line, 0));
}
