/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: READY=1 with our own pid, so that a successor that --replace started becomes the main
 * process of the unit; WATCHDOG=1 every other second while all loops turn; RELOADING=1 and READY=1
 * around a reload; at a stop, phase by phase, how long it may still take.
 *
 * Failure modes: a worker is stuck: the watchdog is not fed, and the manager restarts us. A
 * predecessor would contradict its successor, so it is silent from the moment it is replaced. The
 * manager does not listen: nothing can be done about it.
 *
 * STOPPING=1 cannot be taken back, and a lame duck can: it is sent when listeners close.
 */
#include "proxy/main/service.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "proxy/admin/admin.h"
#include "proxy/admin/watch.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/notify.h"
#include "proxy/base/version.h"
#include "proxy/config.h"
#include "proxy/main/supervisor.h"

#define BEAT_MS   2000
#define MARGIN_US (30 * US_PER_SEC) /* beyond a phase's own deadline */

static struct {
	struct supervisor *sv; /* NULL: it does not beat */
	struct admin_ops ops;
	struct watch watch;
	struct timer timer;
} heart;

static void wake_worker(void *context, unsigned index)
{
	struct supervisor *sv = context;

	worker_wake(sv->workers[index]);
}

static void beat(struct timer *timer)
{
	char why[64];

	watch_beat(&heart.watch);
	watch_tick(&heart.watch, clock_us());
	if (!watch_is_stuck(&heart.watch, why, sizeof(why)))
		notify_send("WATCHDOG=1");
	loop_arm(&heart.sv->loop, timer, BEAT_MS);
}

static int start_beating(struct supervisor *sv)
{
	int err;

	heart.ops = (struct admin_ops){.context = sv, .wake_worker = wake_worker};
	err = watch_init(&heart.watch, &heart.ops, sv->counts, sv->worker_count);
	if (err)
		return err;
	heart.sv = sv;
	timer_init(&heart.timer, beat);
	loop_arm(&sv->loop, &heart.timer, BEAT_MS);
	return 0;
}

void service_open(void)
{
	int err = notify_open();

	if (err)
		log_event(LOG_WARN, "no_service_manager", "error=\"%s\"", strerror(-err));
}

static const struct config *config_of(const struct supervisor *sv)
{
	return sv->config->config;
}

void service_ready(struct supervisor *sv)
{
	int err;

	if (!notify_is_open())
		return;
	err = start_beating(sv);
	if (!err)
		err = notify_send("MAINPID=%d\nREADY=1\nSTATUS=" SLUICE_VERSION
				  " serves %zu listeners, %zu pools",
				  (int)getpid(), config_of(sv)->listener_count,
				  config_of(sv)->pool_count);
	if (err)
		log_event(LOG_ERROR, "service_manager_not_told", "error=\"%s\"", strerror(-err));
}

void service_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_us());
}

void service_reloaded(struct supervisor *sv, int err, const char *why)
{
	if (err)
		notify_send("READY=1\nSTATUS=the last reload changed nothing: %s", why);
	else
		service_serves_on(sv);
}

void service_serves_on(struct supervisor *sv)
{
	notify_send("READY=1\nSTATUS=" SLUICE_VERSION " serves %zu listeners, %zu pools",
		    config_of(sv)->listener_count, config_of(sv)->pool_count);
}

void service_drains(struct supervisor *sv)
{
	uint64_t now = clock_us(), deadline = sv->phase_deadline_us;

	notify_send("%sEXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=drains, %" PRIu64 " sessions left",
		    sv->phase > PHASE_LAME_DUCK ? "STOPPING=1\n" : "",
		    (deadline > now ? deadline - now : 0) + MARGIN_US, crew_sessions(sv));
}

void service_end(void)
{
	if (heart.sv) {
		timer_cancel(&heart.timer);
		watch_fini(&heart.watch);
		heart.sv = NULL;
	}
	notify_close();
}
