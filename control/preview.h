/* SPDX-License-Identifier: Apache-2.0
 *
 * --check: whether the configuration can be acted on, and what that would cost. It opens every
 * source, which is no I/O, because some mistakes only the source itself can see.
 */
#pragma once

struct settings;

/* Prints to stdout, errors to stderr. An exit status. */
int preview_check(const char *config_file, struct settings *settings);
