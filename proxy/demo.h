/* SPDX-License-Identifier: Apache-2.0
 *
 * Three small HTTP/1.1 backends inside the process, so that there is something to try the proxy on
 * before it has a configuration. Not part of the data path: the proxy reaches them over TCP like
 * any others.
 *
 *   GET /         names the backend and counts its connections
 *   GET /bytes/N  N bytes, for trying bulk
 */
#pragma once

#define DEMO_BACKENDS 3

struct addr;
struct demo;

/* Listen on 127.0.0.1 and serve from a thread of its own. 0 or -errno. */
int demo_start(struct demo **ret_demo);

/* Where backend `index` listens; valid until demo_stop(). */
const struct addr *demo_addr(const struct demo *demo, unsigned index);

/* Closes everything; accepts NULL. */
void demo_stop(struct demo *demo);
