/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a document of a Query API. What is believed is a tree that can be written and read
 * as JSON; cut anywhere, the same document is not believed any more.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/xml.h"
#include "proxy/base/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each in memory of its own, so that a byte too far shows. */
static int read_copy(const uint8_t *data, size_t size, json_t **ret_root)
{
	char name[XML_NAME];
	char *copy = malloc(size ? size : 1);
	int err;

	must(copy);
	if (size)
		memcpy(copy, data, size);
	err = xml_read(copy, size, name, ret_root);
	free(copy);
	must(err || strlen(name) < XML_NAME);
	return err;
}

/* Up to the `>` of the last end tag, what stands before it is no whole document. */
static void cut_is_refused(const uint8_t *data, size_t size)
{
	json_t *root = NULL;

	while (size && data[size - 1] != '>')
		size--;
	/* A comment may follow the end; then there is nothing to be said. */
	if (!data || size < 2 || memmem(data, size, "<!--", 4) || memmem(data, size, "<?", 2))
		return;
	must(read_copy(data, size - 1, &root) != 0);
	must(!root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *root = NULL, *again;
	char *dump;

	if (read_copy(data, size, &root)) {
		must(!root);
		return 0;
	}
	dump = json_dumps(root, JSON_ENCODE_ANY);
	must(dump);
	again = json_loads(dump, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	must(again && json_equal(root, again));
	json_decref(again);
	json_decref(root);
	free(dump);
	cut_is_refused(data, size);
	return 0;
}
