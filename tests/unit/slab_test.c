/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks: what is put in comes out, the cap holds, memory is reused, and room that was promised is
 * there.
 */
/* link: -Wl,--wrap=malloc */
#include "proxy/slab.h"
#include "tests/unit/conf_rig.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static bool out_of_memory;

void *__wrap_malloc(size_t size)
{
	return out_of_memory ? NULL : __real_malloc(size);
}

static uint8_t data[SLAB_CHUNK_MAX];

START_TEST(chunk_holds_a_copy_of_what_it_was_given)
{
	static const size_t sizes[] = {1, 4095, 4096, 4097, 65536, 65537, SLAB_CHUNK_MAX};
	struct slab slab;

	slab_init(&slab, 4 * SLAB_CHUNK_MAX);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 ^ i >> 8);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct chunk *chunk = slab_get(&slab, data, sizes[i]);

		ck_assert_ptr_nonnull(chunk);
		ck_assert_uint_eq(chunk->start, 0);
		ck_assert_uint_eq(chunk->end, sizes[i]);
		ck_assert_uint_ge(chunk->capacity, sizes[i]);
		ck_assert_int_eq(memcmp(chunk->data, data, sizes[i]), 0);
		slab_put(&slab, chunk);
	}
	ck_assert_uint_eq(slab.used, 0);
	slab_fini(&slab);
}
END_TEST

START_TEST(cap_is_exact_and_counts_capacity)
{
	struct chunk *chunks[3];
	struct slab slab;

	slab_init(&slab, 3 * 4096 + 100);
	for (int i = 0; i < 3; i++) {
		chunks[i] = slab_get(&slab, data, 1);
		ck_assert_ptr_nonnull(chunks[i]);
	}
	ck_assert_uint_eq(slab.used, 3 * 4096);
	ck_assert_ptr_null(slab_get(&slab, data, 1));
	slab_put(&slab, chunks[1]);
	chunks[1] = slab_get(&slab, data, 4096);
	ck_assert_ptr_nonnull(chunks[1]);
	for (int i = 0; i < 3; i++)
		slab_put(&slab, chunks[i]);
	slab_fini(&slab);
}
END_TEST

START_TEST(freed_chunk_is_used_again)
{
	struct slab slab;
	struct chunk *first, *again;

	slab_init(&slab, SLAB_CHUNK_MAX);
	first = slab_get(&slab, data, 5000);
	first->start = 17;
	slab_put(&slab, first);
	again = slab_get(&slab, data, 6000);
	ck_assert_ptr_eq(again, first);
	ck_assert_uint_eq(again->start, 0);
	ck_assert_uint_eq(again->end, 6000);
	slab_put(&slab, again);
	slab_fini(&slab);
}
END_TEST

START_TEST(few_free_chunks_are_kept)
{
	struct chunk *chunks[100];
	struct slab slab;

	slab_init(&slab, UINT64_MAX / 2);
	for (int i = 0; i < 100; i++)
		chunks[i] = slab_get(&slab, data, SLAB_CHUNK_MAX);
	for (int i = 0; i < 100; i++)
		slab_put(&slab, chunks[i]);
	ck_assert_uint_eq(slab.used, 0);
	ck_assert_uint_le(slab.free_count[2], 16);
	slab_fini(&slab);
}
END_TEST

START_TEST(putting_nothing_is_harmless)
{
	struct slab slab;

	slab_init(&slab, 0);
	slab_put(&slab, NULL);
	ck_assert_ptr_null(slab_get(&slab, data, 1));
	slab_fini(&slab);
}
END_TEST

START_TEST(without_memory_nothing_is_handed_out_or_counted)
{
	struct chunk *chunk;
	struct slab slab;

	slab_init(&slab, SLAB_CHUNK_MAX);
	out_of_memory = true;
	chunk = slab_get(&slab, data, 1);
	out_of_memory = false;
	ck_assert_ptr_null(chunk);
	ck_assert_uint_eq(slab.used, 0);
	slab_fini(&slab);
}
END_TEST

START_TEST(promised_room_is_there_for_every_length_and_fill)
{
	static const size_t lens[] = {1, 4096, 4097, 65536, 65537, 128 * 1024, SLAB_CHUNK_MAX};

	for (uint64_t used = 0; used <= 2 * SLAB_CHUNK_MAX; used += 1024) {
		for (size_t i = 0; i < COUNT(lens); i++) {
			struct chunk *chunk;
			struct slab slab;
			bool promised;

			slab_init(&slab, 2 * SLAB_CHUNK_MAX);
			slab.used = used;
			promised = slab_has_room(&slab, lens[i]);
			chunk = slab_get(&slab, data, lens[i]);
			if (promised && !chunk)
				ck_abort_msg("no room for %zu beside %llu", lens[i],
					     (unsigned long long)used);
			slab_put(&slab, chunk);
			slab.used = 0;
			slab_fini(&slab);
		}
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		chunk_holds_a_copy_of_what_it_was_given,
		cap_is_exact_and_counts_capacity,
		freed_chunk_is_used_again,
		few_free_chunks_are_kept,
		putting_nothing_is_harmless,
		without_memory_nothing_is_handed_out_or_counted,
		promised_room_is_there_for_every_length_and_fill,
	};

	return run_tests("slab", tests, COUNT(tests));
}
