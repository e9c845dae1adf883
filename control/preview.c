/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: sources are opened on a loop that never turns, what they would call is added up and
 * printed, and they are closed again. See preview.h.
 */
#include "control/preview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/aws.h"
#include "control/daemon/subscription.h"
#include "control/estimate.h"
#include "control/options.h"
#include "control/settings.h"
#include "proxy/base/conf/errors.h"
#include "proxy/base/loop.h"
#include "proxy/base/version.h"

static void print(const char *config_file, const struct settings *settings,
		  const struct subscriptions *subs)
{
	uint32_t *calls = subscriptions_calls_x100(subs, ESTIMATE_TARGETS);
	struct estimate estimate = {.settings = settings,
				    .calls_x100 = calls,
				    .fleet_size = settings->fleet_size ? settings->fleet_size : 1};
	char warning[512];

	printf("%s is valid\n", config_file);
	if (calls)
		estimate_print(&estimate, stdout);
	if (calls && estimate_warns(&estimate, estimate_in_container(), warning, sizeof(warning)))
		printf("warning: %s\n", warning);
	free(calls);
}

static int check(const char *config_file, struct settings *settings, struct subscriptions *subs)
{
	struct conf_errors errors = {0};
	struct list left;
	int err;

	list_init(&left);
	err = subscriptions_open(subs, settings, &errors, &left);
	conf_errors_print(&errors, stderr);
	conf_errors_fini(&errors);
	if (!err)
		print(config_file, settings, subs);
	subscriptions_close(subs, &subs->all);
	return err;
}

int preview_check(const char *config_file, struct settings *settings)
{
	struct aws_hub_conf conf = {.ca_file = settings->ca_file,
				    .fips = settings->fips,
				    .dual_stack = settings->dual_stack,
				    .fleet_size = 1,
				    .user_agent = "sluice-control/" SLUICE_VERSION};
	struct subscriptions subs;
	struct aws_hub *hub = NULL;
	struct loop loop;
	int err = loop_init(&loop);

	if (err)
		return CONTROL_CONFIG;
	err = aws_hub_new(&loop, &conf, &hub);
	if (err)
		fprintf(stderr, "sluice-control: %s\n", strerror(-err));
	subscriptions_init(&subs, &loop, hub);
	if (!err)
		err = check(config_file, settings, &subs);
	aws_hub_free(hub);
	loop_reap(&loop);
	loop_fini(&loop);
	return err ? CONTROL_CONFIG : CONTROL_OK;
}
