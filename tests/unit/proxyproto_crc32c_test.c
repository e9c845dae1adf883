/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C against the published vectors (RFC 3720, appendix B.4).
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxyproto/crc32c.h"
#include "tests/unit/conf_rig.h"

static uint8_t bytes[32];

START_TEST(published_vectors_come_out)
{
	ck_assert_uint_eq(crc32c(0, bytes, 0), 0);
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(crc32c(0, bytes, 32), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	ck_assert_uint_eq(crc32c(0, bytes, 32), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = 31 - i;
	ck_assert_uint_eq(crc32c(0, bytes, 32), 0x113fdb5c);
}
END_TEST

START_TEST(pieces_come_to_the_same_as_the_whole)
{
	static const char digits[] = "123456789";

	for (size_t cut = 0; cut <= 9; cut++)
		ck_assert_uint_eq(crc32c(crc32c(0, digits, cut), &digits[cut], 9 - cut),
				  0xe3069283);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		published_vectors_come_out,
		pieces_come_to_the_same_as_the_whole,
	};

	return run_tests("proxyproto_crc32c", tests, COUNT(tests));
}
