/* SPDX-License-Identifier: Apache-2.0
 *
 * Stopping. Happy path: SIGTERM or SIGINT; the lame duck still accepts, for as long as it was told
 * and then until nobody comes any more; then listeners drain (SYNs are dropped, what is queued is
 * accepted, and only then they close), sessions end by themselves until drain_timeout, and those
 * that remain are closed at quiet moments. Each phase logs one line with what remains and its
 * deadline. A second signal cuts the lame duck short, a third exits at once.
 *
 * Failure modes: connections keep coming until lame_duck_max: the listeners drain all the same, and
 * say so. SYN_RECV cannot be counted (no netlink), or somebody stays in it: the listener closes
 * after 5 s all the same, and says so.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/main/binding.h"
#include "proxy/main/operations.h"
#include "proxy/main/service.h"
#include "proxy/main/supervisor.h"
#include "proxy/netlink.h"

#define TICK_MS           10
#define LISTENER_DRAIN_US (5 * US_PER_SEC) /* two retransmissions of a SYN-ACK */
#define CLOSING_JITTER_MS 1000
#define CLOSING_WAIT_MS   3000
#define CLOSING_MORE_MS   1000 /* for the last resets to leave */

static unsigned long long left_ms(uint64_t deadline_us)
{
	uint64_t now = clock_us();

	return deadline_us > now ? (deadline_us - now) / US_PER_MS : 0;
}

static void enter(struct supervisor *sv, enum phase phase, const char *event, uint64_t wait_us)
{
	sv->phase = phase;
	sv->phase_deadline_us = clock_us() + wait_us;
	log_event(LOG_INFO, event, "sessions=%llu deadline_ms=%llu",
		  (unsigned long long)crew_sessions(sv), left_ms(sv->phase_deadline_us));
	loop_arm(&sv->loop, &sv->phase_timer, 1);
	service_drains(sv);
}

static const struct config *config_of(const struct supervisor *sv)
{
	return sv->snapshot->config;
}

void drain_binding(struct supervisor *sv, struct binding *binding)
{
	struct worker_message message = {.op = WORKER_DRAIN, .key = binding->key};

	list_remove(&binding->link);
	list_push_back(&sv->drained, &binding->link);
	binding->drain_deadline_us = clock_us() + LISTENER_DRAIN_US;
	binding_unlink(binding);
	crew_tell(sv, &message);
	if (!timer_is_armed(&sv->drain_timer))
		loop_arm(&sv->loop, &sv->drain_timer, 1);
}

/* Wait until every CPU has left the packet it was at (a grace period; membarrier(2)). After it, no
 * SYN that came before a filter is still on its way into SYN_RECV, and no handshake that has left
 * SYN_RECV is still on its way into an accept queue. */
static void fence(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0,
		0); /* where it is refused: a tick must do */
}

/* Nobody is in the middle of a handshake any more. */
static bool is_settled(const struct binding *binding)
{
	unsigned embryos = 0;

	if (binding->path)
		return true;
	if (!netlink_count_syn_recv(&binding->actual, &embryos) && !embryos)
		return true;
	if (clock_us() < binding->drain_deadline_us)
		return false;
	log_event(LOG_WARN, "listener_closed_early", "listener=%s handshakes=%u", binding->name,
		  embryos);
	return true;
}

static void close_binding(struct supervisor *sv, struct binding *binding)
{
	struct worker_message message = {.op = WORKER_UNLISTEN, .key = binding->key};
	char text[ADDR_TEXT];

	crew_tell(sv, &message);
	log_event(LOG_INFO, "listener_closed", "listener=%s bind=%s", binding->name,
		  addr_format(&binding->bound, text));
	list_remove(&binding->link);
	binding_free(binding);
}

static void on_drain_timer(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, drain_timer);
	bool any = false;

	fence();
	list_for_each (link, &sv->drained) {
		struct binding *binding = container_of(link, struct binding, link);

		binding->settled = is_settled(binding);
		any |= binding->settled;
	}
	if (any)
		fence();
	list_for_each_safe (link, &sv->drained) {
		struct binding *binding = container_of(link, struct binding, link);

		if (binding->settled)
			close_binding(sv, binding);
	}
	if (!list_empty(&sv->drained))
		loop_arm(&sv->loop, &sv->drain_timer, TICK_MS);
}

static void enter_listeners(struct supervisor *sv)
{
	enter(sv, PHASE_LISTENERS, "drain_listeners", config_of(sv)->drain_timeout_ms * US_PER_MS);
	while (!list_empty(&sv->bindings))
		drain_binding(sv, container_of(sv->bindings.next, struct binding, link));
}

/* The deadline of the sessions is drain_timeout from the moment the listeners began to drain. */
static void enter_sessions(struct supervisor *sv)
{
	uint64_t deadline = sv->phase_deadline_us;

	enter(sv, PHASE_SESSIONS, "drain_sessions", left_ms(deadline) * US_PER_MS);
}

