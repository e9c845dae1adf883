/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the document in which a container's agent or instance metadata gives credentials:
 * what is accepted can stand in headers, what is refused is explained without its words. Built by
 * `make fuzz` with libFuzzer, and by `make replay` with replay.c over
 * tests/fuzz/corpus/credentials.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "control/aws/credentials/document.h"
#include "proxy/base/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_header(const char *text)
{
	must(*text);
	for (; *text; text++)
		must(*text > ' ' && *text < 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct credentials found = {.key_id = NULL};
	char problem[160] = "";
	int ret = credentials_parse((const char *)data, size, "imds", &found, problem,
				    sizeof(problem));

	must((ret == -EPROTO) == (problem[0] != '\0'));
	if (ret == 0) {
		check_header(found.key_id);
		check_header(found.secret);
		if (found.token)
			check_header(found.token);
		must(!strcmp(found.provider, "imds"));
	}
	credentials_fini(&found);
	must(!found.secret);
	return 0;
}
