/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client's connection inherits from its listener (tcp(7), socket(7)): TCP_NODELAY and
 * SO_OOBINLINE always, keepalive, TCP_USER_TIMEOUT, buffers, MSS and congestion control as
 * configured.
 * Setting them once on the listener spares every accepted socket those system calls.
 *
 * Failure mode: an option that the kernel refuses (an unknown congestion control, say) is named.
 */
#include "proxy/listener_options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/congestion.h"
#include "proxy/model.h"

#define FAST_OPEN_QUEUE 256

struct attempt {
	int fd;
	int err;
	const char *option;
};

static void set_int(struct attempt *attempt, int level, int name, int value, const char *option)
{
	if (!setsockopt(attempt->fd, level, name, &value, sizeof(value)) || attempt->err)
		return;
	attempt->err = -errno;
	attempt->option = option;
}

static void set_congestion(struct attempt *attempt, const char *name)
{
	if (!name ||
	    !setsockopt(attempt->fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)))
		return;
	if (attempt->err)
		return;
	attempt->err = -errno;
	attempt->option = "TCP_CONGESTION";
}

static void set_tcp(struct attempt *attempt, const struct tcp_conf *tcp)
{
	set_int(attempt, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
	set_int(attempt, SOL_SOCKET, SO_OOBINLINE, 1, "SO_OOBINLINE");
	set_int(attempt, SOL_SOCKET, SO_KEEPALIVE, tcp->keepalive_idle_ms != 0, "SO_KEEPALIVE");
	if (tcp->keepalive_idle_ms) {
		set_int(attempt, IPPROTO_TCP, TCP_KEEPIDLE, (int)(tcp->keepalive_idle_ms / 1000),
			"TCP_KEEPIDLE");
		set_int(attempt, IPPROTO_TCP, TCP_KEEPINTVL,
			(int)(tcp->keepalive_interval_ms / 1000), "TCP_KEEPINTVL");
		set_int(attempt, IPPROTO_TCP, TCP_KEEPCNT, (int)tcp->keepalive_count,
			"TCP_KEEPCNT");
	}
	set_int(attempt, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)tcp->user_timeout_ms,
		"TCP_USER_TIMEOUT");
	set_int(attempt, IPPROTO_TCP, TCP_MAXSEG, tcp->mss, "TCP_MAXSEG");
	set_int(attempt, IPPROTO_TCP, TCP_FASTOPEN, tcp->fast_open ? FAST_OPEN_QUEUE : 0,
		"TCP_FASTOPEN");
}

int listener_set_options(int fd, const struct listener_conf *conf, const char **ret_option)
{
	struct attempt attempt = {.fd = fd};
	const struct tcp_conf *tcp = &conf->tcp;

	if (conf->bind.family != AF_UNIX) {
		set_tcp(&attempt, tcp);
		set_congestion(&attempt, congestion_choose(tcp->congestion, &conf->bind));
	}
	if (tcp->send_buffer)
		set_int(&attempt, SOL_SOCKET, SO_SNDBUF, (int)tcp->send_buffer, "SO_SNDBUF");
	if (tcp->receive_buffer)
		set_int(&attempt, SOL_SOCKET, SO_RCVBUF, (int)tcp->receive_buffer, "SO_RCVBUF");
	if (attempt.err && ret_option)
		*ret_option = attempt.option;
	return attempt.err;
}
