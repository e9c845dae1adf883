/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps from options to a configuration, in order. See proxy/config.h.
 */
#include "proxy/base/conf/check.h"
#include "proxy/base/conf/tree.h"
#include "proxy/config.h"
#include "proxy/config/parts.h"
#include "proxy/model.h"
#include "proxy/options.h"

/* Leave out what the defaults and the root gave a listener although it means nothing there, so
 * that what is shown passes conf_check() again. */
static void prune(const struct config *config)
{
	static const char *const tcp_only[] = {
		"tcp", "steer", "guard", "proxy_protocol", "proxy_timeout", "header_timeout"};
	const struct node *listeners = node_get(config->tree, "listeners");

	for (size_t i = 0; i < config->listener_count; i++) {
		struct node *listener = listeners->children[i];

		if (config->listeners[i].bind.family == AF_UNIX) {
			for (size_t j = 0; j < sizeof(tcp_only) / sizeof(tcp_only[0]); j++)
				node_remove(listener, tcp_only[j]);
		} else {
			node_remove(listener, "mode");
		}
	}
}

int config_finish(struct node *root, bool demo, struct conf_errors *errors,
		  struct config **ret_config)
{
	struct config *config;
	int err = conf_settle(root, demo, errors);

	if (err == 0)
		err = config_build(root, &config);
	if (err < 0) {
		node_free(root);
		return err;
	}
	config_warn(config, errors);
	prune(config);
	*ret_config = config;
	return 0;
}

int config_load(const struct options *options, struct conf_errors *errors,
		struct config **ret_config)
{
	struct node *root;
	int err = config_read(options, errors, &root);

	return err < 0 ? err : config_finish(root, options->demo, errors, ret_config);
}

void config_show(const struct config *config, FILE *out)
{
	node_print(config->tree, out);
}
