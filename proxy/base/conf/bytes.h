/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as an operator writes them: a text that stands for itself, or `hex:` and pairs of
 * hexadecimal digits for whatever a text cannot hold.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* 0 with the bytes in `buf` (of at least `room`; NULL: only check and count) and their number in
 * `ret_size`; -EINVAL, `ret_why` following "which ...", also if they are none or more than `room`.
 */
int bytes_parse(const char *text, size_t room, uint8_t *buf, size_t *ret_size,
		const char **ret_why);
