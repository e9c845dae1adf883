/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends both connections of a session that nobody knows the state of any more.
 *
 * The kernel may still have sockets of the dead process on these tuples (in FIN_WAIT or LAST_ACK,
 * with sequence numbers of their own): they are destroyed, by their cookie, as a question for a
 * tuple alone may find a listener (sock_diag(7)). Then sockets are made that say nothing but RST:
 * one where the peer stood last, and one just beyond all that was sent, since a peer that has got
 * further answers that with a challenge (RFC 5961, 3.2), to which the kernel, which has no socket
 * there any more, has the right answer.
 *
 * Failure modes: no privilege, or a kernel without CONFIG_INET_DIAG_DESTROY: whoever sends
 * something is reset all the same; who never does is left to his own keepalive.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xdp/flow/internal.h"

static void put_words(const struct addr *addr, __be32 ret_words[4])
{
	memset(ret_words, 0, 4 * sizeof(ret_words[0]));
	if (addr->family == AF_INET)
		memcpy(ret_words, &addr->v4, sizeof(addr->v4));
	else
		memcpy(ret_words, &addr->v6, sizeof(addr->v6));
}

/* About one socket; the answer, or NULL. */
static const struct nlmsghdr *ask(struct mnl_socket *diag, const struct flow_tomb *tomb,
				  uint16_t type, uint16_t flags, const __u32 cookie[2],
				  char *buffer, size_t size)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
	struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
	ssize_t got;

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	request->sdiag_family = (__u8)tomb->local.family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = ~0U;
	put_words(&tomb->local, request->id.idiag_src);
	put_words(&tomb->peer, request->id.idiag_dst);
	request->id.idiag_sport = htons(tomb->local.port);
	request->id.idiag_dport = htons(tomb->peer.port);
	memcpy(request->id.idiag_cookie, cookie, sizeof(request->id.idiag_cookie));
	if (mnl_socket_sendto(diag, header, header->nlmsg_len) < 0)
		return NULL;
	got = mnl_socket_recvfrom(diag, buffer, size);
	header = (struct nlmsghdr *)buffer;
	return got > 0 && mnl_nlmsg_ok(header, (int)got) ? header : NULL;
}

static void destroy(struct mnl_socket *diag, const struct flow_tomb *tomb)
{
	static const __u32 any[2] = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE};
	_Alignas(struct nlmsghdr) char buffer[4096];
	const struct nlmsghdr *answer =
		ask(diag, tomb, SOCK_DIAG_BY_FAMILY, 0, any, buffer, sizeof(buffer));
	struct inet_diag_msg found;

	if (!answer || answer->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    mnl_nlmsg_get_payload_len(answer) < sizeof(found))
		return;
	memcpy(&found, mnl_nlmsg_get_payload(answer), sizeof(found));
	if (found.idiag_state != TCP_LISTEN)
		ask(diag, tomb, SOCK_DESTROY, NLM_F_ACK, found.id.idiag_cookie, buffer,
		    sizeof(buffer));
}

static void destroy_both(const struct flow_tomb tombs[2])
{
	struct mnl_socket *diag = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);

	for (unsigned leg = 0; diag && leg < 2; leg++)
		destroy(diag, &tombs[leg]);
	if (diag)
		mnl_socket_close(diag);
}

static void say_reset(const struct flow_tomb *tomb, uint32_t seq, uint32_t ack)
{
	const struct linger hard = {.l_onoff = 1};
	const int off = TCP_REPAIR_OFF_NO_WP;
	int fd;

	if (flow_make_socket(tomb, seq, ack, &fd))
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	close(fd);
}

static uint32_t later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0 ? a : b;
}

void flow_reset_pair(const struct flow pair[2], const struct flow_tomb tombs[2])
{
	destroy_both(tombs);
	for (unsigned leg = 0; leg < 2; leg++) {
		uint32_t stood = pair[leg].last_ack;
		uint32_t sent = later(pair[!leg].seq_end + pair[!leg].seq_delta,
				      later(pair[leg].kernel_end, stood));

		say_reset(&tombs[leg], stood, pair[leg].seq_end);
		say_reset(&tombs[leg], sent + 2, pair[leg].seq_end); /* a FIN may be among it */
	}
}

void flow_reset(struct flow_engine *engine, uint32_t index, const struct flow_tomb tombs[2])
{
	struct flow pair[2];

	memcpy(pair, &engine->flows[index], sizeof(pair));
	flow_remove(engine, index);
	flow_reset_pair(pair, tombs);
}
