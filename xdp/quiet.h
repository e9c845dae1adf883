/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of libbpf without its own words on stderr, which would stand beside the log's; what it has
 * to say is in the error that it returns. `libbpf_print_fn_t before = libbpf_set_print(be_silent);`
 * and set what was there before again.
 *
 * Threads: the printer is the whole process's.
 */
#pragma once

#include <bpf/libbpf.h>
#include <stdarg.h>

static inline int be_silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}
