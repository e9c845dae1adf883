/* SPDX-License-Identifier: Apache-2.0
 *
 * A name server in the test's own loop, on UDP and TCP of one port. What it knows are lines such as
 * "api.test A 60 10.0.0.1" and "_db.test SRV 60 10 5 80 host.test"; how it misbehaves is set beside
 * them.
 */
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include "control/source_dns/answer.h"
#include "tests/unit/source_rig.h"

struct dns_rig {
	struct loop *loop;
	struct loop_source udp, tcp, client;
	uint16_t port;
	const char *const *zone; /* NULL ends it */
	int rcode;               /* of every answer, unless 0 */
	int rcode_of_type;       /* only of this type, unless 0 */
	bool silent;
	bool truncate;   /* UDP gets nothing but the flag */
	bool additional; /* addresses of SRV targets come along */
	bool garbage;    /* the last record is cut */
	unsigned questions;
	unsigned tcp_questions;
};

struct dns_message {
	uint8_t bytes[65535];
	size_t size;
	size_t counts[2]; /* answers, additional */
};

static inline void dns_put(struct dns_message *message, unsigned value, unsigned bytes)
{
	while (bytes--)
		message->bytes[message->size++] = (uint8_t)(value >> 8 * bytes);
}

static inline void dns_put_name(struct dns_message *message, const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t length = strcspn(name, ".");

		dns_put(message, (unsigned)length, 1);
		memcpy(message->bytes + message->size, name, length);
		message->size += length;
		name += length + (name[length] == '.');
	}
	dns_put(message, 0, 1);
}

/* "60 10.0.0.1" behind the type. */
static inline void dns_put_data(struct dns_message *message, enum dns_type type, const char *data)
{
	size_t length_at = message->size;
	unsigned priority, weight, port;
	char name[256];

	dns_put(message, 0, 2);
	if (type == DNS_A) {
		ck_assert_int_eq(inet_pton(AF_INET, data, message->bytes + message->size), 1);
		message->size += 4;
	} else if (type == DNS_AAAA) {
		ck_assert_int_eq(inet_pton(AF_INET6, data, message->bytes + message->size), 1);
		message->size += 16;
	} else if (type == DNS_SRV) {
		ck_assert_int_eq(sscanf(data, "%u %u %u %255s", &priority, &weight, &port, name),
				 4);
		dns_put(message, priority, 2);
		dns_put(message, weight, 2);
		dns_put(message, port, 2);
		dns_put_name(message, name);
	} else {
		dns_put_name(message, data);
	}
	size_t length = message->size - length_at - 2;

	message->bytes[length_at] = (uint8_t)(length >> 8);
	message->bytes[length_at + 1] = (uint8_t)length;
}

static inline enum dns_type dns_type_of(const char *text)
{
	return strcmp(text, "A") == 0       ? DNS_A
	       : strcmp(text, "AAAA") == 0  ? DNS_AAAA
	       : strcmp(text, "CNAME") == 0 ? DNS_CNAME
					    : DNS_SRV;
}

/* Every record of `name` and `type`; through CNAMEs, except for those themselves. */
static inline void dns_put_records(const struct dns_rig *rig, struct dns_message *message,
				   const char *name, enum dns_type type, unsigned section,
				   bool *ret_known)
{
	for (const char *const *line = rig->zone; *line; line++) {
		char owner[256], kind[8];
		unsigned ttl;
		int data;

		ck_assert_int_eq(sscanf(*line, "%255s %7s %u %n", owner, kind, &ttl, &data), 3);
		if (strcasecmp(owner, name) != 0)
			continue;
		*ret_known = true;
		enum dns_type is = dns_type_of(kind);

		if (is != type && is != DNS_CNAME)
			continue;
		dns_put_name(message, owner);
		dns_put(message, is, 2);
		dns_put(message, 1, 2);
		dns_put(message, ttl, 4);
		dns_put_data(message, is, *line + data);
		message->counts[section]++;
		if (is == DNS_CNAME)
			dns_put_records(rig, message, *line + data, type, section, ret_known);
	}
}

static inline void dns_put_glue(const struct dns_rig *rig, struct dns_message *message,
				const char *name)
{
	for (const char *const *line = rig->zone; *line; line++) {
		char owner[256], target[256];
		bool known;

		if (sscanf(*line, "%255s SRV %*u %*u %*u %*u %255s", owner, target) != 2 ||
		    strcasecmp(owner, name) != 0)
			continue;
		dns_put_records(rig, message, target, DNS_A, 1, &known);
		dns_put_records(rig, message, target, DNS_AAAA, 1, &known);
	}
}

