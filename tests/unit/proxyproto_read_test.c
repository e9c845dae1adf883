/* SPDX-License-Identifier: Apache-2.0
 *
 * The PROXY protocol's reader: both versions, what is not quite one, and headers that come in
 * pieces.
 */
#include "tests/unit/conf_rig.h"
#include "tests/unit/proxyproto_rig.h"

static struct made made;

START_TEST(v1_names_the_client_and_where_it_went)
{
	ck_assert_int_eq(read_text("PROXY TCP4 192.0.2.1 198.51.100.2 1025 443\r\nGET /"),
			 PROXYPROTO_OK);
	ck_assert_uint_eq(length, 44);
	ck_assert_int_eq(header.version, 1);
	ck_assert_int_eq(header.command, PROXYPROTO_PROXY);
	ck_assert_int_eq(header.family, AF_INET);
	expect_addr(&header.source, "192.0.2.1:1025");
	expect_addr(&header.destination, "198.51.100.2:443");
	ck_assert_int_eq(read_text("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n"), PROXYPROTO_OK);
	ck_assert_int_eq(header.family, AF_INET6);
	expect_addr(&header.source, "[2001:db8::1]:65535");
	expect_addr(&header.destination, "[::1]:0");
}
END_TEST

START_TEST(v1_unknown_says_nothing_whatever_follows_it)
{
	static const char *const lines[] = {
		"PROXY UNKNOWN\r\n",
		"PROXY UNKNOWN \r\n",
		"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
		"PROXY UNKNOWN a b c d e f g h\r\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ck_assert_int_eq(read_text(lines[i]), PROXYPROTO_OK);
		ck_assert_uint_eq(length, strlen(lines[i]));
		ck_assert_int_eq(header.version, 1);
		ck_assert_int_eq(header.command, PROXYPROTO_LOCAL);
		ck_assert_int_eq(header.family, AF_UNSPEC);
		ck_assert_int_eq(header.source.family, 0);
	}
}
END_TEST

START_TEST(v1_takes_the_longest_line_and_none_longer)
{
	char line[256];

	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	ck_assert_int_eq(read_bytes(line, 106), PROXYPROTO_NEED_MORE);
	ck_assert_int_eq(read_bytes(line, 107), PROXYPROTO_BAD);
	memcpy(line + 105, "\r\n", 2);
	ck_assert_int_eq(read_bytes(line, 106), PROXYPROTO_NEED_MORE);
	ck_assert_int_eq(read_bytes(line, 107), PROXYPROTO_OK);
	ck_assert_int_eq(read_bytes(line, 256), PROXYPROTO_OK);
	memcpy(line + 105, "xx\r\n", 4);
	ck_assert_int_eq(read_bytes(line, 256), PROXYPROTO_BAD);
}
END_TEST

START_TEST(v1_that_is_not_exact_is_bad)
{
	static const char *const lines[] = {
		"PROXY \r\n",
		"PROXY TCP4\r\n",
		"PROXY TCP5 192.0.2.1 198.51.100.2 1025 443\r\n",
		"PROXY TCP44 192.0.2.1 198.51.100.2 1025 443\r\n",
		"PROXY tcp4 192.0.2.1 198.51.100.2 1025 443\r\n",
		"PROXY UDP4 192.0.2.1 198.51.100.2 1025 443\r\n",
		"PROXY UNKNOWNX\r\n",
		"PROXY  TCP4 192.0.2.1 198.51.100.2 1025 443\r\n",
		"PROXY TCP4 192.0.2.1  198.51.100.2 1025 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 1025 443 \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 1025 443 9\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 1025\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 01025 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 1025 443x\r\n",
		"PROXY TCP4 192.0.2.256 198.51.100.2 1025 443\r\n",
		"PROXY TCP4 192.0.2 198.51.100.2 1025 443\r\n",
		"PROXY TCP4 2001:db8::1 ::1 1025 443\r\n",
		"PROXY TCP4 unix:/a 198.51.100.2 1025 443\r\n",
		"PROXY TCP4 unix:/a unix:/b 1025 443\r\n",
		"PROXY TCP6 192.0.2.1 198.51.100.2 1025 443\r\n",
		"PROXY TCP6 [2001:db8::1] ::1 1025 443\r\n",
		"PROXY TCP6 fe80::1%1 ::1 1025 443\r\n",
		"PROXY TCP6 2001:db8::1::2 ::1 1025 443\r\n",
		"PROXY\tTCP4 192.0.2.1 198.51.100.2 1025 443\r\n",
	};

	for (size_t i = 0; i + 1 < sizeof(lines) / sizeof(lines[0]); i++)
		ck_assert_msg(read_text(lines[i]) == PROXYPROTO_BAD, "%s", lines[i]);
	ck_assert_int_eq(read_text(lines[sizeof(lines) / sizeof(lines[0]) - 1]), PROXYPROTO_NONE);
	ck_assert_int_eq(read_bytes("PROXY UNKNOWN\0\r\n", 16), PROXYPROTO_BAD);
	ck_assert_int_eq(read_text("PROXY UNKNOWN\n"), PROXYPROTO_NEED_MORE);
}
END_TEST

