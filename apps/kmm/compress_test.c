/* SPDX-License-Identifier: MIT */
/*
 * The core's LZ4 against the host's library: each reads what the other writes, and the core's is about as small.
 */
#include "compress.h"

#include <stdlib.h>
#include <string.h>

#include "harness/test.h"

enum { PAGE = KMM_PAGE_SIZE, ROOM = 2 * PAGE };

static uint8_t page[PAGE], packed[ROOM], back[PAGE];

/* Bytes of 1 << kinds sorts, and copies of what stands further up. */
static void make_page(uint64_t *rng, unsigned kinds, unsigned run)
{
	for (unsigned i = 0; i < PAGE;) {
		unsigned nr = 1 + (unsigned)(kmm_test_rand(rng) % run), from = PAGE;
		uint8_t byte = (uint8_t)(kmm_test_rand(rng) & ((1u << kinds) - 1));

		if (i && kmm_test_rand(rng) % 2)
			from = (unsigned)(kmm_test_rand(rng) % i);
		for (; nr && i < PAGE; nr--, i++)
			page[i] = from < i ? page[from++] : byte;
	}
}

static size_t between(const struct kmm_compressor *writer, const struct kmm_compressor *reader, void *work)
{
	size_t size = writer->compress(page, packed, ROOM, work);

	memset(back, 0, PAGE);
	if (!size || !reader->decompress(packed, size, back, work) || memcmp(back, page, PAGE) != 0)
		return 0;
	return size;
}

KMM_TEST(lz4_is_the_librarys_format)
{
	const struct kmm_compressor *ours = &kmm_compressor_lz4, *theirs = host_compressor();
	size_t room = ours->compress_bytes > theirs->compress_bytes ? ours->compress_bytes : theirs->compress_bytes;
	uint64_t rng = kmm_test_seed(), sum_ours = 0, sum_theirs = 0;
	void *work = malloc(room);

	for (unsigned n = 0; n < 2000; n++) {
		size_t a, b;

		make_page(&rng, 1 + n % 8, 1u << (n / 8 % 11));
		a = between(ours, theirs, work);
		b = between(theirs, ours, work);
		CHECK(a != 0);
		CHECK(b != 0);
		sum_ours += a;
		sum_theirs += b;
	}
	free(work);
	CHECK(sum_ours * 100 < sum_theirs * 105);
}
