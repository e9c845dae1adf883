/* SPDX-License-Identifier: Apache-2.0
 *
 * What concerns this node and none of its sources. Happy path: the lifecycle watches for the
 * instance's end, and says how large the fleet is, whose share of the budget is ours.
 * Failure modes: a metadata endpoint that is none ends the start; all else is the lifecycle's.
 */
#include <errno.h>

#include "control/daemon/internal.h"
#include "control/journal.h"
#include "control/lifecycle.h"
#include "control/settings.h"
#include "proxy/base/log.h"

static void on_size(void *context, uint32_t nodes)
{
	struct daemon *daemon = context;

	if (nodes == daemon->fleet_size)
		return;
	journal_note(daemon->journal, LOG_INFO, "fleet_size", NULL, NULL, NULL,
		     "the group wants %u nodes, not %u; intervals follow", nodes,
		     daemon->fleet_size);
	daemon->fleet_size = daemon->feeds.fleet_size = nodes;
	aws_hub_set_fleet_size(daemon->hub, nodes);
	feeding_stretch(daemon);
}

static int start_lifecycle(struct daemon *daemon)
{
	const struct settings *settings = daemon->settings;
	struct lifecycle_conf conf = {.loop = &daemon->loop,
				      .hub = daemon->hub,
				      .place = settings->place,
				      .journal = daemon->journal,
				      .hook = settings->lifecycle_hook,
				      .on_size = settings->fleet_size ? NULL : on_size,
				      .context = daemon};
	int err = lifecycle_start(&conf, &daemon->lifecycle);

	if (err == -EINVAL)
		log_event(LOG_ERROR, "no_metadata_endpoint",
			  "hint=\"AWS_EC2_METADATA_SERVICE_ENDPOINT or its _MODE is not one\"");
	if (!err)
		lifecycle_use_link(daemon->lifecycle, daemon->link);
	return err;
}

int node_start(struct daemon *daemon)
{
	/* On a reload they stay those of the start, so their texts must, too. */
	daemon->first = settings_ref(daemon->settings);
	return daemon->settings->lifecycle ? start_lifecycle(daemon) : 0;
}

void node_stop(struct daemon *daemon)
{
	lifecycle_stop(daemon->lifecycle);
	settings_free(daemon->first);
}
