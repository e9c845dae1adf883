/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a configuration file: parsed, checked, and when valid completed, built, shown, and
 * loaded again from what was shown, which must come to the same. Built by `make fuzz` with
 * libFuzzer, and by `make replay` with replay.c over tests/fuzz/corpus/config.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/conf/schema.h"
#include "proxy/base/conf/yaml_tree.h"
#include "proxy/base/panic.h"
#include "proxy/config.h"
#include "proxy/config/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the bytes amount to, as config_show() prints it, or NULL if they are no configuration. */
static char *load_and_show(const void *data, size_t size)
{
	struct conf_errors errors = {0};
	struct config *config;
	struct node *root = NULL;
	char *text = NULL;
	int err = yaml_tree_parse("fuzz", data, size, &errors, &root);

	if (err == 0)
		err = config_finish(root, false, &errors, &config);
	must((err < 0) == conf_failed(&errors));
	conf_errors_fini(&errors);
	if (err < 0)
		return NULL;
	FILE *out = open_memstream(&text, &size);

	must(out);
	config_show(config, out);
	must(fclose(out) == 0);
	config_free(config);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *first = load_and_show(data, size);

	if (first) {
		char *second = load_and_show(first, strlen(first));

		must(second && strcmp(first, second) == 0);
		free(second);
	}
	free(first);
	return 0;
}
