/* SPDX-License-Identifier: MIT */
/*
 * A compressor that needs nothing: LZ4's block format (lz4_Block_format.md of that project), for one page at a time.
 *
 *	sequence   token | more literal lengths | literals | offset (2, little endian) | more match lengths
 *	token      literals << 4 | match length - 4; 15 means that bytes of 255 and a last one below follow
 *	the last   is literals alone
 *
 * The compressor is greedy: a table of where each hash of four bytes was last seen, and longer steps the longer nothing is
 * found. The decompressor trusts nothing: any bytes either give a page or are refused. Anybody's LZ4 reads what the one
 * writes, and the other way round, but for limits that the format sets for others' speed (LAST, NO_MATCH), which are kept.
 */
#include "swap/zswap.h"

#include "base/mem.h"

enum { HASH_BITS = 12, LEAST = 4, LAST = 5, NO_MATCH = 12, SKIP = 5, LONG = 15, OFFSET_MOST = 0xffff };

_Static_assert(KMM_PAGE_SIZE - 1 <= OFFSET_MOST, "any place of a page can be named");

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static unsigned hash_of(uint32_t v)
{
	return v * 2654435761u >> (32 - HASH_BITS); /* Knuth's multiplier */
}

/* ---- out ---- */

struct writer {
	uint8_t *at, *end;
};

static unsigned length_bytes(size_t length)
{
	return length < LONG ? 0 : 1 + (unsigned)(length - LONG) / 255;
}

static void put_length(struct writer *w, size_t length)
{
	if (length < LONG)
		return;
	for (length -= LONG; length >= 255; length -= 255)
		*w->at++ = 255;
	*w->at++ = (uint8_t)length;
}

/* Literals and what follows them; match 0: nothing does. false: no room. */
static bool put_sequence(struct writer *w, const uint8_t *literals, size_t nr, size_t match, size_t offset)
{
	size_t more = match ? match - LEAST : 0;
	size_t need = 1 + length_bytes(nr) + nr + (match ? 2 + length_bytes(more) : 0);

	if (need > (size_t)(w->end - w->at))
		return false;
	*w->at++ = (uint8_t)((nr < LONG ? nr : LONG) << 4 | (more < LONG ? more : LONG));
	put_length(w, nr);
	memcpy(w->at, literals, nr);
	w->at += nr;
	if (!match)
		return true;
	*w->at++ = (uint8_t)offset;
	*w->at++ = (uint8_t)(offset >> 8);
	put_length(w, more);
	return true;
}

static size_t match_length(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
	const uint8_t *start = a;

	while (a + sizeof(uint32_t) <= end && load32(a) == load32(b)) {
		a += sizeof(uint32_t);
		b += sizeof(uint32_t);
	}
	while (a < end && *a == *b) {
		a++;
		b++;
	}
	return (size_t)(a - start);
}

/* The next match from *at on, which becomes its place. false: none before the last bytes. */
static bool find_match(const uint8_t *page, const uint8_t **at, uint16_t *seen, const uint8_t **match)
{
	const uint8_t *limit = page + KMM_PAGE_SIZE - NO_MATCH, *p = *at;

	for (unsigned tries = 1 << SKIP; p <= limit; p += tries++ >> SKIP) {
		uint32_t v = load32(p);
		uint16_t *entry = &seen[hash_of(v)];
		const uint8_t *before = page + *entry;

		*entry = (uint16_t)(p - page);
		if (before < p && load32(before) == v) {
			*at = p;
			*match = before;
			return true;
		}
	}
	return false;
}

static size_t lz4_compress(const void *from, void *out, size_t room, void *work)
{
	const uint8_t *page = from, *anchor = page, *at = page + 1, *match;
	struct writer w = { out, (uint8_t *)out + room };
	uint16_t *seen = work; /* 0, the page's start, is a place like any other: what is not there does not compare equal */

	memset(seen, 0, sizeof(*seen) << HASH_BITS);
	while (find_match(page, &at, seen, &match)) {
		size_t length;

		while (at > anchor && match > page && at[-1] == match[-1]) {
			at--;
			match--;
		}
		length = match_length(at, match, page + KMM_PAGE_SIZE - LAST);
		if (!put_sequence(&w, anchor, (size_t)(at - anchor), length, (size_t)(at - match)))
			return 0;
		anchor = at += length;
	}
	if (!put_sequence(&w, anchor, (size_t)(page + KMM_PAGE_SIZE - anchor), 0, 0))
		return 0;
	return (size_t)(w.at - (uint8_t *)out);
}

/* ---- in ---- */

struct reader {
	const uint8_t *at, *end;
	uint8_t *page, *to, *to_end;
};

/* The rest of a length whose four bits were all set. false: it does not end, or is more than a page. */
static bool take_length(struct reader *r, size_t *length)
{
	uint8_t byte = 255;

	if (*length < LONG)
		return true;
	while (byte == 255) {
		if (r->at == r->end || *length > KMM_PAGE_SIZE)
			return false;
		byte = *r->at++;
		*length += byte;
	}
	return true;
}

static bool take_literals(struct reader *r, size_t nr)
{
	if (!take_length(r, &nr) || nr > (size_t)(r->end - r->at) || nr > (size_t)(r->to_end - r->to))
		return false;
	memcpy(r->to, r->at, nr);
	r->at += nr;
	r->to += nr;
	return true;
}

/* What is shorter than the match is repeated: twice as much is there after each step. */
static void repeat(struct reader *r, size_t offset, size_t nr)
{
	const uint8_t *from = r->to - offset;

	while (nr) {
		size_t there = (size_t)(r->to - from), step = there < nr ? there : nr;

		memcpy(r->to, from, step);
		r->to += step;
		nr -= step;
	}
}

static bool take_match(struct reader *r, size_t nr)
{
	size_t offset;

	if (r->end - r->at < 2)
		return false;
	offset = r->at[0] | (size_t)r->at[1] << 8;
	r->at += 2;
	if (!take_length(r, &nr) || offset == 0 || offset > (size_t)(r->to - r->page))
		return false;
	nr += LEAST;
	if (nr > (size_t)(r->to_end - r->to))
		return false;
	repeat(r, offset, nr);
	return true;
}

static bool lz4_decompress(const void *in, size_t size, void *page, void *work)
{
	struct reader r = { in, (const uint8_t *)in + size, page, page, (uint8_t *)page + KMM_PAGE_SIZE };

	(void)work;
	while (r.at < r.end) {
		uint8_t token = *r.at++;

		if (!take_literals(&r, token >> 4))
			return false;
		if (r.at < r.end && !take_match(&r, token & LONG))
			return false;
	}
	return r.to == r.to_end;
}

const struct kmm_compressor kmm_compressor_lz4 = {
	.name = "lz4", .compress_bytes = sizeof(uint16_t) << HASH_BITS, .compress = lz4_compress, .decompress = lz4_decompress
};
