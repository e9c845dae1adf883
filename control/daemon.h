/* SPDX-License-Identifier: Apache-2.0
 *
 * The running sluice-control: one loop, in which AWS, the proxy, files and signals take turns.
 *
 *      sources --> feeds --> link --> the proxy's admin socket
 *         |          |
 *        AWS     last-known-good files, journal
 *
 * Happy path: daemon_start() drops what it may not keep, opens everything and asks; daemon_run()
 * goes on until SIGTERM or SIGINT, or with --once until every source was asked and the proxy has
 * what came of it; daemon_stop() leaves the proxy with what it has. SIGHUP reads the configuration
 * again: feeds whose meaning stays go on as if nothing had happened.
 * Failure modes: what fails at the start is logged and ends it; a reload that is invalid changes
 * nothing; without a state directory that can be written it runs all the same, and says so.
 */
#pragma once

struct control_options;
struct daemon;
struct settings;

/* Takes a reference of its own to `settings`. 0 or -errno, and the log has said why. */
int daemon_start(const struct control_options *options, struct settings *settings,
		 struct daemon **ret_daemon);

/* An exit status (enum control_exit). */
int daemon_run(struct daemon *daemon);

void daemon_stop(struct daemon *daemon); /* accepts NULL */
