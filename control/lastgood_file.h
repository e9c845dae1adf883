/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a last-known-good file: a line that says so, a line with the SHA-256 of what
 * follows, and that, which is JSON: pool, source, key, when it was saved, and the targets.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "control/target_set.h"

/* Who a file is of. */
struct lastgood_owner {
	const char *key;
	const char *pool;
	const char *source;
};

/* NULL without memory; the caller frees. */
char *lastgood_encode(const struct lastgood_owner *owner, const struct target_set *set,
		      uint64_t wall_us);

/* The two lines in front of `body`, and `body`. NULL without memory; the caller frees. */
char *lastgood_wrap(const char *body);

/* 0; -EBADMSG when the file is not whole or no such file; -EINVAL when it is of another owner, or
 * -ENOMEM. */
int lastgood_decode(const char *text, size_t size, const struct lastgood_owner *owner,
		    struct target_set **ret_set, uint64_t *ret_saved_wall_us);
