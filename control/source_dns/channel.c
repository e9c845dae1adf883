/* SPDX-License-Identifier: Apache-2.0
 *
 * c-ares in our loop. See control/source_dns/channel.h.
 *
 * c-ares tells of each socket whether it wants to read or write (sock_state_cb), and of neither
 * just before it closes it. It has one timeout for all, asked for after each thing it did.
 */
#include "control/source_dns/channel.h"

#include <ares.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>

#include "proxy/base/list.h"
#include "proxy/base/loop.h"

#define TIMEOUT_MS 1500 /* of the first try; c-ares doubles it */
#define TRIES      3
#define UDP_BYTES  1232 /* fits every path without fragments (DNS flag day 2020) */
#define CLASS_IN   1

struct dns_channel {
	struct loop *loop;
	ares_channel ares;
	struct timer timer;
	struct list sockets; /* struct dns_socket::link */
	bool closing;
};

struct dns_socket {
	struct list link; /* struct dns_channel::sockets */
	struct loop_source source;
	struct loop_task reap;
	struct dns_channel *channel;
};

struct question {
	struct dns_channel *channel;
	void (*on_answer)(void *context, int status, const uint8_t *bytes, size_t size);
	void *context;
};

static void arm(struct dns_channel *channel)
{
	struct timeval left, *next = ares_timeout(channel->ares, NULL, &left);

	if (next)
		loop_arm(channel->loop, &channel->timer,
			 (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
	else
		timer_cancel(&channel->timer);
}

static void on_timer(struct timer *timer)
{
	struct dns_channel *channel = container_of(timer, struct dns_channel, timer);

	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(channel);
}

static void on_socket(struct loop_source *source, uint32_t events)
{
	struct dns_socket *socket = container_of(source, struct dns_socket, source);
	struct dns_channel *channel = socket->channel;
	bool readable = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
	bool writable = events & (EPOLLOUT | EPOLLERR | EPOLLHUP);
	int fd = source->fd;

	ares_process_fd(channel->ares, readable ? fd : ARES_SOCKET_BAD,
			writable ? fd : ARES_SOCKET_BAD);
	arm(channel);
}

static void socket_reap(struct loop_task *task)
{
	free(container_of(task, struct dns_socket, reap));
}

static struct dns_socket *find_socket(const struct dns_channel *channel, int fd)
{
	list_for_each (link, &channel->sockets) {
		struct dns_socket *socket = container_of(link, struct dns_socket, link);

		if (socket->source.fd == fd)
			return socket;
	}
	return NULL;
}

static void forget_socket(struct dns_socket *socket)
{
	struct loop *loop = socket->channel->loop;

	loop_remove(loop, &socket->source);
	socket->source.fd = -1;
	list_remove(&socket->link);
	loop_defer(loop, &socket->reap);
}

/* Without memory for it the socket is not turned, and the question runs into its timeout. */
static struct dns_socket *add_socket(struct dns_channel *channel, int fd)
{
	struct dns_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->source = (struct loop_source){.on_event = on_socket, .fd = fd};
	socket->reap.run = socket_reap;
	list_init(&socket->reap.link);
	socket->channel = channel;
	list_push_back(&channel->sockets, &socket->link);
	return socket;
}

static void on_socket_state(void *context, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *channel = context;
	struct dns_socket *socket = find_socket(channel, fd);
	uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);

	if (!events) {
		if (socket)
			forget_socket(socket);
		return;
	}
	if (socket)
		loop_remove(channel->loop, &socket->source);
	else
		socket = add_socket(channel, fd);
	if (socket)
		loop_add(channel->loop, &socket->source, events);
}

/* A cache of its own (from c-ares 1.31 on) would hide changes for longer than their TTL says. */
static int make_ares(struct dns_channel *channel, struct ares_addr_port_node *servers)
{
	struct ares_options options = {
		.flags = ARES_FLAG_EDNS,
		.ednspsz = UDP_BYTES,
		.timeout = TIMEOUT_MS,
		.tries = TRIES,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = channel,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		   ARES_OPT_SOCK_STATE_CB;
	int status;

#ifdef ARES_OPT_QUERY_CACHE
	options.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	status = ares_init_options(&channel->ares, &options, mask);
	if (status || !servers)
		return status;
	status = ares_set_servers_ports(channel->ares, servers);
	if (status)
		ares_destroy(channel->ares);
	return status;
}

int dns_channel_new(struct loop *loop, struct ares_addr_port_node *servers,
		    struct dns_channel **ret_channel)
{
	struct dns_channel *channel = calloc(1, sizeof(*channel));
	int status;

	if (!channel)
		return ARES_ENOMEM;
	channel->loop = loop;
	list_init(&channel->sockets);
	timer_init(&channel->timer, on_timer);
	status = make_ares(channel, servers);
	if (status) {
		free(channel);
		return status;
	}
	*ret_channel = channel;
	return 0;
}

void dns_channel_free(struct dns_channel *channel)
{
	if (!channel)
		return;
	channel->closing = true;
	ares_destroy(channel->ares);
	timer_cancel(&channel->timer);
	list_for_each_safe (link, &channel->sockets)
		forget_socket(container_of(link, struct dns_socket, link));
	free(channel);
}

static void on_message(void *context, int status, int timeouts, unsigned char *bytes, int size)
{
	struct question question = *(struct question *)context;

	free(context);
	if (question.channel->closing)
		return;
	if (status)
		question.on_answer(question.context, status, NULL, 0);
	else
		question.on_answer(question.context, status, bytes, (size_t)size);
}

void dns_channel_ask(struct dns_channel *channel, const char *name, int type,
		     void (*on_answer)(void *context, int status, const uint8_t *bytes,
				       size_t size),
		     void *context)
{
	struct question *question = malloc(sizeof(*question));

	if (!question) {
		on_answer(context, ARES_ENOMEM, NULL, 0);
		return;
	}
	*question = (struct question){channel, on_answer, context};
	ares_query(channel->ares, name, CLASS_IN, type, on_message, question);
	arm(channel);
}
