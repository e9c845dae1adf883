/* SPDX-License-Identifier: Apache-2.0
 *
 * What --help prints: the flags that do something from their table in parse.c, those that
 * configure something from the schema, with the defaults that it states.
 */
#include <stdbool.h>
#include <string.h>

#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/value.h"
#include "proxy/options.h"

#define FLAG_WIDTH 24

static void print_option(FILE *out, const char *flag, const char *metavar, const char *doc)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s", flag, metavar ? " " : "", metavar ? metavar : "");
	fprintf(out, "  %-*s %s", FLAG_WIDTH, left, doc);
}

static bool print_key(const struct schema_key *key, const char *path, void *context)
{
	FILE *out = context;
	char words[VALUE_EXPECTED_MAX];

	if (!key->flag)
		return true;
	print_option(out, key->flag, key->metavar, key->doc);
	if (key->values)
		fprintf(out, ":\n%*s%s", FLAG_WIDTH + 3, "",
			value_list_words(key->values, words, sizeof(words)));
	fprintf(out, "\n%*s[%s", FLAG_WIDTH + 3, "", key->variable);
	if (key->fallback)
		fprintf(out, ", default %s", key->fallback);
	if (given_is_list(path))
		fputs(", comma-separated; the flag may be repeated", out);
	if (strcmp(path, GIVEN_PATH_ADMIN) == 0)
		fputs("; unix:/path is where changes are taken, too", out);
	fputs("]\n", out);
	return true;
}

void options_help(FILE *out)
{
	fputs("sluice: a TCP reverse proxy\n\n"
	      "usage: sluice --listen ADDR --target ADDR [--target ADDR ...] [OPTION ...]\n"
	      "       sluice --config FILE [OPTION ...]\n"
	      "       sluice --check [--show] FILE\n"
	      "       sluice --doctor [--json] [FILE]\n\n"
	      "What to do:\n",
	      out);
	print_option(out, "--config", "FILE",
		     "read the configuration from FILE; env:NAME is a variable of that name\n"
		     "                           [SLUICE_CONFIG]\n");
	for (size_t i = 0; i < options_switch_count; i++) {
		print_option(out, options_switches[i].flag, NULL, options_switches[i].doc);
		fputc('\n', out);
	}
	fputs("\nConfiguration (a flag beats its variable, both beat the file):\n", out);
	schema_walk(&schema_root, print_key, out);
	fputs("\nAddresses are 10.0.0.1:80, [2001:db8::1]:80, db.internal:5432 (targets only),\n"
	      ":8080 (IPv6 and IPv4, to listen on), :8000-8099 (a range, likewise), unix:/path.\n"
	      "\nExamples:\n"
	      "  sluice --listen :8080 --target 10.0.1.10:80 --target 10.0.1.11:80\n"
	      "  sluice --listen :5432 --target db.internal:5432 --log json\n"
	      "  SLUICE_LISTEN=:80 SLUICE_TARGETS=10.0.1.10:80,10.0.1.11:80 sluice\n"
	      "  sluice --check --show /etc/sluice/sluice.yaml\n"
	      "\nSignals:\n"
	      "  SIGHUP             read the configuration again; an invalid one changes nothing\n"
	      "  SIGTERM, SIGINT    drain, then exit; twice: skip the lame duck; thrice: exit now\n"
	      "  SIGUSR1            reopen the flow log's file\n"
	      "  SIGUSR2            print the counters as JSON\n"
	      "\nExit status: 0 done, 1 the configuration is invalid (--doctor: something fails), "
	      "2 the\n"
	      "command line is.\n",
	      out);
}
