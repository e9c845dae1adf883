/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's fast path comes up before anything is bound and goes down after the last worker.
 *
 * It is never needed: without the capability, the kernel or the file systems that it takes,
 * sessions are relayed as they are with `offload: off`, and one line says why.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/sandbox.h"
#include "proxy/main/supervisor.h"
#include "proxy/offload.h"

static bool has_mode(const struct config *config, enum offload_mode mode)
{
	for (size_t i = 0; i < config->pool_count; i++)
		if (config->pools[i].offload == mode)
			return true;
	return false;
}

static bool wants_flow(const struct config *config)
{
	return has_mode(config, OFFLOAD_AUTO) || has_mode(config, OFFLOAD_FLOW);
}

/* What `auto` means; an interface's `auto` is the fast path's. */
static enum flow_hook hook_of(enum fast_hook hook, enum flow_hook by_default)
{
	switch (hook) {
	case FAST_HOOK_TC:
		return FLOW_HOOK_TC;
	case FAST_HOOK_XDP:
		return FLOW_HOOK_XDP_NATIVE;
	case FAST_HOOK_XDP_GENERIC:
		return FLOW_HOOK_XDP_GENERIC;
	default:
		return by_default;
	}
}

static struct offload_conf conf_of(const struct supervisor *sv, const struct fast_path_conf *fast)
{
	struct offload_conf conf = {.sessions = fast->sessions,
				    .hook = hook_of(fast->hook, FLOW_HOOK_TC),
				    .interface_count = fast->interface_count,
				    .workers = sv->limits.workers};

	for (size_t i = 0; i < fast->interface_count; i++) {
		struct offload_interface *interface = &conf.interfaces[i];

		snprintf(interface->name, sizeof(interface->name), "%s", fast->interfaces[i].name);
		interface->hook = hook_of(fast->interfaces[i].hook, conf.hook);
	}
	return conf;
}

/* Loopback is always met by tc, and so is whatever has no other hook. */
static unsigned hooks_in_use(const struct offload_conf *conf)
{
	unsigned hooks = 1u << FLOW_HOOK_TC | 1u << conf->hook;

	for (size_t i = 0; i < conf->interface_count; i++)
		hooks |= 1u << conf->interfaces[i].hook;
	return hooks;
}

/* Without pins everything else is the same, but a crash ends what is offloaded. */
static const char *choose_pins(const char *path)
{
	int err = strcmp(path, "off") ? offload_check_pins(path) : -ECANCELED;

	if (err == -ECANCELED)
		return NULL; /* as they want it */
	if (!err)
		return path;
	log_event(LOG_INFO, "offload_not_pinned",
		  "path=%s error=\"%s\" text=\"connections in the fast path end with this "
		  "process, however it ends\"",
		  path, strerror(-err));
	return NULL;
}

/* One that could not be tried is not trusted either: there is no fallback at the first anomaly. */
static void qualify_sockmap(struct supervisor *sv)
{
	char problem[512];

	sv->sockmap_refused = offload_qualify_sockmap(problem, sizeof(problem)) != 0;
	if (sv->sockmap_refused)
		log_event(LOG_WARN, "offload_unavailable",
			  "text=\"pools with offload: sockmap are relayed: %s\"", problem);
}

void fastpath_qualify(struct supervisor *sv, const struct config *config)
{
	struct offload_conf conf = conf_of(sv, &config->fast_path);
	unsigned hooks = wants_flow(config) ? hooks_in_use(&conf) : 0;
	unsigned user = supervisor_future_user(config);
	char pins[OFFLOAD_PIN_MAX], problem[512];
	int err;

	offload_place_pins(config->fast_path.pin, user, pins);
	if (hooks && strcmp(config->fast_path.pin, "off") != 0)
		offload_make_pins(pins, user);
	for (unsigned hook = 0; hook < FLOW_HOOKS && !sv->offload_refused; hook++) {
		if (!(hooks >> hook & 1))
			continue;
		err = offload_qualify((enum flow_hook)hook, problem, sizeof(problem));
		sv->offload_refused = err == -EPROTO;
		if (err == -EPROTO)
			log_event(LOG_WARN, "offload_unavailable",
				  "text=\"every session is relayed: %s\"", problem);
		else if (err)
			log_event(LOG_WARN, "offload_untried", "text=\"%s\"", problem);
	}
	if (has_mode(config, OFFLOAD_SOCKMAP))
		qualify_sockmap(sv);
}

static unsigned long long limit_of(const struct supervisor *sv)
{
	struct offload_counts counts;

	offload_sum(sv->offload, &counts);
	return counts.limit;
}

void fastpath_start(struct supervisor *sv, const struct config *config)
{
	struct offload_conf conf = conf_of(sv, &config->fast_path);
	char pins[OFFLOAD_PIN_MAX], problem[256] = "";
	int err;

	offload_place_pins(config->fast_path.pin, geteuid(), pins);
	conf.untrusted = sv->offload_refused;
	conf.flow = (wants_flow(config) && !conf.untrusted) || offload_has_estate(pins);
	conf.sockmap = has_mode(config, OFFLOAD_SOCKMAP) && !sv->sockmap_refused;
	if (conf.flow || conf.sockmap) {
		conf.pin_path = conf.flow ? choose_pins(pins) : NULL;
		err = offload_start(&conf, &sv->offload, problem, sizeof(problem));
		if (err || problem[0])
			log_event(LOG_WARN, "offload_unavailable", "text=\"%s is relayed: %s\"",
				  err ? "every session" : "what it was for", problem);
		if (!err)
			log_event(LOG_INFO, "offload_ready", "sessions=%llu", limit_of(sv));
	}
	if (!sv->offload)
		offload_drop_pins(pins);
	/* What the keeper alone needs, it has by now. */
	sandbox_keep_only(SANDBOX_KEEP_PORTS);
}

void fastpath_reloaded(struct supervisor *sv, const struct config *config)
{
	if ((wants_flow(config) || has_mode(config, OFFLOAD_SOCKMAP)) && !sv->offload)
		log_event(
			LOG_WARN, "offload_unavailable",
			"text=\"every session is relayed: the offload starts with the process, or "
			"with --replace\"");
}

void fastpath_stop(struct supervisor *sv)
{
	offload_stop(sv->offload, false);
	sv->offload = NULL;
}
