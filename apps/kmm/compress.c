/* SPDX-License-Identifier: MIT */
#include "compress.h"

#include <lz4.h>

static size_t compress(const void *page, void *out, size_t room, void *work)
{
	return (size_t)LZ4_compress_fast_extState(work, page, out, (int)KMM_PAGE_SIZE, (int)room, 1);
}

static bool decompress(const void *bytes, size_t size, void *page, void *work)
{
	(void)work;
	return LZ4_decompress_safe(bytes, page, (int)size, (int)KMM_PAGE_SIZE) == (int)KMM_PAGE_SIZE;
}

const struct kmm_compressor *host_compressor(void)
{
	static struct kmm_compressor c = { .name = "liblz4", .compress = compress, .decompress = decompress };

	c.compress_bytes = (size_t)LZ4_sizeofState();
	return &c;
}
