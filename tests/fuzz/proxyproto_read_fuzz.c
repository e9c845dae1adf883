/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes in front of a connection: whatever the reader makes of them, it makes the same of every
 * longer and, until the header is whole, of no shorter piece; and what it understood can be written
 * again and comes to the same. Built by `make fuzz` with libFuzzer, and by `make replay` with
 * replay.c over tests/fuzz/corpus/proxyproto_read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/panic.h"
#include "proxy/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From memory of just that size, so that a sanitizer sees a read behind it. */
static enum proxyproto_result read_exactly(const uint8_t *data, size_t size,
					   struct proxyproto *header, size_t *ret_length)
{
	uint8_t *copy = malloc(size ? size : 1);
	const char *error = NULL;
	enum proxyproto_result result;

	must(copy);
	memcpy(copy, data, size);
	result = proxyproto_read(copy, size, header, ret_length, &error);
	must((result == PROXYPROTO_BAD) == (error != NULL));
	free(copy);
	return result;
}

static void check_fields(const struct proxyproto *header)
{
	must(header->version == 1 || header->version == 2);
	must(header->source.family == header->family);
	must(header->destination.family == header->family);
	must(header->command == PROXYPROTO_PROXY || !header->family);
	must(header->tlv_size <= PROXYPROTO_TLVS_MAX);
	must(strlen(header->vpce) < PROXYPROTO_VPCE_MAX);
}

static void check_written_again(const struct proxyproto *header)
{
	static struct proxyproto again;
	struct proxyproto_out out = {.version = header->version,
				     .local = header->command == PROXYPROTO_LOCAL,
				     .crc32c = true,
				     .source = &header->source,
				     .destination = &header->destination,
				     .tlvs = header->tlvs,
				     .tlv_size = header->tlv_size};
	uint8_t buf[PROXYPROTO_WRITE_MAX];
	size_t size = proxyproto_write(&out, buf), length = 0;

	must(read_exactly(buf, size, &again, &length) == PROXYPROTO_OK && length == size);
	must(again.tlv_size == header->tlv_size);
	must(!memcmp(again.tlvs, header->tlvs, again.tlv_size));
	if (header->version == 1 && !again.family)
		return; /* one end v4-mapped, the other not: version 1 has no words for it */
	/* Plain where they were v4-mapped, but never another host. */
	must(addr_hash_host(&again.source) == addr_hash_host(&header->source));
	must(again.source.port == header->source.port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct proxyproto header;
	size_t length = 0, shorter;
	enum proxyproto_result result = read_exactly(data, size, &header, &length);

	if (result != PROXYPROTO_OK) {
		must(result != PROXYPROTO_NEED_MORE || size < PROXYPROTO_READ_MAX);
		return 0;
	}
	must(length && length <= size && length <= PROXYPROTO_READ_MAX);
	check_fields(&header);
	check_written_again(&header);
	must(read_exactly(data, length - 1, &header, &shorter) == PROXYPROTO_NEED_MORE);
	must(read_exactly(data, length, &header, &shorter) == PROXYPROTO_OK && shorter == length);
	return 0;
}
