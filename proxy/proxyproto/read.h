/* SPDX-License-Identifier: Apache-2.0
 *
 * The two versions' readers, which read.c chooses between by the first bytes. Both take and give
 * what proxyproto_read() does, once it has seen all of the version's signature; so they never say
 * PROXYPROTO_NONE.
 */
#pragma once

#include "proxy/proxyproto.h"

enum proxyproto_result proxyproto_read_v1(const uint8_t *bytes, size_t size,
					  struct proxyproto *header, size_t *ret_length,
					  const char **ret_error);
enum proxyproto_result proxyproto_read_v2(const uint8_t *bytes, size_t size,
					  struct proxyproto *header, size_t *ret_length,
					  const char **ret_error);
