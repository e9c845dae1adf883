/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C (Castagnoli; RFC 3720, appendix B.4): the checksum of a PROXY header.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continue `crc` (0 to begin with) over `size` more bytes. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);