START_TEST(other_protocols_begin_no_header)
{
	ck_assert_int_eq(read_text("GET / HTTP/1.1\r\n"), PROXYPROTO_NONE);
	ck_assert_int_eq(read_text("\x16\x03\x01"), PROXYPROTO_NONE);
	ck_assert_int_eq(read_text("PROXY-"), PROXYPROTO_NONE);
	ck_assert_int_eq(read_text("PING"), PROXYPROTO_NONE);
	ck_assert_int_eq(read_text("proxy"), PROXYPROTO_NONE);
	ck_assert_int_eq(read_text("\r\n\r\n\r"), PROXYPROTO_NONE);
	ck_assert_int_eq(read_bytes("\0", 1), PROXYPROTO_NONE);
}
END_TEST

/* What the addresses of a family byte take, or -1. */
static int need_of(int family)
{
	switch (family) {
	case 0:
		return 0;
	case 0x11:
	case 0x12:
		return 12;
	case 0x21:
	case 0x22:
		return 36;
	case 0x31:
	case 0x32:
		return 216;
	default:
		return -1;
	}
}

/* All zero behind the fixed part; behind the addresses that makes TLVs of type 0 and length 0. */
static void expect_judged(int command, int family, int size)
{
	static const uint8_t zeros[256];
	int need = need_of(family);
	bool fits = need >= 0 && size >= need && (size - need) % 3 == 0;
	bool good = command == 0x20 || (command == 0x21 && fits);

	make_fixed(&made, (uint8_t)command, (uint8_t)family);
	make_add(&made, zeros, (size_t)size);
	ck_assert_int_eq(read_made(&made), good ? PROXYPROTO_OK : PROXYPROTO_BAD);
	if (!good)
		return;
	ck_assert_uint_eq(length, 16 + (size_t)size);
	ck_assert_int_eq(header.command, command & 15);
	ck_assert_int_eq(header.datagram, command == 0x21 && (family & 15) == 2);
}

/* Every command and family byte, and for the commands there are every length up to the longest
 * addresses and beyond. */
START_TEST(v2_is_judged_by_command_family_and_length)
{
	for (int command = 0; command < 256; command++)
		for (int family = 0; family < 256; family++)
			for (int size = 0; size <= 222;
			     size += command >> 1 == 0x10 && need_of(family) >= 0 ? 1 : 111)
				expect_judged(command, family, size);
}
END_TEST

START_TEST(v2_carries_addresses_of_every_family)
{
	char paths[216] = "/run/client";

	make_tcp4(&made);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_int_eq(header.version, 2);
	expect_addr(&header.source, "192.0.2.1:1025");
	expect_addr(&header.destination, "198.51.100.2:443");
	make_fixed(&made, 0x21, 0x21);
	make_add(&made,
		 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
		 "\x00\x50\x01\xbb",
		 36);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	expect_addr(&header.source, "[2001:db8::1]:80");
	expect_addr(&header.destination, "[::1]:443");
	memset(paths + 108, 'p', 108); /* to the last byte, without a NUL */
	make_fixed(&made, 0x21, 0x31);
	make_add(&made, paths, sizeof(paths));
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_int_eq(header.family, AF_UNIX);
	ck_assert_str_eq(header.source.path, "/run/client");
	ck_assert_uint_eq(strlen(header.destination.path), 108);
	make_fixed(&made, 0x21, 0x31);
	paths[0] = '\0';
	make_add(&made, paths, sizeof(paths));
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_ptr_null(header.source.path);
}
END_TEST

