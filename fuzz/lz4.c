/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a compressed page: they are a page or refused, and nothing is read or written beyond (the buffers have their exact
 * sizes, so the sanitizer sees it); and the same bytes as a page, repeated to its end, come back as they were.
 */
#include <stdlib.h>
#include <string.h>

#include "kmm/config.h"
#include "kmm/swap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void round_trip(const uint8_t *data, size_t size, uint8_t *page, void *work)
{
	uint8_t *was = malloc(KMM_PAGE_SIZE), *packed = malloc(2 * KMM_PAGE_SIZE);
	size_t packed_size;

	must(was && packed);
	for (size_t i = 0; i < KMM_PAGE_SIZE; i++)
		was[i] = data[i % size];
	packed_size = kmm_compressor_lz4.compress(was, packed, 2 * KMM_PAGE_SIZE, work);
	must(packed_size > 8);
	must(kmm_compressor_lz4.decompress(packed, packed_size, page, NULL));
	must(memcmp(was, page, KMM_PAGE_SIZE) == 0);
	must(kmm_compressor_lz4.compress(was, packed, packed_size - 1, work) == 0);
	free(packed);
	free(was);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *page = malloc(KMM_PAGE_SIZE), *bytes = malloc(size ? size : 1);
	void *work = malloc(kmm_compressor_lz4.compress_bytes);

	must(page && bytes && work);
	memcpy(bytes, data, size);
	(void)kmm_compressor_lz4.decompress(bytes, size, page, NULL);
	if (size)
		round_trip(data, size, page, work);
	free(work);
	free(bytes);
	free(page);
	return 0;
}
