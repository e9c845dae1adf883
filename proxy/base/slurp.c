/* SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: read(2) until it gives nothing more. Failure modes: its own, save interruptions.
 */
#include "proxy/base/slurp.h"

#include <errno.h>
#include <unistd.h>

ssize_t slurp(int fd, char *bytes, size_t room)
{
	size_t size = 0;

	while (size < room) {
		ssize_t n = read(fd, bytes + size, room - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	return (ssize_t)size;
}
