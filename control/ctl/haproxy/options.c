/* SPDX-License-Identifier: Apache-2.0
 *
 * `option X`, `no option X` and `default option X`.
 */
#include <string.h>

#include "control/ctl/haproxy/parse.h"

#define ALWAYS "Sluice always does"
#define NEVER  "Sluice never does"
#define HTTP   "only for mode http"

static const char *const flags[HAP_OPTIONS] = {
	[HAP_ALLBACKUPS] = "allbackups",
	[HAP_CLITCPKA] = "clitcpka",
	[HAP_DONTLOG_NORMAL] = "dontlog-normal",
	[HAP_REDISPATCH] = "redispatch",
	[HAP_SRVTCPKA] = "srvtcpka",
	[HAP_TCPKA] = "tcpka",
	[HAP_TCPLOG] = "tcplog",
};

static const struct hap_keyword keywords[] = {
	{.name = "httpchk", .take = hap_take_httpchk},
	{.name = "pgsql-check", .take = hap_take_pgsql_check},
	{.name = "redis-check", .take = hap_take_redis_check},
	{.name = "smtpchk", .take = hap_take_smtp_check},
	{.name = "ssl-hello-chk", .take = hap_take_tls_check},
	{.name = "tcp-check", .take = hap_take_script_check},
	{.name = "ldap-check", .take = hap_take_plain_check},
	{.name = "mysql-check", .take = hap_take_plain_check},
	{.name = "spop-check", .take = hap_take_plain_check},

	{"abortonclose", NULL, HAP_NOTE, "a client that leaves the queue loses its place"},
	{"checkcache", NULL, HAP_NOTE, HTTP},
	{"contstats", NULL, HAP_NOTE, ALWAYS},
	{"disable-h2-upgrade", NULL, HAP_NOTE, HTTP},
	{"dontlognull", NULL, HAP_NOTE,
	 "Sluice counts and does not log connections without a byte, from `trusted` balancers"},
	{"external-check", NULL, HAP_LOST, "Sluice runs no programs"},
	{"forwardfor", NULL, HAP_NOTE, HTTP},
	{"h1-*", NULL, HAP_NOTE, HTTP},
	{"http*", NULL, HAP_NOTE, HTTP},
	{"idle-close-on-response", NULL, HAP_NOTE, HTTP},
	{"independent-streams", NULL, HAP_LOST, "Sluice has one idle timeout for both ways"},
	{"log-health-checks", NULL, HAP_NOTE, ALWAYS},
	{"log-separate-errors", NULL, HAP_NOTE, "a flow's line says its reason"},
	{"logasap", NULL, HAP_NOTE, "Sluice logs a session when it ends"},
	{"nolinger", NULL, HAP_NOTE, NEVER},
	{"originalto", NULL, HAP_NOTE, HTTP},
	{"persist", NULL, HAP_LOST, NEVER},
	{"prefer-last-server", NULL, HAP_NOTE, HTTP},
	{"socket-stats", NULL, HAP_NOTE, ALWAYS},
	{"splice-*", NULL, HAP_NOTE, "Sluice splices where it pays: `relay`"},
	{"srvtcpka-*", NULL, HAP_NOTE, ALWAYS},
	{"tcp-smart-accept", NULL, HAP_NOTE, "Sluice sends no needless segments either"},
	{"tcp-smart-connect", NULL, HAP_NOTE, "Sluice sends no needless segments either"},
	{"transparent", NULL, HAP_LOST, NEVER},
};

/* `value` is 0 to turn it off. */
static bool take_flag(struct hap_section *section, const struct hap_line *line, const char *name,
		      bool on)
{
	for (size_t i = 0; i < HAP_OPTIONS; i++) {
		if (strcmp(name, flags[i]) != 0)
			continue;
		section->options[i] = (struct hap_value){on, on ? line : NULL};
		return true;
	}
	return false;
}

static bool is_check(const char *name)
{
	size_t len = strlen(name);

	return (len > 3 && strcmp(name + len - 3, "chk") == 0) ||
	       (len > 6 && strcmp(name + len - 6, "-check") == 0);
}

void hap_take_option(struct hap *hap, struct hap_section *section, const struct hap_line *line)
{
	bool on = strcmp(hap_word(line, 0), "option") == 0;
	unsigned at = on ? 1 : 2;
	const char *name = hap_word(line, at);

	if (take_flag(section, line, name, on))
		return;
	if (!on && is_check(name))
		section->check = (struct hap_check){0};
	else if (on && !hap_take_keyword(hap, section, line, at, keywords, HAP_COUNT(keywords)))
		hap_note(hap, line, HAP_LOST, "\"%s\" is not known here", name);
}
