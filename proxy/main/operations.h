/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin API's hold on main.
 */
#pragma once

#include <stdbool.h>

struct supervisor;

/* Bind the admin addresses, while we may. 0 or -errno, said on stderr. */
int operations_open(struct supervisor *sv);

/* Answer on them, once there are workers. 0 or -errno, said. */
int operations_start(struct supervisor *sv);

/* Whoever waits for a change is answered: every worker runs by it now, or `err` says why not. */
void operations_published(struct supervisor *sv, int err);

/* A successor serves the same addresses: leave newcomers to it. */
void operations_yield(struct supervisor *sv);

void operations_stop(struct supervisor *sv);
