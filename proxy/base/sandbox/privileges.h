/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of dropping privileges that a thread does for itself.
 */
#pragma once

/* The calling thread keeps no capability. 0 or -errno. */
int privileges_drop_all(void);

/* But for what the offload needs. 0 or -errno. */
int privileges_keep_offload(void);
