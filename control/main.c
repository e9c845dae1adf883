/* SPDX-License-Identifier: Apache-2.0
 *
 * sluice-control: what was asked for on the command line, done. Happy path: the options are parsed,
 * the configuration is loaded, the daemon runs until it is told to end, exit 0.
 * Failure modes: usage (2) and configuration (1) errors are all printed; a start that fails exits 1
 * after the log has said why; --once exits 3 when not everything went well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/aws/credentials.h"
#include "control/daemon.h"
#include "control/iam.h"
#include "control/options.h"
#include "control/preview.h"
#include "control/settings.h"
#include "control/source.h"
#include "proxy/base/conf/errors.h"
#include "proxy/base/jot.h"
#include "proxy/base/version.h"

static int show_policy(const struct settings *settings)
{
	char region[64];
	json_t *policy = iam_policy(settings, source_kinds,
				    credentials_region(settings->place.profile, region));
	int failed = !policy || json_dumpf(policy, stdout, JSON_INDENT(2)) || putchar('\n') == EOF;

	json_decref(policy);
	return failed ? CONTROL_CONFIG : CONTROL_OK;
}

static int serve(const struct control_options *options, struct settings *settings)
{
	struct daemon *daemon;
	int status;

	if (daemon_start(options, settings, &daemon))
		return CONTROL_CONFIG;
	status = daemon_run(daemon);
	daemon_stop(daemon);
	return status;
}

static int act(const struct control_options *options)
{
	struct conf_errors errors = {0};
	struct settings *settings = NULL;
	int status = settings_load(options, &errors, &settings) ? CONTROL_CONFIG : CONTROL_OK;

	conf_errors_print(&errors, stderr);
	conf_errors_fini(&errors);
	if (status != CONTROL_OK)
		return status;
	if (options->check)
		status = preview_check(options->line.config_file, settings);
	else if (options->iam_policy)
		status = show_policy(settings);
	else
		status = serve(options, settings);
	settings_free(settings);
	return status;
}

int main(int argc, char *argv[])
{
	struct conf_errors errors = {0};
	struct control_options options = {0};
	int err = control_options_parse(argc, argv, environ, &errors, &options);
	int status = CONTROL_OK;

	conf_errors_print(&errors, stderr);
	conf_errors_fini(&errors);
	if (err)
		return CONTROL_USAGE;
	if (options.help)
		control_options_help(stdout);
	else if (options.version)
		puts("sluice-control " SLUICE_VERSION);
	else
		status = act(&options);
	control_options_fini(&options);
	return status;
}
