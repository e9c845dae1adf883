/* SPDX-License-Identifier: Apache-2.0
 *
 * `doctor`: what `sluice --doctor --json` of this host says, as a table. It asks no proxy that
 * runs: the program beside this one, else the one that PATH has, is run for it.
 *
 * Failure modes: there is no such program, or what it says is not a report.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/show.h"
#include "control/ctl/verbs.h"

#define EXEC_FAILED 127 /* what a shell says */

/* The sluice that was installed with us. */
static void find_program(char *ret_path, size_t size)
{
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (length > 0) {
		own[length] = '\0';
		slash = strrchr(own, '/');
		*slash = '\0';
		if ((size_t)snprintf(ret_path, size, "%s/sluice", own) < size &&
		    access(ret_path, X_OK) == 0)
			return;
	}
	snprintf(ret_path, size, "sluice");
}

/* In the child: does not return. */
static void become_doctor(const char *program, const char *config, int out)
{
	dup2(out, STDOUT_FILENO);
	execlp(program, program, "--doctor", "--json", config, (char *)NULL);
	fprintf(stderr, "sluicectl: %s: %s\n", program, strerror(errno));
	_exit(EXEC_FAILED);
}

/* The report as JSON, and how the program ended; NULL if it said nothing that is JSON. */
static json_t *consult(const char *config, int *ret_status)
{
	char program[PATH_MAX];
	json_t *report = NULL;
	FILE *from;
	int fds[2];
	pid_t child;

	find_program(program, sizeof(program));
	if (pipe2(fds, O_CLOEXEC))
		return NULL;
	child = fork();
	if (child == 0)
		become_doctor(program, config, fds[1]);
	close(fds[1]);
	from = fdopen(fds[0], "r");
	if (child > 0 && from)
		report = json_loadf(from, 0, NULL);
	if (from)
		fclose(from);
	if (child < 0 || waitpid(child, ret_status, 0) < 0)
		*ret_status = -1;
	return report;
}

static enum colour verdict_colour(const char *verdict)
{
	if (strcmp(verdict, "ok") == 0)
		return COLOUR_GOOD;
	if (strcmp(verdict, "fail") == 0)
		return COLOUR_BAD;
	return strcmp(verdict, "warn") == 0 ? COLOUR_WARN : COLOUR_DIM;
}

static void print_report(struct ctl *ctl, const json_t *report)
{
	static const struct column columns[] = {
		{.title = "VERDICT"},
		{.title = "ABOUT", .drop = 1},
		{.title = "WHAT"},
		{.title = "FINDING", .least = 24},
		{.title = "REMEDY", .least = 24, .drop = 2},
	};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	const json_t *line;
	size_t i;

	json_array_foreach (json_object_get(report, "lines"), i, line) {
		const char *verdict = field_text(line, "verdict", "?");

		table_add(table, verdict);
		table_colour(table, verdict_colour(verdict));
		table_add(table, field_text(line, "interface", field_text(line, "chapter", "")));
		show_text(table, line, "name");
		show_text(table, line, "finding");
		table_add(table, field_text(line, "remedy", ""));
	}
	table_finish(table, &ctl->screen);
}

int verb_doctor(struct ctl *ctl)
{
	const char *config = ctl->args.word_count ? ctl->args.words[0] : NULL;
	int status = -1;

	if (args_option(&ctl->args, "--template"))
		return verb_doctor_template(ctl);
	if (args_option(&ctl->args, "--config") || args_option(&ctl->args, "--parameters"))
		return ctl_usage(ctl, "--config and --parameters go with --template; for this "
				      "host give FILE alone");
	json_t *report = consult(config, &status);
	bool fails = strcmp(field_text(report, "verdict", ""), "fail") == 0;

	if (!json_is_object(report) || !field_known(report, "lines")) {
		json_decref(report);
		return ctl_fail("sluice --doctor gave no report");
	}
	if (ctl_wants_json(ctl)) {
		json_dumpf(report, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_report(ctl, report);
	}
	json_decref(report);
	return fails ? CTL_UNHEALTHY : CTL_OK;
}
