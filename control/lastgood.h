/* SPDX-License-Identifier: Apache-2.0
 *
 * The last set of each source that was applied, on disk: what pools get when the daemon starts and
 * its source cannot be asked. One file per source in the state directory, named by a digest of what
 * the source means (kind and completed mapping, account and region; never its credentials).
 *
 * Happy path: lastgood_save() writes a temporary file beside it, fsync(2)s it, renames it over the
 * old one and fsyncs the directory; lastgood_load() checks format, checksum, meaning and age.
 * Failure modes: a file that is cut, changed or of another meaning is not used and is kept aside as
 * NAME.bad; a directory that cannot be written is an error up, once, and never stops the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/target_set.h"

struct lastgood;

/* `directory` may be NULL: nothing is kept. 0 or -errno. The directory is opened once; files are
 * reached below its descriptor. */
int lastgood_open(const char *directory, struct lastgood **ret_lastgood);
void lastgood_close(struct lastgood *lastgood); /* accepts NULL */

/* `key` as lastgood_key() gives it. 0 or -errno. */
int lastgood_save(struct lastgood *lastgood, const char *key, const char *pool, const char *source,
		  const struct target_set *set, uint64_t wall_us);

/* 0; -ENOENT; -ESTALE when it is older than `max_age_us`; -EBADMSG when it cannot be believed;
 * -EINVAL when it was written for another pool or source, -ENOMEM, or another -errno. */
int lastgood_load(struct lastgood *lastgood, const char *key, const char *pool, const char *source,
		  uint64_t now_wall_us, uint64_t max_age_us, struct target_set **ret_set,
		  uint64_t *ret_saved_wall_us);

/* Files of sources that are configured no longer. `keys` in use; the rest goes when older than
 * `max_age_us`. */
void lastgood_sweep(struct lastgood *lastgood, const char *const *keys, size_t count,
		    uint64_t now_wall_us, uint64_t max_age_us);

#define LASTGOOD_KEY 65

struct node;
/* SHA-256 in hex of pool, kind, mapping without what only says how to ask (interval, profile, ...)
 * and place; `ret_key` has LASTGOOD_KEY bytes. */
void lastgood_key(const char *pool, const char *kind, const struct node *mapping,
		  const char *region, char *ret_key);
