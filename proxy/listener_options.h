/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket options of a listening socket, which the connections it accepts inherit.
 */
#pragma once

struct listener_conf;

/* Before or after listen(2); again after a reload. 0, or -errno of the first option that was
 * refused, with its name in `*ret_option` (a literal; may be NULL). The others are set anyway. */
int listener_set_options(int fd, const struct listener_conf *conf, const char **ret_option);
