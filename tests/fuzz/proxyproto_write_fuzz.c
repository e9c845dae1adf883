/* SPDX-License-Identifier: Apache-2.0
 *
 * Any two addresses and TLVs as a PROXY header: the length that was stated is the length that was
 * written, and the reader takes exactly that much and reads what was said. Built by `make fuzz`
 * with libFuzzer, and by `make replay` with replay.c over tests/fuzz/corpus/proxyproto_write.
 *
 * An input is a byte of flags, a byte of families, 36 bytes of addresses and ports, and then types
 * and values of TLVs.
 */
#include <stdint.h>
#include <string.h>

#include "proxy/base/panic.h"
#include "proxy/proxyproto.h"

#define HEAD 38

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct addr make_addr(unsigned kind, const uint8_t *bytes, const uint8_t *port,
			     char path[109])
{
	static const uint16_t families[4] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
	struct addr addr = {.family = families[kind & 3]};

	if (addr.family == AF_UNIX) {
		memset(path, '/', 109);
		path[1 + port[0] % 108] = '\0';
		addr.path = kind & 4 ? path : NULL;
		return addr;
	}
	addr.port = (uint16_t)(port[0] << 8 | port[1]);
	if (addr.family == AF_INET)
		memcpy(&addr.v4, bytes, 4);
	else
		memcpy(&addr.v6, bytes, 16);
	if (addr.family == AF_INET6 && kind & 4)
		memcpy(&addr.v6, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	if (addr.family == AF_INET6 && kind & 8)
		addr.scope = port[1];
	return addr;
}

/* Well-formed ones from whatever is left: a type, a size of its own, and bytes. */
static uint16_t make_tlvs(const uint8_t *data, size_t size, uint8_t tlvs[PROXYPROTO_TLVS_MAX])
{
	size_t len = 0;

	while (size >= 2) {
		size_t value = data[1] < size - 2 ? data[1] : size - 2;

		if (len + 3 + value > PROXYPROTO_TLVS_MAX)
			break;
		/* Without NOOP and CRC32C, as the reader keeps them. */
		tlvs[len] = data[0] == 3 || data[0] == 4 ? 0xea : data[0];
		tlvs[len + 1] = 0;
		tlvs[len + 2] = (uint8_t)value;
		memcpy(tlvs + len + 3, data + 2, value);
		len += 3 + value;
		data += 2 + value;
		size -= 2 + value;
	}
	return (uint16_t)len;
}

static void check_read_back(const struct proxyproto_out *out, const uint8_t *buf, size_t len)
{
	static struct proxyproto header;
	const char *error = NULL;
	size_t length = 0;

	must(proxyproto_read(buf, len, &header, &length, &error) == PROXYPROTO_OK);
	must(length == len);
	must(header.version == out->version && !header.datagram);
	if (out->version == 2 && !out->local) {
		must(header.command == PROXYPROTO_PROXY && header.tlv_size == out->tlv_size);
		must(!memcmp(header.tlvs, out->tlvs, out->tlv_size));
	}
	if (header.family == AF_INET || header.family == AF_INET6) {
		must(header.source.port == out->source->port);
		must(header.destination.port == out->destination->port);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t tlvs[PROXYPROTO_TLVS_MAX], buf[PROXYPROTO_WRITE_MAX + 1];
	char paths[2][109];
	struct addr source, destination;
	struct proxyproto_out out;
	size_t len;

	if (size < HEAD)
		return 0;
	source = make_addr(data[1] & 15, data + 2, data + 18, paths[0]);
	destination = make_addr(data[1] >> 4, data + 20, data + 36, paths[1]);
	out = (struct proxyproto_out){.version = data[0] & 1 ? 1 : 2,
				      .local = data[0] & 2,
				      .crc32c = data[0] & 4,
				      .source = data[0] & 8 ? NULL : &source,
				      .destination = data[0] & 8 ? NULL : &destination,
				      .tlvs = tlvs,
				      .tlv_size = make_tlvs(data + HEAD, size - HEAD, tlvs)};
	buf[PROXYPROTO_WRITE_MAX] = 0xa5;
	len = proxyproto_write(&out, buf);
	must(len <= PROXYPROTO_WRITE_MAX && buf[PROXYPROTO_WRITE_MAX] == 0xa5);
	if (out.version == 2)
		must(len == 16 + (size_t)(buf[14] << 8 | buf[15]));
	else
		must(len <= PROXYPROTO_V1_MAX && !memcmp(buf + len - 2, "\r\n", 2));
	check_read_back(&out, buf, len);
	return 0;
}
