/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an haproxy.cfg. Whatever sluicectl makes of it must be a configuration that the
 * proxy accepts, and read again as the same one.
 */
#include <stdint.h>
#include <stdlib.h>

#include "control/ctl/haproxy/haproxy.h"
#include "proxy/base/conf/yaml_tree.h"
#include "proxy/base/panic.h"
#include "proxy/config.h"
#include "proxy/config/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void accept_result(const char *text, size_t size)
{
	struct conf_errors errors = {0};
	struct config *config = NULL;
	struct node *root = NULL;
	int err = yaml_tree_parse("fuzz", text, size, &errors, &root);

	if (err == 0)
		err = config_finish(root, false, &errors, &config);
	if (err < 0) {
		fwrite(text, 1, size, stderr);
		conf_errors_print(&errors, stderr);
	}
	must(err == 0);
	conf_errors_fini(&errors);
	config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hap hap = {0};
	char *text = NULL;
	size_t text_size;
	FILE *out = open_memstream(&text, &text_size);

	must(out);
	hap_read(&hap, "fuzz.cfg", (const char *)data, size);
	int err = hap_convert(&hap, out);

	must(fclose(out) == 0);
	must((err < 0) == (text_size == 0));
	if (err == 0)
		accept_result(text, text_size);
	free(text);
	hap_fini(&hap);
	return 0;
}
