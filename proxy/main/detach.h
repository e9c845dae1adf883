/* SPDX-License-Identifier: Apache-2.0
 *
 * `--detach`: whoever starts us gets the prompt back once we serve.
 */
#pragma once

/* Go on in a child; the caller's process stays here until that serves, or ended, and exits with
 * what came of it. Before there are threads. 0 in the child, or -errno. */
int detach_begin(void);

/* We serve: let the caller's process go. */
void detach_done(void);
