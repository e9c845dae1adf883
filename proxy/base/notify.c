/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the one socket to the service manager. Happy path: connected before the sandbox, it takes a
 * datagram now and then, and is told apart by the credentials that the kernel adds.
 *
 * Failure modes: a manager that is gone or stuck; the datagram is lost and the caller told, who has
 * nothing better to do than go on. A text that is too long is cut, which only a status line is.
 */
#include "proxy/base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_MAX 1024

static int manager = -1;

/* A path, or a name of the abstract space behind an `@` (unix(7)). */
static int parse(const char *name, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	*ret_address = address;
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	return 0;
}

int notify_open(void)
{
	const struct timeval patience = {.tv_sec = 1};
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t size;
	int fd, err;

	if (!name || !*name)
		return 0;
	err = parse(name, &address, &size);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (const struct sockaddr *)&address, size)) {
		err = -errno;
		close(fd);
		return err;
	}
	notify_close();
	manager = fd;
	return 0;
}

bool notify_is_open(void)
{
	return manager >= 0;
}

int notify_send(const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;
	int length;

	if (manager < 0)
		return 0;
	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length < 0)
		return -EINVAL;
	return send(manager, text, strlen(text), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void notify_close(void)
{
	if (manager >= 0)
		close(manager);
	manager = -1;
}