START_TEST(v2_local_says_nothing_about_a_client)
{
	make_tcp4(&made);
	made.bytes[12] = 0x20;
	make_tlv(&made, 0xea, "\x01vpce-1", 7);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_uint_eq(length, made.len);
	ck_assert_int_eq(header.command, PROXYPROTO_LOCAL);
	ck_assert_int_eq(header.family, AF_UNSPEC);
	ck_assert_int_eq(header.source.family, 0);
	ck_assert_str_eq(header.vpce, "");
	ck_assert_uint_eq(header.tlv_size, 0);
}
END_TEST

START_TEST(tlvs_are_kept_but_for_padding_and_checksum)
{
	make_tcp4(&made);
	make_tlv(&made, 0x04, "padding", 7);
	make_tlv(&made, 0x02, "example.net", 11);
	make_tlv(&made, 0x04, "", 0);
	make_tlv(&made, 0xe1, "", 0);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_uint_eq(header.tlv_size, 3 + 11 + 3);
	ck_assert_mem_eq(header.tlvs,
			 "\x02\x00\x0b"
			 "example.net"
			 "\xe1\x00\x00",
			 17);
}
END_TEST

START_TEST(tlvs_that_reach_past_the_end_are_bad)
{
	for (size_t cut = 1; cut < 3 + 11; cut++) {
		make_tcp4(&made);
		make_tlv(&made, 0x02, "example.net", 11);
		made.len -= cut;
		make_add(&made, "", 0);
		ck_assert_int_eq(read_made(&made), PROXYPROTO_BAD);
	}
}
END_TEST

START_TEST(tlvs_without_room_are_left_out_whole)
{
	static uint8_t big[1000];

	memset(big, 'a', sizeof(big));
	make_tcp4(&made);
	make_tlv(&made, 0xe1, big, sizeof(big));
	make_tlv(&made, 0xe2, big, sizeof(big));
	make_tlv(&made, 0xe3, big, 18);
	make_tlv(&made, 0xe4, big, 0);
	make_tlv(&made, 0xea, "\x01vpce-late", 10);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_uint_eq(header.tlv_size, 3 + 1000 + 3 + 18);
	ck_assert_int_eq(header.tlvs[1003], 0xe3);
	ck_assert_str_eq(header.vpce, "vpce-late");
}
END_TEST

START_TEST(a_header_longer_than_sense_is_refused_by_its_length)
{
	static uint8_t big[4096];

	make_tcp4(&made);
	make_tlv(&made, 0xe1, big, 4096 - 16 - 12 - 3);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	make_tcp4(&made);
	make_tlv(&made, 0xe1, big, 4096 - 16 - 12 - 2);
	ck_assert_int_eq(read_bytes(made.bytes, 16), PROXYPROTO_BAD);
	made.bytes[14] = made.bytes[15] = 0xff;
	ck_assert_int_eq(read_bytes(made.bytes, 16), PROXYPROTO_BAD);
}
END_TEST

START_TEST(the_vpc_endpoint_is_read_from_its_subtype_alone)
{
	char id[64];

	make_tcp4(&made);
	make_tlv(&made, 0xea, "\x02vpce-not", 9);
	make_tlv(&made, 0xea, "", 0);
	make_tlv(&made, 0xea, "\x01vpce-08d2bf15fac5001c9", 23);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_str_eq(header.vpce, "vpce-08d2bf15fac5001c9");
	ck_assert_uint_eq(header.tlv_size, 12 + 3 + 26);
	memset(id, 'v', sizeof(id));
	id[0] = 1;
	make_tcp4(&made);
	make_tlv(&made, 0xea, id, 64);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_uint_eq(strlen(header.vpce), 63);
	make_tcp4(&made);
	make_tlv(&made, 0xea, id, 64);
	made.bytes[made.len - 1] = '\n';
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_str_eq(header.vpce, "");
}
END_TEST

