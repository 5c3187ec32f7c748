/* SPDX-License-Identifier: MIT */
/* lib.c - strings, division and text buffers; see lib.h. */
#include "lib.h"

size_t str_len(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool str_eq(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

bool str_eq_n(const char *s, size_t len, const char *t)
{
	return str_len(t) == len && memcmp(s, t, len) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
	while (*prefix && *s == *prefix)
		s++, prefix++;
	return *prefix == 0;
}

const char *str_base(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/' && path[1])
			base = path + 1;
	return base;
}

void str_copy(char *to, const char *from, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && from[n]) {
		to[n] = from[n];
		n++;
	}
	to[n] = 0;
}

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 99;
}

bool str_to_word(const char *s, unsigned base, uword *out, const char **end)
{
	uword v = 0;
	const char *p = s;

	for (; digit_of(*p) < base; p++) {
		if (__builtin_mul_overflow(v, (uword)base, &v) || __builtin_add_overflow(v, (uword)digit_of(*p), &v))
			return false;
	}
	if (end)
		*end = p;
	*out = v;
	return p != s;
}

bool str_to_u32(const char *s, unsigned base, uint32_t *out, const char **end)
{
	uword v;

	if (!str_to_word(s, base, &v, end) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

uint64_t div_u64(uint64_t n, uint32_t d, uint32_t *rem)
{
	uint32_t high = (uint32_t)(n >> 32), low = (uint32_t)n;
	uint32_t q_high = high / d, q_low, r;

	__asm__("divl %4" : "=a"(q_low), "=d"(r) : "a"(low), "d"(high % d), "r"(d) : "cc");
	if (rem)
		*rem = r;
	return (uint64_t)q_high << 32 | q_low;
}

static void text_write(struct kmm_sink *sink, const char *bytes, size_t len)
{
	text_add((struct text *)sink, bytes, len);
}

void text_init(struct text *t, char *buf, size_t size)
{
	*t = (struct text){ .sink = { text_write }, .buf = buf, .size = size };
}

void text_add(struct text *t, const char *bytes, size_t len)
{
	size_t room = t->len < t->size ? t->size - t->len : 0;

	memcpy(t->buf + t->len, bytes, len < room ? len : room);
	t->len += len;
}

void sink_printf(struct kmm_sink *sink, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = x86_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 1;
	sink->write(sink, line, (size_t)n);
}
