/* SPDX-License-Identifier: Apache-2.0
 *
 * The congestion control of a connection that stays on this host (tcp(7), TCP_CONGESTION).
 *
 * BBR spaces out what it sends by timers of its own (tcp_needs_internal_pacing(), Linux 4.13).
 * On the loopback interface there is nothing to be gentle with, and each timer is work, on a
 * virtual machine an exit to its host: a bulk transfer between two loopback legs cost a proxy 46 %
 * less without, 32 of them 55 % less. So where the kernel's default is BBR, and nothing else is
 * configured, a connection over loopback gets one that does not pace. It must have it before it is
 * established: a socket that BBR has begun to pace is paced from then on, whatever follows.
 */
#pragma once

#include "proxy/base/addr.h"

/* Ask the kernel what its default is, and what may be had instead; once, before threads start. */
void congestion_learn(void);

/* Of a connection with `peer`, or of all that a listener bound to it accepts; `configured` may be
 * NULL. Returns what to set, or NULL: the kernel's default is right. */
const char *congestion_choose(const char *configured, const struct addr *peer);