/* The checksum of these bytes was computed by an independent implementation. */
START_TEST(a_wrong_checksum_is_bad_and_a_right_one_is_not_passed_on)
{
	static const uint8_t sum[4] = {0x55, 0x9d, 0xfe, 0xcf};

	make_tcp4(&made);
	make_tlv(&made, 0x03, sum, 4);
	make_tlv(&made, 0x05, "id", 2);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_OK);
	ck_assert_uint_eq(header.tlv_size, 5);
	for (size_t at = 16; at < made.len; at++)
		for (int bit = 0; bit < 8; bit++) {
			made.bytes[at] ^= (uint8_t)(1 << bit);
			if (at < 28 || (at > 30 && at < 35) || at > 37) /* no TLV's frame */
				ck_assert_int_eq(read_made(&made), PROXYPROTO_BAD);
			made.bytes[at] ^= (uint8_t)(1 << bit);
		}
	make_tcp4(&made);
	make_tlv(&made, 0x03, sum, 3);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_BAD);
	make_fixed(&made, 0x20, 0x00);
	make_tlv(&made, 0x03, sum, 4);
	ck_assert_int_eq(read_made(&made), PROXYPROTO_BAD);
}
END_TEST

static void expect_whole_only(const uint8_t *bytes, size_t size)
{
	for (size_t seen = 0; seen < size; seen++)
		ck_assert_int_eq(read_bytes(bytes, seen), PROXYPROTO_NEED_MORE);
	ck_assert_int_eq(read_bytes(bytes, size), PROXYPROTO_OK);
	ck_assert_uint_eq(length, size);
}

START_TEST(a_header_split_anywhere_needs_more)
{
	static const char line[] = "PROXY TCP6 2001:db8::1 ::1 1025 443\r\n";
	static const uint8_t families[] = {0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32};
	static const size_t sizes[] = {0, 12, 12, 36, 36, 216, 216};
	static uint8_t zeros[216];

	expect_whole_only((const uint8_t *)line, strlen(line));
	expect_whole_only((const uint8_t *)"PROXY UNKNOWN\r\n", 15);
	for (uint8_t command = 0x20; command <= 0x21; command++)
		for (size_t i = 0; i < sizeof(families); i++) {
			make_fixed(&made, command, families[i]);
			make_add(&made, zeros, sizes[i]);
			make_tlv(&made, 0x02, "example.net", 11);
			expect_whole_only(made.bytes, made.len);
		}
}
END_TEST

START_TEST(what_follows_the_header_is_not_looked_at)
{
	make_tcp4(&made);
	memcpy(made.bytes + made.len, "\x02\xff\xff", 3);
	ck_assert_int_eq(read_bytes(made.bytes, made.len + 3), PROXYPROTO_OK);
	ck_assert_uint_eq(length, made.len);
	ck_assert_uint_eq(header.tlv_size, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		v1_names_the_client_and_where_it_went,
		v1_unknown_says_nothing_whatever_follows_it,
		v1_takes_the_longest_line_and_none_longer,
		v1_that_is_not_exact_is_bad,
		other_protocols_begin_no_header,
		v2_is_judged_by_command_family_and_length,
		v2_carries_addresses_of_every_family,
		v2_local_says_nothing_about_a_client,
		tlvs_are_kept_but_for_padding_and_checksum,
		tlvs_that_reach_past_the_end_are_bad,
		tlvs_without_room_are_left_out_whole,
		a_header_longer_than_sense_is_refused_by_its_length,
		the_vpc_endpoint_is_read_from_its_subtype_alone,
		a_wrong_checksum_is_bad_and_a_right_one_is_not_passed_on,
		a_header_split_anywhere_needs_more,
		what_follows_the_header_is_not_looked_at,
	};

	return run_tests("proxyproto_read", tests, COUNT(tests));
}
