/* SPDX-License-Identifier: MIT */
/* What the fuzzer made, taken a few bytes at a time; past its end come zeros. */
#ifndef KMM_FUZZ_READER_H
#define KMM_FUZZ_READER_H

#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *data;
	size_t left;
};

static uint64_t take(struct reader *r, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && r->left; i++, r->left--)
		v = v << 8 | *r->data++;
	return v;
}

#endif