static void enter_closing(struct supervisor *sv)
{
	struct worker_message message = {
		.op = WORKER_CLOSE, .jitter_ms = CLOSING_JITTER_MS, .wait_ms = CLOSING_WAIT_MS};

	enter(sv, PHASE_CLOSING, "drain_closing",
	      (CLOSING_JITTER_MS + CLOSING_WAIT_MS + CLOSING_MORE_MS) * US_PER_MS);
	crew_tell(sv, &message);
}

static void abort_rest(struct supervisor *sv)
{
	struct worker_message message = {.op = WORKER_ABORT};

	log_event(LOG_WARN, "drain_aborted", "sessions=%llu",
		  (unsigned long long)crew_sessions(sv));
	crew_tell(sv, &message);
}

static void finish(struct supervisor *sv)
{
	sv->phase = PHASE_DONE;
	sv->loop.stopping = true;
}

/* For how long nobody came but probes; those go on for ever. */
static uint64_t quiet_us(struct supervisor *sv, uint64_t now)
{
	uint64_t clients = crew_clients(sv);

	if (clients != sv->duck_clients)
		sv->duck_quiet_us = now;
	sv->duck_clients = clients;
	return now - sv->duck_quiet_us;
}

/* Silence ends it, which a load balancer falls into some time after it was told to stop; or its
 * deadline, which a second signal brings forward. */
static bool duck_is_done(struct supervisor *sv)
{
	uint64_t now = clock_us();
	bool quiet = quiet_us(sv, now) >= config_of(sv)->lame_duck_quiet_ms * US_PER_MS;

	if (now < sv->phase_deadline_us)
		return quiet && now >= sv->duck_until_us;
	if (!quiet && sv->phase_deadline_us > sv->duck_until_us)
		log_event(LOG_WARN, "drain_not_quiet", "text=\"connections still come\"");
	return true;
}

static void on_phase_timer(struct timer *timer)
{
	struct supervisor *sv = container_of(timer, struct supervisor, phase_timer);
	bool over = clock_us() >= sv->phase_deadline_us;
	bool empty = !crew_sessions(sv);

	if (sv->phase == PHASE_LAME_DUCK && duck_is_done(sv))
		enter_listeners(sv);
	else if (sv->phase == PHASE_LISTENERS && list_empty(&sv->drained))
		enter_sessions(sv);
	else if (sv->phase == PHASE_SESSIONS && over && !empty)
		enter_closing(sv);
	else if (sv->phase == PHASE_CLOSING && over && !empty)
		abort_rest(sv);
	else if (sv->phase >= PHASE_SESSIONS && empty)
		finish(sv);
	if (sv->phase != PHASE_DONE)
		loop_arm(&sv->loop, &sv->phase_timer, TICK_MS);
}

void drain_init(struct supervisor *sv)
{
	timer_init(&sv->drain_timer, on_drain_timer);
	timer_init(&sv->phase_timer, on_phase_timer);
}

int drain_cancel(struct supervisor *sv)
{
	if (sv->phase == PHASE_SERVING)
		return -EALREADY;
	if (sv->phase != PHASE_LAME_DUCK)
		return -EBUSY;
	timer_cancel(&sv->phase_timer);
	sv->phase = PHASE_SERVING;
	sv->stop_signals = 0;
	log_event(LOG_INFO, "drain_cancelled", "sessions=%llu",
		  (unsigned long long)crew_sessions(sv));
	service_serves_on(sv);
	return 0;
}

/* Readiness says no from here on. Without `lame_duck` nobody has to be waited for. */
static void enter_lame_duck(struct supervisor *sv, bool skip)
{
	const struct config *config = config_of(sv);
	uint32_t least_ms = skip ? 0 : config->lame_duck_ms, most_ms = least_ms;

	if (least_ms && config->lame_duck_quiet_ms && config->lame_duck_max_ms > least_ms)
		most_ms = config->lame_duck_max_ms;
	sv->duck_clients = crew_clients(sv);
	sv->duck_quiet_us = clock_us();
	enter(sv, PHASE_LAME_DUCK, "drain_lame_duck", most_ms * US_PER_MS);
	sv->duck_until_us = sv->phase_deadline_us - (most_ms - least_ms) * US_PER_MS;
}

void drain_signal(struct supervisor *sv, bool replaced)
{
	sv->stop_signals++;
	if (sv->stop_signals >= 3) {
		abort_rest(sv);
		finish(sv);
		return;
	}
	if (sv->phase == PHASE_LAME_DUCK)
		sv->phase_deadline_us = 0;
	if (sv->phase != PHASE_SERVING)
		return;
	if (replaced) {
		log_event(LOG_INFO, "replaced", "by another process");
		operations_yield(sv);
		service_end();
	}
	enter_lame_duck(sv, replaced);
}
