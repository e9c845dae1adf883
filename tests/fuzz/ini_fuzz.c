/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as one of the SDKs' configuration files: what is read is found again, and what is
 * written out anew reads as the same. Built by `make fuzz` with libFuzzer, and by `make replay`
 * with replay.c over tests/fuzz/corpus/ini.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/aws/ini.h"
#include "proxy/base/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct check {
	const struct ini *ini;
	FILE *out;
};

static void check_value(void *context, const char *section, const char *key, const char *value)
{
	struct check *check = context;

	must(*section && *key);
	must(ini_has(check->ini, section));
	must(ini_get(check->ini, section, key));
	must(!strpbrk(value, "\n"));
	fprintf(check->out, "[%s]\n%s = %s\n", section, key, value);
}

/* The file's values, one a line under its section; NULL if it cannot be read. */
static char *read_and_write(const char *text, size_t size)
{
	struct ini *ini = NULL;
	struct check check;
	unsigned line = 0;
	char *written;
	size_t length;

	if (ini_parse(text, size, &ini, &line) < 0) {
		must(line && !ini);
		return NULL;
	}
	check = (struct check){.ini = ini, .out = open_memstream(&written, &length)};
	must(check.out);
	ini_each(ini, check_value, &check);
	must(fclose(check.out) == 0);
	ini_free(ini);
	return written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *first = read_and_write((const char *)data, size);

	if (first) {
		char *second = read_and_write(first, strlen(first));

		must(second && !strcmp(first, second));
		free(second);
	}
	free(first);
	return 0;
}
