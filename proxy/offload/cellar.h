/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the sockets lie that only keep a session's place: as many tables of fds as that takes,
 * since RLIMIT_NOFILE counts for each. One thread, the keeper, calls all of this but the first and
 * last.
 */
#pragma once

#include <stdint.h>

struct cellars;

#define CELLAR_NOWHERE UINT32_MAX

/* Room for `pairs` of sockets, or for what RLIMIT_NOFILE lets CELLARS_MAX tables have. Before
 * anything is open that must not live on there for a moment. 0 or -errno. */
int cellars_open(uint32_t pairs, struct cellars **ret_cellars);

/* Whatever is there is closed. Accepts NULL. */
void cellars_close(struct cellars *cellars);

uint32_t cellars_room(const struct cellars *cellars); /* in pairs */

/* The caller's fds are closed. Returns the row, or CELLAR_NOWHERE: the sockets are gone. */
uint32_t cellars_keep(struct cellars *cellars, const int fds[2]);

/* A pair is closed, soon, and its row is free; CELLAR_NOWHERE is ignored. */
void cellars_clear(struct cellars *cellars, uint32_t row);

/* Until all that was to be closed is, so that its tuples can be had. */
void cellars_wait(struct cellars *cellars);
