/* SPDX-License-Identifier: MIT */
/*
 * The compressor: every page comes back; what it writes is LZ4's format, by examples made by hand; and any bytes whatever are
 * either a page or refused, with nothing written beyond it.
 */
#include "swap/zswap.h"

#include <string.h>

#include "harness/test.h"

enum { PAGE = KMM_PAGE_SIZE, GUARD = 64, ROOM = 2 * PAGE };

static uint8_t work[8192], packed[ROOM], back[PAGE + GUARD], page[PAGE];

static uint32_t below(uint64_t *rng, size_t n)
{
	return (uint32_t)(kmm_test_rand(rng) >> 16) % (uint32_t)n;
}

static size_t pack(size_t room)
{
	return kmm_compressor_lz4.compress(page, packed, room, work);
}

static bool unpacked; /* by the last unpack() */

static void unpack(const void *bytes, size_t size)
{
	memset(back, 0xa5, sizeof(back));
	unpacked = kmm_compressor_lz4.decompress(bytes, size, back, NULL);
	for (unsigned i = PAGE; i < sizeof(back); i++)
		CHECK_EQ(back[i], 0xa5);
}

static size_t size; /* that the page was packed to */

/* Back again; in exactly as much room as it takes, and not in less. */
static void round_trip(void)
{
	size = pack(ROOM);
	CHECK(size > 8);
	CALL(unpack(packed, size));
	CHECK(unpacked);
	CHECK(memcmp(back, page, PAGE) == 0);
	CHECK_EQ(pack(size), size);
	CHECK_EQ(pack(size - 1), 0);
}

/* Of 1 << kinds sorts of bytes, in runs of up to `run`, with copies from further up. */
static void make_page(uint64_t *rng, unsigned kinds, unsigned run)
{
	for (unsigned i = 0; i < PAGE;) {
		unsigned nr = 1 + below(rng, run);
		unsigned from = i && below(rng, 2) ? below(rng, i) : PAGE;
		uint8_t byte = (uint8_t)below(rng, 1u << kinds);

		for (; nr && i < PAGE; nr--, i++)
			page[i] = from < i ? page[from++] : byte;
	}
}

KMM_TEST(lz4_round_trips)
{
	uint64_t rng = kmm_test_seed();

	for (unsigned n = 0; n < 400; n++) {
		CALL(make_page(&rng, 1 + n % 8, 1u << (n / 8 % 12)));
		CALL(round_trip());
	}
}

KMM_TEST(lz4_sizes)
{
	uint64_t rng = kmm_test_seed();
	unsigned n = 0;

	memset(page, 0, PAGE);
	CALL(round_trip());
	CHECK(size < 32);
	for (unsigned i = 0; i < PAGE; i++)
		page[i] = (uint8_t)below(&rng, 256);
	CALL(round_trip());
	CHECK(size > PAGE); /* chance does not compress: a token and the lengths are too much */
	CHECK_EQ(pack(PAGE), 0);
	while (n + 8 <= PAGE) /* numbers in words, as tables have them */
		for (unsigned i = 0; i < 8; i++, n++)
			page[n] = i < 2 ? (uint8_t)(n / 8 * 31 >> 8 * i) : 0;
	CALL(round_trip());
	CHECK(size < PAGE / 5 * 3);
}

/* "abcd", then that again and again: one literal run of 4, offset 4, and the rest as literals. */
KMM_TEST(lz4_format)
{
	static const uint8_t block[] = { 0x4f, 'a', 'b', 'c', 'd', 4, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
					 255, 255, 255, 255, 243, 0x50, 'x', 'y', 'z', 'u', 'v' };
	/* 4 + (4 + 15 + 15 * 255 + 243) + 5 = 4096 */
	CALL(unpack(block, sizeof(block)));
	CHECK(unpacked);
	for (unsigned i = 0; i < PAGE - 5; i++)
		CHECK_EQ(back[i], 'a' + i % 4);
	CHECK(memcmp(back + PAGE - 5, "xyzuv", 5) == 0);
	memcpy(page, back, PAGE);
	CALL(round_trip());
	CHECK_EQ(size, sizeof(block)); /* and written by the compressor it is as short */
}

/* Changed, cut and invented bytes. */
KMM_TEST(lz4_trusts_nothing)
{
	uint64_t rng = kmm_test_seed();

	CALL(unpack(packed, 0));
	CHECK(!unpacked);
	for (unsigned n = 0; n < 3000; n++) {
		CALL(make_page(&rng, 3, 40));
		size = pack(ROOM);
		for (unsigned i = 0; i < 1 + n % 3; i++)
			packed[below(&rng, size)] = (uint8_t)below(&rng, 256);
		CALL(unpack(packed, n % 2 ? size : below(&rng, size)));
		for (unsigned i = 0; i < 64; i++)
			packed[i] = (uint8_t)below(&rng, 256);
		CALL(unpack(packed, 64));
	}
	memset(packed, 255, ROOM);
	CALL(unpack(packed, ROOM));
	CHECK(!unpacked); /* lengths without end */
}
