/* SPDX-License-Identifier: Apache-2.0
 *
 * All of a file, whatever read(2) gives at a time.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* How much there was until its end, `room` bytes at most: room for one more than is allowed shows
 * that there is too much. Or -errno; never -EINTR. */
ssize_t slurp(int fd, char *bytes, size_t room);
