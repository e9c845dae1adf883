/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol's writer: what it writes byte for byte, and that the reader gets back what was
 * said.
 */
#include "tests/unit/conf_rig.h"
#include "tests/unit/proxyproto_rig.h"

static uint8_t buf[PROXYPROTO_WRITE_MAX + 1];

static struct addr addr_of(const char *text)
{
	struct addr addr;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	return addr;
}

/* Write; the length that was returned must be all that was touched. */
static size_t write_out(const struct proxyproto_out *out)
{
	static uint8_t other[PROXYPROTO_WRITE_MAX + 1];
	size_t len;

	memset(buf, 0xa5, sizeof(buf));
	memset(other, 0x5a, sizeof(other));
	len = proxyproto_write(out, buf);
	ck_assert_uint_le(len, PROXYPROTO_WRITE_MAX);
	ck_assert_uint_eq(proxyproto_write(out, other), len);
	ck_assert_mem_eq(buf, other, len);
	for (size_t i = len; i < sizeof(buf); i++)
		ck_assert(buf[i] == 0xa5 && other[i] == 0x5a);
	return len;
}

static void expect_v1(const char *source, const char *destination, const char *line)
{
	struct addr from = addr_of(source), to = addr_of(destination);
	struct proxyproto_out out = {.version = 1, .source = &from, .destination = &to};

	ck_assert_uint_eq(write_out(&out), strlen(line));
	ck_assert_mem_eq(buf, line, strlen(line));
}

START_TEST(v1_is_one_line)
{
	expect_v1("192.0.2.1:1025", "198.51.100.2:443",
		  "PROXY TCP4 192.0.2.1 198.51.100.2 1025 443\r\n");
	expect_v1("[2001:db8::1]:1", "[::1]:65535", "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n");
	expect_v1("[::ffff:192.0.2.1]:1", "198.51.100.2:2",
		  "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n");
	expect_v1("[fe80::1%1]:1", "[fe80::2%1]:2", "PROXY TCP6 fe80::1 fe80::2 1 2\r\n");
	expect_v1("192.0.2.1:1", "[::1]:2", "PROXY UNKNOWN\r\n");
	expect_v1("unix:/a", "unix:/b", "PROXY UNKNOWN\r\n");
	expect_v1("192.0.2.1:1", "unix:/b", "PROXY UNKNOWN\r\n");
}
END_TEST

START_TEST(v1_of_our_own_connection_is_unknown)
{
	struct proxyproto_out out = {.version = 1, .local = true};

	ck_assert_uint_eq(write_out(&out), 15);
	ck_assert_mem_eq(buf, "PROXY UNKNOWN\r\n", 15);
}
END_TEST

START_TEST(v2_is_what_the_specification_draws)
{
	struct addr from = addr_of("192.0.2.1:1025"), to = addr_of("198.51.100.2:443");
	struct proxyproto_out out = {.version = 2,
				     .source = &from,
				     .destination = &to,
				     .tlvs = (const uint8_t *)"\x05\x00\x02id",
				     .tlv_size = 5};
	static struct made made;

	make_tcp4(&made);
	make_tlv(&made, 0x05, "id", 2);
	ck_assert_uint_eq(write_out(&out), made.len);
	ck_assert_mem_eq(buf, made.bytes, made.len);
	make_fixed(&made, 0x20, 0);
	out = (struct proxyproto_out){.version = 2, .local = true};
	ck_assert_uint_eq(write_out(&out), 16);
	ck_assert_mem_eq(buf, made.bytes, 16);
}
END_TEST

static const char *const ends[] = {
	"192.0.2.1:1025",       "198.51.100.2:443", "[2001:db8::1]:80", "[::1]:65535",
	"[::ffff:192.0.2.1]:7", "unix:/run/a",      "unix:/run/b",      NULL,
};

#define END_COUNT (sizeof(ends) / sizeof(ends[0]))

static bool same(const struct addr *a, const struct addr *b)
{
	struct addr left = addr_unmap(a), right = addr_unmap(b);

	return addr_equal(&left, &right);
}

static void expect_identity(const struct proxyproto_out *out, size_t size)
{
	bool either_unix = out->source->family == AF_UNIX || out->destination->family == AF_UNIX;
	bool both_unix = out->source->family == AF_UNIX && out->destination->family == AF_UNIX;
	bool nothing = !out->source->family || !out->destination->family ||
		       (either_unix && (!both_unix || out->version == 1));
	struct addr from = addr_unmap(out->source), to = addr_unmap(out->destination);

	ck_assert_int_eq(read_bytes(buf, size), PROXYPROTO_OK);
	ck_assert_uint_eq(length, size);
	ck_assert_int_eq(header.version, out->version);
	ck_assert(!header.datagram);
	if (out->version == 2) {
		ck_assert_int_eq(header.command, out->local ? PROXYPROTO_LOCAL : PROXYPROTO_PROXY);
		ck_assert_uint_eq(header.tlv_size, out->local ? 0 : out->tlv_size);
		ck_assert_mem_eq(header.tlvs, out->tlvs, header.tlv_size);
	}
	if (out->local || nothing || (out->version == 1 && from.family != to.family)) {
		ck_assert_int_eq(header.family, AF_UNSPEC);
		return;
	}
	ck_assert(same(&header.source, out->source));
	ck_assert(same(&header.destination, out->destination));
}

START_TEST(what_is_written_is_what_is_read)
{
	static uint8_t tlvs[PROXYPROTO_TLVS_MAX] = {0xe1, (PROXYPROTO_TLVS_MAX - 3) >> 8,
						    (PROXYPROTO_TLVS_MAX - 3) & 255};
	static const uint16_t tlv_sizes[] = {0, PROXYPROTO_TLVS_MAX};

	for (size_t i = 0; i < END_COUNT * END_COUNT * 16; i++) {
		const char *source = ends[i / 16 % END_COUNT];
		const char *destination = ends[i / 16 / END_COUNT];
		struct addr from = source ? addr_of(source) : (struct addr){0};
		struct addr to = destination ? addr_of(destination) : (struct addr){0};
		struct proxyproto_out out = {.version = i & 1 ? 1 : 2,
					     .local = i & 2,
					     .crc32c = i & 4,
					     .source = &from,
					     .destination = &to,
					     .tlvs = tlvs,
					     .tlv_size = tlv_sizes[i >> 3 & 1]};

		expect_identity(&out, write_out(&out));
	}
}
END_TEST

START_TEST(every_bit_is_under_the_checksum)
{
	struct addr from = addr_of("[2001:db8::1]:1025"), to = addr_of("192.0.2.2:443");
	struct proxyproto_out out = {
		.version = 2, .crc32c = true, .source = &from, .destination = &to};
	size_t size = write_out(&out);

	for (size_t at = 16; at < size; at++) {
		if (at >= size - 7 && at < size - 4)
			continue; /* the frame of the checksum itself */
		buf[at] ^= 1;
		ck_assert_int_eq(read_bytes(buf, size), PROXYPROTO_BAD);
		buf[at] ^= 1;
	}
	ck_assert_int_eq(read_bytes(buf, size), PROXYPROTO_OK);
	expect_addr(&header.destination, "192.0.2.2:443");
	ck_assert_int_eq(header.destination.family, AF_INET6);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		v1_is_one_line,
		v1_of_our_own_connection_is_unknown,
		v2_is_what_the_specification_draws,
		what_is_written_is_what_is_read,
		every_bit_is_under_the_checksum,
	};

	return run_tests("proxyproto_write", tests, COUNT(tests));
}
