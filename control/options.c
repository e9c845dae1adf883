/* SPDX-License-Identifier: Apache-2.0
 *
 * What sluice-control can be told, and the rules about what goes together. See options.h.
 */
#include "control/options.h"

#include <errno.h>
#include <stddef.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/conf/schema.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct cmdline_switch switches[] = {
	{"--check", offsetof(struct control_options, check),
	 "validate the configuration, estimate its load, and exit: 0 if valid, else 1"},
	{"--once", offsetof(struct control_options, once),
	 "ask every source once, push, and exit: 0, or 3 if one failed or is held"},
	{"--dry-run", offsetof(struct control_options, dry_run),
	 "with --once: print what would change at the proxy, and touch nothing"},
	{"--iam-policy", offsetof(struct control_options, iam_policy),
	 "print the least-privilege IAM policy for the configuration, and exit"},
	{"--version", offsetof(struct control_options, version), "print the version and exit"},
	{"--help", offsetof(struct control_options, help), "print this and exit"},
};

static const struct cmdline_flag flags[] = {
	{"--config", CMDLINE_PREFIX "CONFIG", NULL, "FILE",
	 "the configuration, shared with sluice; env:NAME is a variable of that name"},
	{"--control-socket", CMDLINE_PREFIX "CONTROL_SOCKET", "control.socket", "PATH",
	 "a Unix socket, where everything can be asked and told"},
	{"--admin", CMDLINE_PREFIX "ADMIN", GIVEN_PATH_ADMIN, "unix:PATH",
	 "the proxy's admin socket, where targets are pushed to"},
};

static const char *const schema_flags[] = {"--log-level", "--state-directory", "--user", NULL};

/* Of sluicectl, and of tests. */
static const char *const foreign[] = {CMDLINE_PREFIX "SOCKET=", CMDLINE_PREFIX "SECCOMP=",
				      CMDLINE_PREFIX "FAULT", CMDLINE_PREFIX "HASTEN=", NULL};

static const struct cmdline_grammar grammar = {
	.switches = switches,
	.switch_count = COUNT(switches),
	.flags = flags,
	.flag_count = COUNT(flags),
	.schema_flags = schema_flags,
	.foreign = foreign,
	.variables_in = "--help of sluice-control or sluice",
	.leaves_lists = true,
};

static void check_together(const struct control_options *options, struct conf_errors *errors)
{
	const struct given_value *admin = given_find(&options->line.given, GIVEN_PATH_ADMIN);

	if (options->help || options->version || conf_failed(errors))
		return;
	if (admin && admin->is_flag)
		cmdline_complain(errors, admin->origin,
				 "found no socket; expected one such as "
				 "unix:/run/sluice/admin.sock");
	if (options->check + options->once + options->iam_policy > 1)
		cmdline_complain(errors, "sluice-control",
				 "found several of --check, --once and --iam-policy; expected one");
	if (options->dry_run && !options->once)
		cmdline_complain(errors, "--dry-run", "found it without --once; expected both");
	if (!options->line.config_file)
		cmdline_complain(
			errors, "sluice-control",
			"found no configuration; expected --config FILE; --help has all flags");
}

int control_options_parse(int argc, char *const argv[], char *const envp[],
			  struct conf_errors *errors, struct control_options *ret_options)
{
	struct control_options options = {0};
	int err = cmdline_read(&grammar, argc, argv, envp, errors, &options, &options.line);

	if (err == 0)
		check_together(&options, errors);
	if (err == 0 && conf_failed(errors))
		err = -EINVAL;
	if (err < 0) {
		control_options_fini(&options);
		return err;
	}
	*ret_options = options;
	return 0;
}

void control_options_fini(struct control_options *options)
{
	cmdline_fini(&options->line);
}

static void print_value(FILE *out, const char *variable, const char *fallback)
{
	fprintf(out, "\n%*s[%s%s%s]\n", CMDLINE_HELP_INDENT, "", variable,
		fallback ? ", default " : "", fallback ? fallback : "");
}

static void print_values(FILE *out)
{
	for (size_t i = 0; i < COUNT(flags); i++) {
		cmdline_print_flag(out, flags[i].flag, flags[i].metavar, flags[i].doc);
		print_value(out, flags[i].variable, NULL);
	}
	for (const char *const *flag = schema_flags; *flag; flag++) {
		struct given_key found;

		given_by_flag(*flag, &found);
		cmdline_print_flag(out, *flag, found.key->metavar, found.key->doc);
		print_value(out, found.key->variable, found.key->fallback);
	}
}

void control_options_help(FILE *out)
{
	fputs("sluice-control: keeps the targets of sluice in step with AWS, DNS and files\n\n"
	      "usage: sluice-control --config FILE [--once [--dry-run]] [OPTION ...]\n"
	      "       sluice-control --check FILE\n"
	      "       sluice-control --iam-policy FILE\n\n"
	      "What to do:\n",
	      out);
	cmdline_print_switches(out, &grammar);
	fputs("\nConfiguration (a flag beats its variable, both beat the file):\n", out);
	print_values(out);
	fputs("\nIt acts on the discover: parts of the pools and on control:, and finds the proxy "
	      "at\n"
	      "admin.socket. AWS credentials and region come from where the AWS tools have them.\n"
	      "\nSignals:\n"
	      "  SIGHUP             read the configuration again; an invalid one changes nothing\n"
	      "  SIGTERM, SIGINT    exit; the proxy keeps its targets\n"
	      "\nExit status: 0 done, 1 the configuration is invalid or the start failed,\n"
	      "2 the command line is wrong, 3 with --once: a source failed or is held back.\n",
	      out);
}
