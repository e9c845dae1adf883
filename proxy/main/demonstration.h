/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice --demo`, what `make run` starts: embedded backends, one line that says what to try, live
 * figures on a terminal, and a summary at the end.
 */
#pragma once

struct options;
struct supervisor;

/* Before the configuration is loaded: start the backends and make them targets. 0 or -errno,
 * explained on stderr. */
int demonstration_begin(struct options *options);

/* Once everything serves: say so, and draw if there is a terminal. */
void demonstration_show(struct supervisor *sv);

/* After the drain: the summary. Then the backends may go. */
void demonstration_end(struct supervisor *sv);