/* The name and type that are asked for; the length of header and question. */
static inline size_t dns_read_question(const uint8_t *query, char *name, enum dns_type *ret_type)
{
	size_t at = 12;

	*name = '\0';
	while (query[at]) {
		strncat(name, (const char *)&query[at + 1], query[at]);
		at += 1u + query[at];
		if (query[at])
			strcat(name, ".");
	}
	*ret_type = (enum dns_type)(query[at + 1] << 8 | query[at + 2]);
	return at + 5;
}

static inline void dns_reply(const struct dns_rig *rig, const uint8_t *query, bool tcp,
			     struct dns_message *message)
{
	char name[256];
	enum dns_type type;
	size_t question = dns_read_question(query, name, &type);
	bool wrong = rig->rcode && (!rig->rcode_of_type || rig->rcode_of_type == (int)type);
	bool cut = rig->truncate && !tcp, known = false;

	memcpy(message->bytes, query, question);
	message->size = question;
	message->counts[0] = message->counts[1] = 0;
	if (!wrong && !cut)
		dns_put_records(rig, message, name, type, 0, &known);
	if (!wrong && !cut && rig->additional && type == DNS_SRV)
		dns_put_glue(rig, message, name);
	message->bytes[2] = (uint8_t)(0x84 | (cut ? 2 : 0));
	message->bytes[3] = (uint8_t)(wrong ? rig->rcode : known || cut ? 0 : 3);
	memset(message->bytes + 4, 0, 8);
	message->bytes[5] = 1;
	message->bytes[6] = (uint8_t)(message->counts[0] >> 8);
	message->bytes[7] = (uint8_t)message->counts[0];
	message->bytes[11] = (uint8_t)message->counts[1];
	if (rig->garbage)
		message->size -= 2;
}

static inline void dns_on_udp(struct loop_source *source, uint32_t events)
{
	struct dns_rig *rig = container_of(source, struct dns_rig, udp);
	static struct dns_message message;
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	uint8_t query[2048];

	ck_assert_int_gt(
		recvfrom(source->fd, query, sizeof(query), 0, (struct sockaddr *)&from, &length),
		12);
	rig->questions++;
	if (rig->silent)
		return;
	dns_reply(rig, query, false, &message);
	ck_assert_int_gt(sendto(source->fd, message.bytes, message.size, 0,
				(struct sockaddr *)&from, length),
			 0);
}

/* A question and its length come in one piece over loopback. */
static inline void dns_on_client(struct loop_source *source, uint32_t events)
{
	struct dns_rig *rig = container_of(source, struct dns_rig, client);
	static struct dns_message message;
	uint8_t query[2048], length[2];
	ssize_t got = recv(source->fd, query, sizeof(query), 0);

	if (got <= 0) {
		close(source->fd);
		source->fd = -1;
		return;
	}
	rig->tcp_questions++;
	dns_reply(rig, query + 2, true, &message);
	length[0] = (uint8_t)(message.size >> 8);
	length[1] = (uint8_t)message.size;
	ck_assert_int_eq(send(source->fd, length, 2, MSG_MORE), 2);
	ck_assert_int_eq(send(source->fd, message.bytes, message.size, 0), (ssize_t)message.size);
}

static inline void dns_on_tcp(struct loop_source *source, uint32_t events)
{
	struct dns_rig *rig = container_of(source, struct dns_rig, tcp);

	rig->client.fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(rig->client.fd, 0);
	ck_assert_int_eq(loop_add(rig->loop, &rig->client, EPOLLIN), 0);
}

/* Binds first, so that the port is known to the configuration; dns_rig_run() joins the loop. */
static inline void dns_rig_bind(struct dns_rig *rig)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);

	memset(rig, 0, sizeof(*rig));
	rig->tcp.on_event = dns_on_tcp;
	rig->udp.on_event = dns_on_udp;
	rig->client = (struct loop_source){.on_event = dns_on_client, .fd = -1};
	rig->tcp.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(rig->tcp.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(rig->tcp.fd, 4), 0);
	ck_assert_int_eq(getsockname(rig->tcp.fd, (struct sockaddr *)&at, &length), 0);
	rig->udp.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(rig->udp.fd, (struct sockaddr *)&at, sizeof(at)), 0);
	rig->port = ntohs(at.sin_port);
}

static inline void dns_rig_run(struct dns_rig *rig, struct loop *loop)
{
	rig->loop = loop;
	ck_assert_int_eq(loop_add(loop, &rig->udp, EPOLLIN), 0);
	ck_assert_int_eq(loop_add(loop, &rig->tcp, EPOLLIN), 0);
}

static inline void dns_rig_close(struct dns_rig *rig)
{
	close(rig->udp.fd);
	close(rig->tcp.fd);
	if (rig->client.fd >= 0)
		close(rig->client.fd);
	rig->udp.fd = rig->tcp.fd = rig->client.fd = -1;
}
