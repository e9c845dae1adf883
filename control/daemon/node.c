/* SPDX-License-Identifier: Apache-2.0
 *
 * What concerns this node and none of its sources. Happy path: the lifecycle watches for the
 * instance's end, and says how large the fleet is, whose share of the budget is ours; the queue
 * says when to ask at once. Failure modes: a metadata endpoint or a region that is none ends the
 * start; all else is theirs.
 */
#include <errno.h>
#include <string.h>

#include "control/daemon/internal.h"
#include "control/journal.h"
#include "control/lifecycle.h"
#include "control/queue.h"
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

static int start_queue(struct daemon *daemon)
{
	const struct settings *settings = daemon->settings;
	struct queue_conf conf = {.loop = &daemon->loop,
				  .hub = daemon->hub,
				  .place = settings->place,
				  .journal = daemon->journal,
				  .feeds = &daemon->feeds,
				  .topic = settings->queue_topic};
	char problem[256];
	int err;

	if (strcmp(settings->queue, "auto") != 0)
		conf.url = settings->queue;
	err = queue_start(&conf, &daemon->queue, problem, sizeof(problem));
	if (err == -EINVAL)
		log_event(LOG_ERROR, "no_queue", "error=\"%s\"", problem);
	return err;
}

/* On a reload they stay those of the start, so their texts must, too. */
int node_start(struct daemon *daemon)
{
	int err;

	daemon->first = settings_ref(daemon->settings);
	err = daemon->settings->lifecycle ? start_lifecycle(daemon) : 0;
	if (!err && strcmp(daemon->settings->queue, "off") != 0)
		err = start_queue(daemon);
	return err;
}

static void on_left(void *context)
{
	((struct daemon *)context)->loop.stopping = true;
}

void node_leave(struct daemon *daemon)
{
	if (!daemon->queue)
		return;
	daemon->loop.stopping = false; /* a second signal ends it at once */
	queue_leave(daemon->queue, on_left, daemon);
	loop_run(&daemon->loop);
}

void node_stop(struct daemon *daemon)
{
	queue_stop(daemon->queue);
	lifecycle_stop(daemon->lifecycle);
	settings_free(daemon->first);
}
