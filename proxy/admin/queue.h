/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of requests between admin's thread and main: whoever takes one out owns it.
 */
#pragma once

#include <pthread.h>

#include "proxy/base/http/request.h"

struct request_queue {
	pthread_mutex_t lock;
	struct list requests; /* struct request::link */
	int fd;               /* eventfd(2): readable once something was put in */
};

int request_queue_init(struct request_queue *queue);  /* 0 or -errno */
void request_queue_fini(struct request_queue *queue); /* frees what is in it */
void request_queue_put(struct request_queue *queue, struct request *request);

/* The oldest, or NULL. */
struct request *request_queue_take(struct request_queue *queue);

/* Make its fd readable, or no longer so. Any thread. */
void request_queue_wake(struct request_queue *queue);
void request_queue_quiet(struct request_queue *queue);
