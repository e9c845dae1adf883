/* SPDX-License-Identifier: Apache-2.0
 *
 * The check `tcp`: a connection that is accepted is a good one. Nothing is sent (save a PROXY
 * header, which check.c puts in front of everything) and nothing is read, so nothing can fail here.
 */
#include "proxy/health/probe.h"

const struct probe tcp_probe = {0};
