/* SPDX-License-Identifier: Apache-2.0
 *
 * sluicectl: one process, one verb. Happy path: parse argv, run the verb, flush what it printed.
 *
 * Failure modes: a command line that makes no sense ends before anything is opened; a full disk or
 * a closed pipe behind stdout is told by the exit status.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl/ctl.h"
#include "control/ctl/help.h"
#include "proxy/base/version.h"

#define DEFAULT_SOCKET "/run/sluice/admin.sock"
#define UNIX_PREFIX    "unix:"

/* A path, or `unix:/path` as the configuration may have it. */
static const char *socket_path(const struct args *args)
{
	const char *path = args->globals[GLOBAL_SOCKET];
	if (!path)
		path = getenv("SLUICE_SOCKET");
	if (!path || !*path)
		path = DEFAULT_SOCKET;
	return strncmp(path, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0 ? path + strlen(UNIX_PREFIX)
								    : path;
}

static int flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	perror("sluicectl: stdout");
	return code ? code : CTL_REFUSED;
}

static int run(struct ctl *ctl)
{
	ctl->client = client_new(socket_path(&ctl->args));
	if (!ctl->client)
		return ctl_fail("out of memory");
	screen_init(&ctl->screen, STDOUT_FILENO);
	int code = ctl->args.verb->run(ctl);

	client_free(ctl->client);
	return code;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};
	char why[ARGS_WHY];

	setlocale(LC_CTYPE, "");
	if (args_parse(argc, argv, &ctl.args, why) < 0) {
		fprintf(stderr, "sluicectl: %s\n  see: sluicectl --help\n", why);
		return CTL_USAGE;
	}
	if (ctl.args.globals[GLOBAL_HELP] && ctl.args.verb)
		help_verb(ctl.args.verb, stdout);
	else if (ctl.args.globals[GLOBAL_HELP])
		help_program(stdout);
	else if (ctl.args.globals[GLOBAL_VERSION])
		puts("sluicectl " SLUICE_VERSION);
	else if (!ctl.args.verb) {
		help_program(stderr);
		return CTL_USAGE;
	} else
		return flush(run(&ctl));
	return flush(CTL_OK);
}
