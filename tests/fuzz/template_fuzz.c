/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a CloudFormation template, held against one configuration: whatever it says, there
 * is a list of contradictions, and it takes no longer for being nested.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/template/template.h"
#include "proxy/base/conf/check.h"
#include "proxy/base/conf/yaml_tree.h"
#include "proxy/base/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char configuration[] = "zone: auto\nlame_duck: 30s\nadmin: { probe: \":9901\" }\n"
				    "control: { lifecycle: auto, lifecycle_hook: sluice-drain }\n"
				    "listeners:\n"
				    "  - { name: a, bind: \":8443\", pool: p, proxy_protocol: "
				    "required, trusted: [10.0.0.0/8] }\n"
				    "pools: [{ name: p, targets: [\"10.0.0.1:80\"] }]\n";

static struct node *read_configuration(void)
{
	struct conf_errors errors = {0};
	struct node *root = NULL;

	must(yaml_tree_parse("conf", configuration, strlen(configuration), &errors, &root) == 0);
	must(conf_settle(root, false, &errors) == 0);
	conf_errors_fini(&errors);
	return root;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct node *conf;
	struct template template = {.parameters = "Sessions=long,A="};
	struct conf_errors errors = {0};

	if (!conf)
		conf = read_configuration();
	int err = yaml_tree_parse_template("fuzz", data, size, &errors, &template.root);
	const struct node *resources = err == 0 ? node_get(template.root, "Resources") : NULL;

	if (resources && resources->kind == NODE_MAPPING) {
		json_t *lines = template_judge(&template, conf);

		must(json_is_array(lines));
		json_decref(lines);
	}
	template_fini(&template);
	conf_errors_fini(&errors);
	return 0;
}
