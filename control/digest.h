/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 of texts and numbers one after the other, in hex. Each text goes in with its length, so
 * that no two rows of texts hash the same bytes. Hashing cannot fail but for the few bytes of its
 * context; a digest that is none would let a wrong approval or a wrong file through, so that is a
 * panic.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DIGEST_TEXT 65 /* with its NUL */

struct digest {
	void *context; /* of OpenSSL */
};

void digest_begin(struct digest *digest);
void digest_text(struct digest *digest, const char *text); /* NULL is another text than "" */
void digest_number(struct digest *digest, uint32_t number);
void digest_bytes(struct digest *digest, const void *bytes, size_t size);

/* Frees the context. `ret_text` has `size` bytes, 65 at most: fewer cut the digest short. */
void digest_end(struct digest *digest, char *ret_text, size_t size);
