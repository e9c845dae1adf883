/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the gauge of source ports left for each target. Asking the kernel about all sockets takes
 * long where there are many, so it is done only while somebody looks, every few seconds, and a
 * piece in each turn of main's loop.
 *
 * Happy path: somebody looks, a walk over the kernel's sockets begins, each socket that leads to a
 * target is counted, and at the end every target gets what is left of the range. Failure mode: the
 * kernel cannot be asked, or there is no memory; then the gauges say that they do not know.
 */
#include <errno.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/main/supervisor.h"
#include "proxy/netlink.h"
#include "proxy/registry.h"
#include "proxy/target.h"

#define AGAIN_MS 5000
#define LOOK_US  (120 * US_PER_SEC) /* scrapes are a minute apart at most */

struct counted {
	struct addr remote; /* family 0: a free place */
	uint32_t count;
};

/* Addresses of targets and the sockets that lead there: a hash with open addressing. */
struct census {
	struct supervisor *sv;
	struct netlink_walk *walk;
	size_t mask;
	struct counted places[];
};

static struct counted *place_of(struct census *census, const struct addr *remote)
{
	size_t at = (addr_hash_host(remote) ^ remote->port * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
		    census->mask;

	while (census->places[at].remote.family && !addr_equal(&census->places[at].remote, remote))
		at = (at + 1) & census->mask;
	return &census->places[at];
}

static void count_socket(const struct addr *remote, void *data)
{
	struct counted *place = place_of(data, remote);

	place->count += place->remote.family != 0;
}

static void for_each_target(struct supervisor *sv,
			    void (*run)(struct census *census, const struct target_record *record),
			    struct census *census)
{
	for (size_t i = 0; i < registry_pool_count(sv->registry); i++) {
		const struct pool_record *pool = registry_pool_at(sv->registry, i);

		for (size_t j = 0; j < pool->target_count; j++)
			run(census, pool->targets[j]);
	}
}

static void expect(struct census *census, const struct target_record *record)
{
	struct addr remote = addr_unmap(&record->target->addr);

	if (remote.family != AF_UNIX)
		place_of(census, &remote)->remote = remote;
}

static void forget(struct census *census, const struct target_record *record)
{
	atomic_store(&record->target->source_ports_left, -1);
}

/* The range, once per source address, less what is in use or in TIME_WAIT towards the target. One
 * that came while we counted has to wait for the next time. */
static void tell(struct census *census, const struct target_record *record)
{
	const struct limits *limits = &census->sv->limits;
	const struct pool_conf *conf = record->pool->conf;
	struct addr remote = addr_unmap(&record->target->addr);
	size_t sources = conf->source_count ? conf->source_count : 1;
	int64_t left = (int64_t)sources * (limits->port_high - limits->port_low + 1);
	const struct counted *place;

	if (remote.family == AF_UNIX)
		return;
	place = place_of(census, &remote);
	if (!place->remote.family)
		return;
	left -= place->count;
	atomic_store(&record->target->source_ports_left, left > 0 ? (int32_t)left : 0);
}

static struct census *census_new(struct supervisor *sv)
{
	struct census *census;
	size_t targets = 0, places = 16;

	for (size_t i = 0; i < registry_pool_count(sv->registry); i++)
		targets += registry_pool_at(sv->registry, i)->target_count;
	while (places < 2 * targets)
		places *= 2;
	census = calloc(1, sizeof(*census) + places * sizeof(census->places[0]));
	if (!census)
		return NULL;
	census->sv = sv;
	census->mask = places - 1;
	for_each_target(sv, expect, census);
	return census;
}

static void census_free(struct census *census)
{
	if (census)
		netlink_walk_free(census->walk);
	free(census);
}

/* An event of the same turn may still come: the source stays, and has no fd. */
static void end(struct supervisor *sv)
{
	sv->census_source.fd = -1;
	census_free(sv->census);
	sv->census = NULL;
}

static int begin(struct supervisor *sv)
{
	struct census *census = census_new(sv);
	int err = census ? netlink_walk_start(count_socket, census, &census->walk) : -ENOMEM;

	if (err) {
		census_free(census);
		for_each_target(sv, forget, NULL);
		return err;
	}
	sv->census = census;
	return 0;
}

/* One piece more. 1: there is more. */
static int step(struct supervisor *sv)
{
	struct census *census = sv->census;
	int r = netlink_walk_step(census->walk);

	if (r > 0)
		return r;
	for_each_target(sv, r < 0 ? forget : tell, census);
	end(sv);
	return r;
}

static void on_more(struct loop_source *source, uint32_t events)
{
	struct supervisor *sv = container_of(source, struct supervisor, census_source);

	if (step(sv) <= 0)
		loop_arm(&sv->loop, &sv->census_timer, AGAIN_MS);
}

static void begin_in_pieces(struct supervisor *sv)
{
	if (!begin(sv)) {
		sv->census_source = (struct loop_source){.on_event = on_more,
							 .fd = netlink_walk_fd(sv->census->walk)};
		if (!loop_add(&sv->loop, &sv->census_source, EPOLLIN))
			return;
		source_ports_stop(sv);
	}
	loop_arm(&sv->loop, &sv->census_timer, AGAIN_MS);
}

static void on_timer(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, census_timer);

	if (clock_us() - sv->census_looked_us < LOOK_US)
		begin_in_pieces(sv);
}

void source_ports_init(struct supervisor *sv)
{
	timer_init(&sv->census_timer, on_timer);
}

void source_ports_look(struct supervisor *sv)
{
	sv->census_looked_us = clock_us();
	if (!sv->census && !timer_is_armed(&sv->census_timer))
		begin_in_pieces(sv);
}

void source_ports_now(struct supervisor *sv)
{
	bool looked = sv->census || timer_is_armed(&sv->census_timer);

	source_ports_stop(sv);
	if (!begin(sv))
		while (step(sv) > 0)
			continue;
	if (looked)
		loop_arm(&sv->loop, &sv->census_timer, AGAIN_MS);
}

void source_ports_stop(struct supervisor *sv)
{
	timer_cancel(&sv->census_timer);
	end(sv);
}
