/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the queue between two threads. Happy path: a request is put in, the descriptor becomes
 * readable, the other side takes it out. Nothing fails but the start, for want of a descriptor.
 */
#include "proxy/admin/queue.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/panic.h"

int request_queue_init(struct request_queue *queue)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	*queue = (struct request_queue){.fd = fd};
	list_init(&queue->requests);
	must(!pthread_mutex_init(&queue->lock, NULL));
	return 0;
}

void request_queue_fini(struct request_queue *queue)
{
	struct request *request;

	while ((request = request_queue_take(queue)))
		request_free(request);
	close(queue->fd);
	pthread_mutex_destroy(&queue->lock);
}

void request_queue_put(struct request_queue *queue, struct request *request)
{
	pthread_mutex_lock(&queue->lock);
	list_push_back(&queue->requests, &request->link);
	pthread_mutex_unlock(&queue->lock);
	request_queue_wake(queue);
}

struct request *request_queue_take(struct request_queue *queue)
{
	struct list *link;

	pthread_mutex_lock(&queue->lock);
	link = list_pop_front(&queue->requests);
	pthread_mutex_unlock(&queue->lock);
	return link ? container_of(link, struct request, link) : NULL;
}

void request_queue_wake(struct request_queue *queue)
{
	uint64_t one = 1;
	ssize_t written = write(queue->fd, &one, sizeof(one));

	(void)written; /* it is readable already if the counter is full */
}

void request_queue_quiet(struct request_queue *queue)
{
	uint64_t count;
	ssize_t got = read(queue->fd, &count, sizeof(count));

	(void)got;
}
