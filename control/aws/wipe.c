/* SPDX-License-Identifier: Apache-2.0
 *
 * Wiping what is freed. How much there is, malloc_usable_size(3) knows.
 *
 * Failure mode: memory runs short; the old piece stays as it was.
 */
#include "control/aws/wipe.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

void wipe_free(void *memory)
{
	if (memory)
		OPENSSL_cleanse(memory, malloc_usable_size(memory));
	free(memory);
}

void *wipe_realloc(void *memory, size_t size)
{
	void *fresh = malloc(size);
	size_t had = memory ? malloc_usable_size(memory) : 0;

	if (!fresh)
		return NULL;
	if (had)
		memcpy(fresh, memory, had < size ? had : size);
	wipe_free(memory);
	return fresh;
}
