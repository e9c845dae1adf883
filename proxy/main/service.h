/* SPDX-License-Identifier: Apache-2.0
 *
 * What the service manager is told (systemd's Type=notify): that we serve, are at a reload, are
 * about to end; and, every few seconds, that main and every worker are alive. Without one, nothing.
 */
#pragma once

struct conf_errors;
struct supervisor;

/* Find the manager, before any sandbox. A broken NOTIFY_SOCKET is logged, and no error. */
void service_open(void);

/* We serve, and are the service from now on, whoever was until now. */
void service_ready(struct supervisor *sv);

/* Around a reload; `err` and `why` are what it came to. */
void service_reloading(void);
void service_reloaded(struct supervisor *sv, int err, const char *why);

/* At the beginning of each phase of a drain, once its deadline is known. */
void service_drains(struct supervisor *sv);

/* The drain was called off. */
void service_serves_on(struct supervisor *sv);

/* No word from here on: a successor speaks for the service, or it is over. */
void service_end(void);
