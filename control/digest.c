/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 with OpenSSL's EVP. See control/digest.h for how it may fail.
 */
#include "control/digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "proxy/base/panic.h"

void digest_begin(struct digest *digest)
{
	digest->context = EVP_MD_CTX_new();
	must(digest->context && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1);
}

void digest_bytes(struct digest *digest, const void *bytes, size_t size)
{
	must(EVP_DigestUpdate(digest->context, bytes, size) == 1);
}

void digest_number(struct digest *digest, uint32_t number)
{
	unsigned char bytes[4] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16),
				  (unsigned char)(number >> 8), (unsigned char)number};

	digest_bytes(digest, bytes, sizeof(bytes));
}

void digest_text(struct digest *digest, const char *text)
{
	digest_number(digest, text ? (uint32_t)strlen(text) : UINT32_MAX);
	if (text)
		digest_bytes(digest, text, strlen(text));
}

void digest_end(struct digest *digest, char *ret_text, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[EVP_MAX_MD_SIZE];

	must(size && size <= DIGEST_TEXT);
	must(EVP_DigestFinal_ex(digest->context, bytes, NULL) == 1);
	EVP_MD_CTX_free(digest->context);
	for (size_t i = 0; i < size - 1; i++)
		ret_text[i] = hex[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
	ret_text[size - 1] = '\0';
}
