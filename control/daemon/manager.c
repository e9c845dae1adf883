/* SPDX-License-Identifier: Apache-2.0
 *
 * What the service manager is told of sluice-control (proxy/base/notify.h). Happy path: READY=1 at
 * the end of the start, WATCHDOG=1 every other second from the loop in which everything happens,
 * RELOADING=1 and READY=1 around a reload, STOPPING=1.
 * Failure mode: the loop hangs; then nothing is said, and the manager restarts us.
 */
#include <inttypes.h>
#include <string.h>

#include "control/daemon/internal.h"
#include "control/settings.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/notify.h"
#include "proxy/base/version.h"

#define BEAT_MS 2000

static void beat(struct timer *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, beat_timer);

	notify_send("WATCHDOG=1");
	loop_arm(&daemon->loop, timer, BEAT_MS);
}

static void say_ready(const struct daemon *daemon)
{
	notify_send("READY=1\nSTATUS=" SLUICE_VERSION " keeps %zu sources of %zu pools",
		    daemon->settings->source_count, daemon->settings->pool_count);
}

void manager_find(void)
{
	int err = notify_open();

	if (err)
		log_event(LOG_WARN, "no_service_manager", "error=\"%s\"", strerror(-err));
}

void manager_ready(struct daemon *daemon)
{
	timer_init(&daemon->beat_timer, beat);
	if (!notify_is_open())
		return;
	say_ready(daemon);
	loop_arm(&daemon->loop, &daemon->beat_timer, BEAT_MS);
}

void manager_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_us());
}

void manager_reloaded(const struct daemon *daemon, const char *problem)
{
	if (problem)
		notify_send("READY=1\nSTATUS=the last reload changed nothing: %s", problem);
	else
		say_ready(daemon);
}

void manager_stopping(void)
{
	notify_send("STOPPING=1");
	notify_close();
}
