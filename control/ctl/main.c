/* SPDX-License-Identifier: Apache-2.0
 *
 * sluicectl: one process, one verb. Happy path: parse argv, run the verb, flush what it printed.
 *
 * Failure modes: a command line that makes no sense ends before anything is opened; a full disk or
 * a closed pipe behind stdout is told by the exit status.
 */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl/completion/completion.h"
#include "control/ctl/ctl.h"
#include "control/ctl/help.h"
#include "control/ctl/socket.h"
#include "proxy/base/version.h"

static int flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	perror("sluicectl: stdout");
	return code ? code : CTL_REFUSED;
}

static int run(struct ctl *ctl)
{
	ctl->client = socket_client(&ctl->args);
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
	if (argc > 1 && strcmp(argv[1], COMPLETION_REQUEST) == 0)
		return completion_answer(argc - 2, argv + 2);
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
