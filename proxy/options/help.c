/* SPDX-License-Identifier: Apache-2.0
 *
 * What --help prints: the flags that do something from the tables in parse.c, those that
 * configure something from the schema, with the defaults that it states.
 */
#include <stdbool.h>
#include <string.h>

#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/value.h"
#include "proxy/options.h"

static bool print_key(const struct schema_key *key, const char *path, void *context)
{
	FILE *out = context;
	char words[VALUE_EXPECTED_MAX];

	if (!key->flag)
		return true;
	cmdline_print_flag(out, key->flag, key->metavar, key->doc);
	if (key->values)
		fprintf(out, ":\n%*s%s", CMDLINE_HELP_INDENT, "",
			value_list_words(key->values, words, sizeof(words)));
	fprintf(out, "\n%*s[%s", CMDLINE_HELP_INDENT, "", key->variable);
	if (key->fallback)
		fprintf(out, ", default %s", key->fallback);
	if (given_is_list(path))
		fputs(", comma-separated; the flag may be repeated", out);
	if (strcmp(path, GIVEN_PATH_ADMIN) == 0)
		fputs("; unix:/path is where changes are taken, too", out);
	fputs("]\n", out);
	return true;
}

static void print_own(FILE *out)
{
	for (size_t i = 0; i < options_grammar.flag_count; i++) {
		const struct cmdline_flag *flag = &options_grammar.flags[i];

		cmdline_print_flag(out, flag->flag, flag->metavar, flag->doc);
		fprintf(out, "\n%*s[%s]\n", CMDLINE_HELP_INDENT, "", flag->variable);
	}
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
	print_own(out);
	cmdline_print_switches(out, &options_grammar);
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
