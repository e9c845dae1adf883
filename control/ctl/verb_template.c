/* SPDX-License-Identifier: Apache-2.0
 *
 * `doctor --template FILE`: a line for each attribute of a CloudFormation template that contradicts
 * the configuration, which is that of --config, or asked from the proxy that runs.
 *
 * Failure modes: a template or a configuration that cannot be read or is not valid (its errors, on
 * stderr), or a proxy that does not answer.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/json.h"
#include "control/ctl/template/template.h"
#include "control/ctl/utf8.h"
#include "control/ctl/verbs.h"
#include "proxy/base/conf/check.h"
#include "proxy/base/conf/yaml_tree.h"
#include "proxy/base/jot.h"
#include "proxy/base/version.h"

#define RUNNING "the proxy's configuration"

/* The tree of the proxy that runs, as it was written out; the caller frees it. */
static int ask_for_tree(struct ctl *ctl, struct conf_errors *errors, struct node **ret_tree)
{
	struct reply reply;
	struct path path;

	path_init(&path, "/v1/config");
	int code = ctl_get(ctl, &path, &reply);

	if (code != CTL_OK)
		return code;
	const char *text = field_text(reply.json, "yaml", "");

	if (yaml_tree_parse(RUNNING, text, strlen(text), errors, ret_tree) < 0)
		code = CTL_REFUSED;
	reply_fini(&reply);
	return code;
}

/* CTL_OK with a settled tree, or what the exit status is to be, with the reasons in `errors`. */
static int find_configuration(struct ctl *ctl, struct conf_errors *errors, struct node **ret_tree)
{
	const char *config = args_option(&ctl->args, "--config");
	struct node *tree = NULL;
	int code = CTL_OK;

	if (!config)
		code = ask_for_tree(ctl, errors, &tree);
	else if (yaml_tree_load(config, errors, &tree) < 0)
		code = CTL_REFUSED;
	if (code == CTL_OK && conf_settle(tree, false, errors) < 0)
		code = CTL_REFUSED;
	if (code != CTL_OK)
		node_free(tree);
	else
		*ret_tree = tree;
	return code;
}

static void print_line(const struct ctl *ctl, const json_t *line)
{
	const char *verdict = field_text(line, "verdict", "?");
	char text[2048];

	printf("%s:%llu:%llu: ", field_text(line, "file", "?"),
	       (unsigned long long)field_count(line, "line"),
	       (unsigned long long)field_count(line, "column"));
	screen_print(&ctl->screen, stdout, strcmp(verdict, "fail") == 0 ? COLOUR_BAD : COLOUR_WARN,
		     verdict);
	snprintf(text, sizeof(text), ": %s %s: found %s; the configuration has %s; %s",
		 field_text(line, "resource", "?"), field_text(line, "attribute", "?"),
		 field_text(line, "found", "?"), field_text(line, "configuration", "?"),
		 field_text(line, "remedy", "?"));
	puts(utf8_clean(text));
}

static const char *worst(const json_t *lines)
{
	const char *verdict = "ok";
	const json_t *line;
	size_t i;

	json_array_foreach (lines, i, line)
		if (strcmp(verdict, "fail") != 0)
			verdict = field_text(line, "verdict", "?");
	return verdict;
}

/* Takes `lines`. */
static int report(struct ctl *ctl, json_t *lines)
{
	const char *verdict = worst(lines);
	const json_t *line;
	size_t i;

	if (!lines)
		return ctl_fail("out of memory");
	if (ctl_wants_json(ctl)) {
		json_t *all = JOT({"version", jot_text(SLUICE_VERSION)},
				  {"verdict", jot_text(verdict)}, {"lines", json_incref(lines)});

		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(all);
	} else {
		json_array_foreach (lines, i, line)
			print_line(ctl, line);
		if (json_array_size(lines) == 0)
			puts("the template and the configuration agree");
	}
	int code = strcmp(verdict, "fail") == 0 ? CTL_UNHEALTHY : CTL_OK;

	json_decref(lines);
	return code;
}

int verb_doctor_template(struct ctl *ctl)
{
	struct conf_errors errors = {0};
	struct template template = {0};
	struct node *tree = NULL;
	int code = CTL_REFUSED;

	if (ctl->args.word_count)
		return ctl_usage(ctl, "a configuration to go with --template is given by --config");
	if (template_load(args_option(&ctl->args, "--template"),
			  args_option(&ctl->args, "--parameters"), &errors, &template) == 0)
		code = find_configuration(ctl, &errors, &tree);
	conf_errors_print(&errors, stderr);
	if (code == CTL_OK)
		code = report(ctl, template_judge(&template, tree));
	node_free(tree);
	template_fini(&template);
	conf_errors_fini(&errors);
	return code;
}
