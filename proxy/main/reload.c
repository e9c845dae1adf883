/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing what is served. Happy path: SIGHUP; the configuration is read again, what it newly
 * binds is bound, a snapshot is built and given to every worker, new listeners listen, and
 * listeners that are gone are drained like at a stop. Listeners that stay are never touched, and
 * sessions keep the snapshot they began with.
 *
 * Failure modes: an invalid file, or an address that cannot be bound, changes nothing at all and
 * says why. What only a new process can change (workers, user, limits) is named and left as it is;
 * `sluice --replace` brings it into force.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/errors.h"
#include "proxy/base/log.h"
#include "proxy/config.h"
#include "proxy/events.h"
#include "proxy/main/binding.h"
#include "proxy/main/service.h"
#include "proxy/main/supervisor.h"
#include "proxy/registry.h"
#include "proxy/resolve.h"
#include "proxy/static_targets.h"

#define RESOLVE_WAIT_MS 2000

/* What a reload holds until it is certain to succeed. */
struct change {
	struct config_ref *config;
	struct list bindings; /* struct binding::link, bound and not listening */
};

static int load(struct supervisor *sv, struct conf_errors *errors, struct config_ref **ret_config)
{
	struct config *config = NULL;
	int err = config_load(sv->options, errors, &config);

	if (err)
		return err;
	*ret_config = config_ref_new(config, config_free);
	if (*ret_config)
		return 0;
	config_free(config);
	return -ENOMEM;
}

int reload_resolver(struct supervisor *sv, const struct config *config)
{
	const char **names = NULL;
	size_t count = 0;
	int err = 0;

	for (size_t i = 0; i < config->pool_count && !err; i++) {
		const struct pool_conf *pool = &config->pools[i];

		for (size_t j = 0; j < pool->target_count; j++) {
			const char **grown;

			if (!pool->targets[j].host)
				continue;
			grown = realloc(names, (count + 1) * sizeof(char *));
			if (!grown) {
				free(names);
				return -ENOMEM;
			}
			names = grown;
			names[count++] = pool->targets[j].host;
		}
	}
	if (count && !sv->resolver)
		err = resolver_start(config->resolve_interval_ms, sv->names.fd, &sv->resolver);
	if (!err && sv->resolver)
		err = resolver_set_names(sv->resolver, names, count, config->resolve_interval_ms);
	if (!err && count)
		resolver_wait(sv->resolver, RESOLVE_WAIT_MS);
	free(names);
	return err;
}

static int prepare(struct supervisor *sv, struct conf_errors *errors, struct change *change)
{
	int err = load(sv, errors, &change->config);

	if (!err)
		err = guarding_check(sv, change->config->config, errors);
	if (!err)
		err = listeners_bind(sv, change->config->config, &change->bindings);
	if (!err)
		err = reload_resolver(sv, change->config->config);
	return err;
}

/* The registry learns the new pools first, and the old ones again if workers can't be told. */
static int apply(struct supervisor *sv, struct config_ref *config)
{
	int err = publish_configure(sv, config->config);

	if (!err)
		err = publish_targets(sv, config);
	if (!err)
		registry_commit(sv->registry);
	if (err && publish_configure(sv, sv->config->config))
		atomic_fetch_add(&config->refs, 1); /* the registry may still look into it */
	return err;
}

static void undo(struct change *change)
{
	struct list *link;

	while ((link = list_pop_front(&change->bindings))) {
		struct binding *binding = container_of(link, struct binding, link);

		binding_unlink(binding);
		binding_free(binding);
	}
	config_ref_put(change->config);
}

static void drain_removed(struct supervisor *sv, const struct config *config)
{
	list_for_each_safe (link, &sv->bindings) {
		struct binding *binding = container_of(link, struct binding, link);

		if (!config_listener_of(config, &binding->bound))
			drain_binding(sv, binding);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static void name_what_stays(const struct config *before, const struct config *after)
{
	if (before->workers != after->workers || !same_text(before->user, after->user) ||
	    before->max_connections != after->max_connections ||
	    before->buffers != after->buffers || before->busy_poll_us != after->busy_poll_us)
		log_event(LOG_WARN, "reload_partial",
			  "workers, user, max_connections, buffers and busy_poll_us change with "
			  "--replace only");
}

/* A change of where or how the flow log is written. */
static bool log_differs(const struct flow_conf *a, const struct flow_conf *b)
{
	return a->format != b->format || !same_text(a->path, b->path);
}

static void log_findings(const struct conf_errors *errors)
{
	const char *text;

	for (size_t i = 0; (text = conf_error_text(errors, i)); i++)
		log_event(LOG_ERROR, "config_error", "%s", text);
	for (size_t i = 0; (text = conf_warning_text(errors, i)); i++)
		log_event(LOG_WARN, "config_warning", "%s", text);
}

/* One sentence; the log has had all findings by now. */
static const char *why_failed(int err, const struct conf_errors *errors)
{
	if (err == -EBUSY)
		return "the process is draining";
	return conf_failed(errors) ? conf_error_text(errors, 0) : strerror(-err);
}

static int change_config(struct supervisor *sv, struct conf_errors *errors)
{
	struct change change = {0};
	struct config_ref *before = sv->config;
	int err;

	list_init(&change.bindings);
	err = sv->phase == PHASE_SERVING ? prepare(sv, errors, &change) : -EBUSY;
	if (!err)
		err = apply(sv, change.config);
	log_findings(errors);
	sv->reload_failed = err != 0;
	if (err) {
		events_add(sv->events, LOG_ERROR, "reload_failed", NULL, NULL,
			   "nothing was changed: %s", why_failed(err, errors));
		undo(&change);
		return err;
	}
	name_what_stays(before->config, change.config->config);
	fastpath_reloaded(sv, change.config->config);
	listeners_listen(sv, change.config->config, &change.bindings);
	drain_removed(sv, change.config->config);
	sv->config = change.config;
	log_set_level_name(sv->config->config->log_level);
	guarding_apply(sv, before->config, sv->config->config);
	zones_configure(sv, sv->config->config);
	if (log_differs(&before->config->flow, &sv->config->config->flow))
		logs_reopen(sv);
	config_ref_put(before);
	events_add(sv->events, LOG_INFO, "reloaded", NULL, NULL, "generation %llu",
		   (unsigned long long)sv->snapshot->generation);
	return 0;
}

int reload_config(struct supervisor *sv, struct conf_errors *ret_errors)
{
	int err;

	service_reloading();
	err = change_config(sv, ret_errors);
	service_reloaded(sv, err, err ? why_failed(err, ret_errors) : NULL);
	return err;
}

void reload_on_signal(struct supervisor *sv)
{
	struct conf_errors errors = {0};

	reload_config(sv, &errors);
	conf_errors_fini(&errors);
}

void reload_names(struct supervisor *sv)
{
	int err = static_targets_put(sv->registry, sv->config->config, sv->resolver);

	if (err)
		log_event(LOG_ERROR, "names_not_applied", "error=\"%s\"", strerror(-err));
	else
		log_event(LOG_INFO, "names_changed", "generation=%llu",
			  (unsigned long long)sv->snapshot->generation);
}
