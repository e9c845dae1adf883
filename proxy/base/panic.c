/* SPDX-License-Identifier: Apache-2.0
 *
 * The last words of a process that found its own state broken. Happy path: never called.
 */
#include "proxy/base/panic.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void panic(const char *file, int line, const char *what)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "panic at %s:%d: %s\n", file, line, what);

	if (len > 0) {
		size_t size = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
		ssize_t ignored = write(STDERR_FILENO, text, size);

		(void)ignored;
	}
	abort();
}
