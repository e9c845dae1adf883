/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice --replace`: take over from the process that serves the same addresses.
 */
#pragma once

#include "proxy/base/list.h"

struct binding;
struct supervisor;

/* Comes with SIGTERM by sigqueue(3): a successor is up, so no lame duck is needed. */
#define REPLACE_MAGIC 0x51c3

/* With --replace: find who serves the configured addresses. -EADDRINUSE (logged) if one of them is
 * not sluice. Without it: 0. */
int replace_find(struct supervisor *sv);

/* How many sockets of a predecessor listen on the binding's address now. */
unsigned replace_count_listening(struct supervisor *sv, struct binding *binding);

/* We serve: tell the predecessors to drain, and watch for their end. */
void replace_predecessors(struct supervisor *sv);
void replace_fini(struct supervisor *sv);
