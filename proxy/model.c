/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to a configuration that more than one module asks.
 */
#include "proxy/model.h"

const struct listener_conf *config_listener_of(const struct config *config,
					       const struct addr *bound)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_conf *conf = &config->listeners[i];
		struct addr first = *bound;

		first.port = conf->bind.port;
		if (addr_equal(&conf->bind, &first) && bound->port >= conf->bind.port &&
		    bound->port <= conf->port_end)
			return conf;
	}
	return NULL;
}
