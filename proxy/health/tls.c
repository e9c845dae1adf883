/* SPDX-License-Identifier: Apache-2.0
 *
 * The check `tls`: a ClientHello, which the server must answer with a ServerHello. Nothing is
 * encrypted or verified: that the server speaks TLS and found a certificate and a cipher to go on
 * with is what an L4 balancer can ask for. So the message is built here, and no TLS library is
 * linked for it. It offers TLS 1.3 (RFC 8446, section 4.1.2) and 1.2 (RFC 5246, section 7.4.1.2).
 *
 * Failure modes: an alert, whose number is said; something that is not TLS.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/health/probe.h"

#define RECORD_ALERT     21
#define RECORD_HANDSHAKE 22
#define RECORD_HEADER    5
#define ALERT_SIZE       2
#define ALERT_WARNING    1
#define ALERT_NAME       112 /* unrecognized_name, of which some servers warn and go on */
#define SERVER_HELLO     2
#define NAME_MAX_LENGTH  253
#define CLIENT_HELLO_MAX (512 + NAME_MAX_LENGTH)

/* Bytes of a message under construction. */
struct writer {
	uint8_t *data;
	size_t size;
};

static void put(struct writer *out, const void *bytes, size_t size)
{
	memcpy(out->data + out->size, bytes, size);
	out->size += size;
}

#define PUT(out, ...) put(out, (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

/* Room for a length of two bytes, to be filled in once what follows is there. */
static size_t open_length(struct writer *out)
{
	PUT(out, 0, 0);
	return out->size;
}

static void close_length(struct writer *out, size_t start)
{
	size_t length = out->size - start;

	out->data[start - 2] = (uint8_t)(length >> 8);
	out->data[start - 1] = (uint8_t)length;
}

/* server_name (RFC 6066, section 3): a DNS name, without the final dot, and never an address. */
static void put_server_name(struct writer *out, const char *host)
{
	size_t length = host ? strlen(host) : 0, extension, list, name;
	uint8_t address[sizeof(struct in6_addr)];

	if (length && host[length - 1] == '.')
		length--;
	if (!length || length > NAME_MAX_LENGTH || inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1)
		return;
	PUT(out, 0, 0);
	extension = open_length(out);
	list = open_length(out);
	PUT(out, 0);
	name = open_length(out);
	put(out, host, length);
	close_length(out, name);
	close_length(out, list);
	close_length(out, extension);
}

static void put_cipher_suites(struct writer *out)
{
	size_t length = open_length(out);

	PUT(out, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03); /* TLS 1.3 */
	PUT(out, 0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30, 0xcc, 0xa9, 0xcc, 0xa8);
	PUT(out, 0xc0, 0x09, 0xc0, 0x13, 0xc0, 0x0a, 0xc0, 0x14); /* ECDHE with CBC */
	PUT(out, 0x00, 0x9e, 0x00, 0x9f);                         /* DHE with GCM */
	PUT(out, 0x00, 0x9c, 0x00, 0x9d, 0x00, 0x2f, 0x00, 0x35); /* RSA */
	close_length(out, length);
}

static void put_extensions(struct writer *out, const char *host, const uint8_t *share)
{
	size_t length = open_length(out);

	put_server_name(out, host);
	PUT(out, 0, 10, 0, 10, 0, 8, 0, 29, 0, 23, 0, 24, 0, 25); /* x25519, P-256, 384, 521 */
	PUT(out, 0, 11, 0, 2, 1, 0);                              /* uncompressed points */
	/* ECDSA, RSA-PSS, RSA with SHA-256 to 512; ed25519; the same two with SHA-1. */
	PUT(out, 0, 13, 0, 26, 0, 24, 4, 3, 5, 3, 6, 3, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 6, 1, 8, 7, 2,
	    3, 2, 1);
	PUT(out, 0, 23, 0, 0);                       /* extended_master_secret */
	PUT(out, 0xff, 0x01, 0, 1, 0);               /* renegotiation_info, empty */
	PUT(out, 0, 43, 0, 5, 4, 3, 4, 3, 3);        /* TLS 1.3 and 1.2 */
	PUT(out, 0, 45, 0, 2, 1, 1);                 /* psk_dhe_ke */
	PUT(out, 0, 51, 0, 38, 0, 36, 0, 29, 0, 32); /* any 32 bytes are a key of x25519 */
	put(out, share, 32);
	close_length(out, length);
}

