/* SPDX-License-Identifier: Apache-2.0
 *
 * must(): an assertion that stays on in release builds. It is for programmer errors alone, never
 * for what the network, a file or an operator can bring about.
 */
#pragma once

#define must(cond)                                                                                 \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			panic(__FILE__, __LINE__, #cond);                                          \
	} while (0)

/* Write where and what to stderr, then abort(3). Async-signal-safe. */
_Noreturn void panic(const char *file, int line, const char *what);
