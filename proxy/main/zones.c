/* SPDX-License-Identifier: Apache-2.0
 *
 * Where this process stands, for pools that prefer targets of their own zone. Happy path: the
 * configuration names the zone; or says `auto`, a thread asks (proxy/zone.h), and its answer is in
 * force from then on, reloads included: a machine does not move.
 *
 * Failure mode: nobody knows. Then zones do not matter, which one warning says; a reload asks anew.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/main/supervisor.h"
#include "proxy/registry.h"

static void stop_asking(struct supervisor *sv)
{
	zone_stop(sv->zone_finder);
	sv->zone_finder = NULL;
	if (sv->zone_wake.fd >= 0)
		close(sv->zone_wake.fd);
	sv->zone_wake.fd = -1;
}

static int apply(struct supervisor *sv, const char *names)
{
	int err = registry_set_zone(sv->registry, names);

	if (err)
		log_event(LOG_ERROR, "zone_not_applied", "error=\"%s\"", strerror(-err));
	return err;
}

static void on_answer(struct loop_source *source, uint32_t events)
{
	struct supervisor *sv = container_of(source, struct supervisor, zone_wake);
	char names[ZONE_LIST], problem[ZONE_PROBLEM];
	enum zone_state state = zone_answer(sv->zone_finder, names, problem);

	if (state == ZONE_ASKING)
		return;
	stop_asking(sv);
	if (state == ZONE_UNKNOWN) {
		log_event(
			LOG_WARN, "zone_unknown",
			"error=\"%s\" hint=\"zones do not matter now; name it with `zone:`, or in "
			"a container allow the metadata service two hops\"",
			problem);
		return;
	}
	log_event(LOG_INFO, "zone_found", "zone=%s", names);
	sv->zone_is_found = true;
	apply(sv, names);
}

static int ask(struct supervisor *sv)
{
	int err = 0;

	sv->zone_wake = (struct loop_source){.on_event = on_answer,
					     .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (sv->zone_wake.fd < 0)
		return -errno;
	err = loop_add(&sv->loop, &sv->zone_wake, EPOLLIN);
	if (!err)
		err = zone_start(sv->zone_wake.fd, &sv->zone_finder);
	if (err)
		stop_asking(sv);
	return err;
}

int zones_configure(struct supervisor *sv, const struct config *config)
{
	bool off = !strcmp(config->zone, "off");
	bool find = !strcmp(config->zone, "auto");
	const char *before = registry_zone(sv->registry);
	const char *now = off || find ? NULL : config->zone;
	int err;

	if (find && (sv->zone_is_found || sv->zone_finder))
		return 0;
	stop_asking(sv);
	sv->zone_is_found = false;
	err = find ? ask(sv) : 0;
	if (err)
		log_event(LOG_WARN, "zone_unknown", "error=\"%s\"", strerror(-err));
	if (before == now || (before && now && !strcmp(before, now)))
		return 0;
	return apply(sv, now);
}

void zones_stop(struct supervisor *sv)
{
	stop_asking(sv);
}
