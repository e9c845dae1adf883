/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of sluicectl share: what a function printed.
 */
#pragma once

#include "tests/unit/conf_rig.h"

/* A stream into memory; printed() closes it. */
struct printing {
	FILE *out;
	char *text;
	size_t size;
};

static inline void print_begin(struct printing *printing)
{
	printing->text = NULL;
	printing->out = open_memstream(&printing->text, &printing->size);
	ck_assert_ptr_nonnull(printing->out);
}

/* What came of it, which is `expected`. */
static inline void printed(struct printing *printing, const char *expected)
{
	fclose(printing->out);
	ck_assert_str_eq(printing->text, expected);
	free(printing->text);
}
