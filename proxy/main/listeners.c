/* SPDX-License-Identifier: Apache-2.0
 *
 * The addresses of a configuration: bind those that are not bound yet, then let them listen and
 * hand each worker its socket. Start and reload are the same here.
 *
 * Failure modes: binding fails before anybody was let in, and the log names listener, address and
 * remedy; listen(2) failing on a bound address leaves the others serving.
 */
#include <errno.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/main/binding.h"
#include "proxy/main/replace.h"
#include "proxy/main/supervisor.h"
#include "proxy/options.h"

static bool is_among(const struct list *bindings, const struct addr *bound)
{
	list_for_each (link, bindings)
		if (addr_equal(&container_of(link, struct binding, link)->bound, bound))
			return true;
	return false;
}

static int bind_port(struct supervisor *sv, const struct listener_conf *conf, uint16_t port,
		     struct list *bindings)
{
	struct addr bound = conf->bind;
	struct binding *binding;
	char why[BINDING_WHY], text[ADDR_TEXT];
	bool shared;
	int err;

	bound.port = port;
	if (is_among(&sv->bindings, &bound))
		return 0;
	shared = sv->options->replace || is_among(&sv->drained, &bound);
	err = binding_open(conf, port, sv->limits.workers, shared, &binding, why);
	if (err) {
		log_event(LOG_ERROR, "bind_failed", "listener=%s bind=%s %s", conf->name,
			  addr_format(&bound, text), why);
		return err;
	}
	binding->key = ++sv->next_key;
	list_push_back(bindings, &binding->link);
	return 0;
}

int listeners_bind(struct supervisor *sv, const struct config *config, struct list *bindings)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_conf *conf = &config->listeners[i];

		for (unsigned port = conf->bind.port; port <= conf->port_end; port++) {
			int err = bind_port(sv, conf, (uint16_t)port, bindings);

			if (err)
				return err;
		}
	}
	return 0;
}

static int listen_one(struct supervisor *sv, const struct listener_conf *conf,
		      struct binding *binding)
{
	char why[BINDING_WHY], text[ADDR_TEXT];
	unsigned before = replace_count_listening(sv, binding);
	int err = binding_listen(binding, conf, why);

	if (!err)
		binding_take_over(binding, before);
	if (!err) {
		err = crew_listen(sv, binding);
		strcpy(why, "the workers could not take it");
	}
	if (err) {
		log_event(LOG_ERROR, "listen_failed", "listener=%s bind=%s %s", conf->name,
			  addr_format(&binding->bound, text), why);
		return err;
	}
	log_event(LOG_INFO, "listener_bound", "listener=%s bind=%s", conf->name,
		  addr_format(&binding->actual, text));
	return 0;
}

int listeners_listen(struct supervisor *sv, const struct config *config, struct list *bindings)
{
	struct list *link;
	int first = 0;

	while ((link = list_pop_front(bindings))) {
		struct binding *binding = container_of(link, struct binding, link);
		int err = listen_one(sv, config_listener_of(config, &binding->bound), binding);

		if (!err) {
			list_push_back(&sv->bindings, &binding->link);
			continue;
		}
		binding_unlink(binding);
		binding_free(binding);
		if (!first)
			first = err;
	}
	return first;
}
