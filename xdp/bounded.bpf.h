/* SPDX-License-Identifier: Apache-2.0
 *
 * Lengths as old verifiers must see them. Before Linux 6.3 what a value was compared with is
 * forgotten for its other copies on the stack, and helpers take no length that might be 0. So
 * whoever has compared a length already shows bounds that cannot be missed; the compiler must not
 * know that they change nothing. Nothing of it can fail.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define BOUNDED_MAX 64 /* what is read or written has room for so much */

/* `length` itself from 1 to BOUNDED_MAX, something else in there otherwise. */
static __always_inline __u32 bounded(__u32 length)
{
	length--;
	barrier_var(length);
	return (length & (BOUNDED_MAX - 1)) + 1;
}
