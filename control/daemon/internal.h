/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of control/daemon/ share. Everyone else includes control/daemon.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/daemon.h"
#include "control/daemon/subscription.h"
#include "control/feed.h"
#include "proxy/base/loop.h"

struct aws_hub;
struct conf_errors;
struct dryrun;
struct http;
struct journal;
struct lastgood;
struct lifecycle;
struct link;
struct queue;
struct serve;

struct daemon {
	const struct control_options *options;
	struct settings *settings; /* a reference */
	char *admin_socket;        /* of the proxy; NULL: nothing is pushed */
	struct loop loop;
	struct loop_source signals;
	struct aws_hub *hub;
	struct http *http; /* to the proxy */
	struct link *link;
	struct lastgood *lastgood;
	struct journal *journal;
	struct serve *serve; /* NULL: nobody can ask */
	struct subscriptions subs;
	struct feed_set feeds;
	struct queue *queue; /* NULL: off */
	uint32_t fleet_size;
	struct settings *first;      /* a reference to those of the start; NULL before it */
	struct lifecycle *lifecycle; /* NULL: off */
	struct timer beat_timer;     /* manager.c */

	/* --once */
	struct timer once_timer;
	uint64_t once_deadline_us;
	struct dryrun *dryrun; /* NULL: things are done, not shown */
	int status;            /* enum control_exit */
};

/* manager.c: the service manager, which is found before the sandbox. `problem` is NULL if all went
 * well. */
void manager_find(void);
void manager_ready(struct daemon *daemon);
void manager_reloading(void);
void manager_reloaded(const struct daemon *daemon, const char *problem);
void manager_stopping(void);

/* Start feeds for what has none yet, and set what all of them share from the settings. 0 or
 * -ENOMEM. */
int feeding_start(struct daemon *daemon);

/* Take back what is configured no longer: from the list, which it empties, and from the proxy. */
void feeding_end(struct daemon *daemon, struct list *left);

/* After another fleet size, or another set of sources. */
void feeding_stretch(struct daemon *daemon);

/* The way to the proxy, for the pools of the settings: 0 or -errno. */
int feeding_connect(struct daemon *daemon);

/* Sources of the proxy's that were ours and are in the configuration no longer. */
void feeding_on_proxy_up(struct daemon *daemon);

/* What concerns this node and no source: its end, the size of its fleet, its queue. 0 or -errno. */
int node_start(struct daemon *daemon);
/* Turn the loop for as long as it takes to delete what is ours at AWS: some seconds at most. */
void node_leave(struct daemon *daemon);
void node_stop(struct daemon *daemon);

/* SIGHUP. */
void reload(struct daemon *daemon);

/* Log what there is to say of a configuration. */
void reload_log_findings(const struct conf_errors *errors);

/* --once: look again and again whether everything was asked and is in force. */
void once_start(struct daemon *daemon);

/* With --dry-run: show what it would do. 0 or -ENOMEM. */
int once_start_dry(struct daemon *daemon);
