/* SPDX-License-Identifier: Apache-2.0
 *
 * sluice: what was asked for on the command line, done. Happy path: the options are parsed, the
 * configuration is loaded, the supervisor runs until it has drained, exit 0.
 * Failure modes: usage (2) and configuration (1) errors are all printed; a start that fails exits 1
 * after the log has said why.
 */
#include <stdio.h>
#include <unistd.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/version.h"
#include "proxy/config.h"
#include "proxy/main/demonstration.h"
#include "proxy/main/detach.h"
#include "proxy/main/diagnosis.h"
#include "proxy/main/supervisor.h"
#include "proxy/options.h"

/* 0 with the configuration, or an exit status. */
static int load(const struct options *options, struct config **ret_config)
{
	struct conf_errors errors = {0};
	int err = config_load(options, &errors, ret_config);

	conf_errors_print(&errors, stderr);
	conf_errors_fini(&errors);
	return err ? EXIT_CONFIG : EXIT_OK;
}

static int check(const struct options *options)
{
	struct config *config = NULL;
	int status = load(options, &config);

	if (status == EXIT_OK && options->show)
		config_show(config, stdout);
	else if (status == EXIT_OK)
		printf("%s is valid\n",
		       options->line.config_file ? options->line.config_file : "the configuration");
	config_free(config);
	return status;
}

static int serve(struct options *options)
{
	static struct supervisor sv;
	struct config *config;
	int status;

	if (options->detach && detach_begin()) {
		perror("sluice: --detach");
		return EXIT_CONFIG;
	}
	if (options->demo && demonstration_begin(options))
		return EXIT_CONFIG;
	status = load(options, &config);
	if (status != EXIT_OK)
		return status;
	if (supervisor_start(&sv, options, config))
		return EXIT_CONFIG;
	detach_done();
	if (options->demo)
		demonstration_show(&sv);
	supervisor_run(&sv);
	if (options->demo)
		demonstration_end(&sv);
	supervisor_finish(&sv);
	return EXIT_OK;
}

static int doctor_run(const struct options *options)
{
	struct config *config = NULL;
	int status = options->line.config_file ? load(options, &config) : EXIT_OK;

	if (status == EXIT_OK)
		status = diagnosis_print(config, options->json) ? EXIT_CONFIG : EXIT_OK;
	config_free(config);
	return status;
}

static int act(struct options *options)
{
	if (options->help) {
		options_help(stdout);
		return EXIT_OK;
	}
	if (options->version) {
		puts("sluice " SLUICE_VERSION);
		return EXIT_OK;
	}
	if (options->doctor)
		return doctor_run(options);
	return options->check ? check(options) : serve(options);
}

int main(int argc, char *argv[])
{
	struct conf_errors errors = {0};
	struct options options = {0};
	int err = options_parse(argc, argv, environ, &errors, &options);
	int status;

	conf_errors_print(&errors, stderr);
	conf_errors_fini(&errors);
	if (err)
		return EXIT_USAGE;
	status = act(&options);
	options_fini(&options);
	return status;
}
