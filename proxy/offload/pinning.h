/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories on bpffs, one per process, in which maps and links outlive it.
 *
 * A directory's owner holds a lock on it (flock(2)), which the kernel lifts when the last thread of
 * that process is gone: so who is dead is never guessed from a pid, and two processes that serve
 * side by side (`--replace`) leave each other's alone.
 */
#pragma once

#include <stdbool.h>

#include "proxy/offload.h"

struct pinning;

/* Where who runs as `user` pins: `root`; or, if that is another user's, a directory of his own
 * beside it, whose name ends in his number. */
void pinning_place(const char *root, unsigned user, char ret_place[OFFLOAD_PIN_MAX]);

/* Before privileges are dropped: the directory is there, and `user`'s. What cannot be made is seen
 * by pinning_check(). */
void pinning_make(const char *root, unsigned user);

/* Remove what pinning_make() or pinning_check() made, unless something is in it. */
void pinning_drop(const char *root);

/* Whether flows can be pinned at `root`, made if need be: 0 or -errno (-ENOTSUP: no bpffs). */
int pinning_check(const char *root);

/* Whether somebody who died left a directory there. */
bool pinning_has_estate(const char *root);

/* Our directory: the newest of those whose owner is dead, or a new one. 0 or -errno. */
int pinning_open(const char *root, struct pinning **ret_pins);

const char *pinning_path(const struct pinning *pins);
bool pinning_are_inherited(const struct pinning *pins);

/* What was inherited cannot be used: leave it as it is, and begin a new one. 0 or -errno. */
int pinning_renounce(struct pinning *pins);

/* One more directory of the dead, until the next call; NULL: there is none left. */
const char *pinning_next_estate(struct pinning *pins);

/* It is empty by now: remove it. */
void pinning_drop_estate(struct pinning *pins);

/* `leave`: for the next process; else nothing stays. Accepts NULL. */
void pinning_close(struct pinning *pins, bool leave);