/* `random` goes out as the hello's random and as the key share: nothing is ever decrypted. */
static uint8_t *make_request(const struct health_conf *conf, const struct addr *addr,
			     const uint8_t *random, size_t *ret_size)
{
	struct writer out = {.data = malloc(CLIENT_HELLO_MAX)};
	size_t record, hello;

	if (!out.data)
		return NULL;
	PUT(&out, RECORD_HANDSHAKE, 3, 1);
	record = open_length(&out);
	PUT(&out, 1, 0); /* client_hello; its length has three bytes */
	hello = open_length(&out);
	PUT(&out, 3, 3);
	put(&out, random, 32);
	PUT(&out, 0); /* no session to resume */
	put_cipher_suites(&out);
	PUT(&out, 1, 0); /* no compression */
	put_extensions(&out, conf->host, random + 32);
	close_length(&out, hello);
	close_length(&out, record);
	*ret_size = out.size;
	return out.data;
}

static const char *alert_name(uint8_t number)
{
	switch (number) {
	case 0:
		return "close notify";
	case 40:
		return "handshake failure";
	case 47:
		return "illegal parameter";
	case 50:
		return "decode error";
	case 70:
		return "protocol version";
	case 71:
		return "insufficient security";
	case 80:
		return "internal error";
	case ALERT_NAME:
		return "unrecognized name";
	default:
		return "see RFC 8446";
	}
}

static enum probe_outcome say_bad(char *ret_text, const char *text)
{
	snprintf(ret_text, PROBE_TEXT, "%s", text);
	return PROBE_BAD;
}

/* A record at `data`; `ret_skip` is its length if it is to be ignored. */
static enum probe_outcome judge_record(const uint8_t *data, size_t size, size_t *ret_skip,
				       char *ret_text)
{
	if (data[0] != RECORD_HANDSHAKE && data[0] != RECORD_ALERT)
		return say_bad(ret_text, "answer is not TLS");
	if (size > 1 && data[1] != 3)
		return say_bad(ret_text, "answer is not TLS");
	if (size <= RECORD_HEADER)
		return PROBE_MORE;
	if (data[0] == RECORD_HANDSHAKE) {
		if (data[RECORD_HEADER] != SERVER_HELLO)
			return say_bad(ret_text, "TLS without a ServerHello");
		snprintf(ret_text, PROBE_TEXT, "TLS ServerHello");
		return PROBE_GOOD;
	}
	if (size < RECORD_HEADER + ALERT_SIZE)
		return PROBE_MORE;
	if (data[5] == ALERT_WARNING && data[6] == ALERT_NAME) {
		*ret_skip = RECORD_HEADER + ALERT_SIZE;
		return PROBE_MORE;
	}
	snprintf(ret_text, PROBE_TEXT, "TLS alert %u (%s)", data[6], alert_name(data[6]));
	return PROBE_BAD;
}

static enum probe_outcome judge(const struct health_conf *conf, const struct probe_answer *answer,
				char *ret_text)
{
	size_t at = 0;

	while (at < answer->size) {
		size_t skip = 0;
		enum probe_outcome outcome =
			judge_record(answer->data + at, answer->size - at, &skip, ret_text);

		if (!skip)
			return outcome;
		at += skip;
	}
	return PROBE_MORE;
}

const struct probe tls_probe = {
	.request = make_request,
	.judge = judge,
};
