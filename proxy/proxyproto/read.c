/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells by the first bytes what they begin. Happy path: they match the beginning of one of the two
 * versions as far as they go, and once all of that beginning is there the version's reader takes
 * over. Failure mode: they match neither, at whatever byte that shows.
 */
#include "proxy/proxyproto/read.h"

#include <string.h>

#include "proxy/proxyproto/wire.h"

#define V1_SIGNATURE      "PROXY "
#define V1_SIGNATURE_SIZE 6

/* NONE, NEED_MORE, or OK once all of it is there. */
static enum proxyproto_result match(const uint8_t *bytes, size_t size, const char *signature,
				    size_t signature_size)
{
	if (memcmp(bytes, signature, size < signature_size ? size : signature_size))
		return PROXYPROTO_NONE;
	return size < signature_size ? PROXYPROTO_NEED_MORE : PROXYPROTO_OK;
}

enum proxyproto_result proxyproto_read(const uint8_t *bytes, size_t size,
				       struct proxyproto *ret_header, size_t *ret_length,
				       const char **ret_error)
{
	bool is_v1 = size && bytes[0] == V1_SIGNATURE[0];
	enum proxyproto_result result;

	if (!size)
		return PROXYPROTO_NEED_MORE;
	result = is_v1 ? match(bytes, size, V1_SIGNATURE, V1_SIGNATURE_SIZE)
		       : match(bytes, size, V2_SIGNATURE, V2_SIGNATURE_SIZE);
	if (result != PROXYPROTO_OK)
		return result;
	return (is_v1 ? proxyproto_read_v1 : proxyproto_read_v2)(bytes, size, ret_header,
								 ret_length, ret_error);
}
