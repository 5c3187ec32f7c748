/* SPDX-License-Identifier: MIT */
/*
 * A small printf for sinks: %s %c %d %u %x and %%, lengths l ll z, a width, and the flags '-' and '0'.
 * It allocates nothing and keeps nothing. A conversion it does not know is printed as it stands.
 */
#include "base/printf.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/math.h"
#include "kmm/observe.h"

struct spec {
	bool left, zero;
	unsigned width;
	unsigned longs; /* 0 int, 1 long, 2 long long, 3 size_t */
	char conversion;
};

#define MAX_TEXT 65536u /* a bound also keeps compilers from calling strlen(), which may not exist */

static size_t length(const char *s)
{
	size_t n = 0;

	while (n < MAX_TEXT && s[n])
		n++;
	return n;
}

static void repeat(struct kmm_sink *out, char c, size_t n)
{
	while (n--)
		out->write(out, &c, 1);
}

/* Pads bytes to the width; a sign stays before padding zeros. */
static void put_padded(struct kmm_sink *out, const struct spec *spec, const char *bytes, size_t len)
{
	size_t pad = spec->width > len ? spec->width - len : 0;
	bool zeros = spec->zero && !spec->left;

	if (zeros && len && bytes[0] == '-') {
		out->write(out, bytes++, 1);
		len--;
	}
	if (!spec->left)
		repeat(out, zeros ? '0' : ' ', pad);
	if (len)
		out->write(out, bytes, len);
	if (spec->left)
		repeat(out, ' ', pad);
}

/* Digits of n before `end`; returns the first. Chunks of nine digits keep the divisions short. */
static char *put_decimal(char *end, uint64_t n)
{
	while (n >> 32) {
		uint32_t chunk;

		n = kmm_div_u64(n, 1000000000u, &chunk);
		for (int i = 0; i < 9; i++, chunk /= 10)
			*--end = (char)('0' + chunk % 10);
	}
	for (uint32_t low = (uint32_t)n; low || n == 0; low /= 10) {
		*--end = (char)('0' + low % 10);
		if (low < 10)
			break;
	}
	return end;
}

static char *put_hex(char *end, uint64_t n)
{
	do
		*--end = "0123456789abcdef"[n & 15];
	while (n >>= 4);
	return end;
}

static int64_t next_signed(const struct spec *spec, va_list *args)
{
	switch (spec->longs) {
	case 0:
		return va_arg(*args, int);
	case 1:
		return va_arg(*args, long);
	case 2:
		return va_arg(*args, long long);
	default:
		return (int64_t)va_arg(*args, ptrdiff_t);
	}
}

static uint64_t next_unsigned(const struct spec *spec, va_list *args)
{
	switch (spec->longs) {
	case 0:
		return va_arg(*args, unsigned);
	case 1:
		return va_arg(*args, unsigned long);
	case 2:
		return va_arg(*args, unsigned long long);
	default:
		return va_arg(*args, size_t);
	}
}

static void put_number(struct kmm_sink *out, const struct spec *spec, va_list *args)
{
	char digits[24], *end = digits + sizeof(digits), *at;

	if (spec->conversion == 'x') {
		at = put_hex(end, next_unsigned(spec, args));
	} else if (spec->conversion == 'u') {
		at = put_decimal(end, next_unsigned(spec, args));
	} else {
		int64_t n = next_signed(spec, args);

		at = put_decimal(end, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
		if (n < 0)
			*--at = '-';
	}
	put_padded(out, spec, at, (size_t)(end - at));
}

static void convert(struct kmm_sink *out, const struct spec *spec, va_list *args)
{
	const char *s;
	char c;

	switch (spec->conversion) {
	case 's':
		s = va_arg(*args, const char *);
		s = s ? s : "(null)";
		put_padded(out, spec, s, length(s));
		break;
	case 'c':
		c = (char)va_arg(*args, int);
		put_padded(out, spec, &c, 1);
		break;
	case 'd':
	case 'u':
	case 'x':
		put_number(out, spec, args);
		break;
	default:
		out->write(out, "%", 1);
		if (spec->conversion != '%' && spec->conversion)
			out->write(out, &spec->conversion, 1);
	}
}

/* Reads what stands between '%' and the conversion; returns the place after the conversion. */
static const char *parse(const char *f, struct spec *spec)
{
	*spec = (struct spec){ 0 };
	for (;; f++) {
		if (*f == '-')
			spec->left = true;
		else if (*f == '0')
			spec->zero = true;
		else
			break;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		spec->width = spec->width * 10 + (unsigned)(*f - '0');
	for (; *f == 'l'; f++)
		spec->longs++;
	if (*f == 'z') {
		spec->longs = 3;
		f++;
	}
	spec->conversion = *f;
	return *f ? f + 1 : f;
}

void kmm_vprintf(struct kmm_sink *out, const char *format, va_list list)
{
	struct spec spec;
	va_list args;

	va_copy(args, list);
	while (*format) {
		const char *text = format;

		while (*format && *format != '%')
			format++;
		if (format > text)
			out->write(out, text, (size_t)(format - text));
		if (*format) {
			format = parse(format + 1, &spec);
			convert(out, &spec, &args);
		}
	}
	va_end(args);
}

void kmm_printf(struct kmm_sink *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	kmm_vprintf(out, format, args);
	va_end(args);
}

static void buffer_write(struct kmm_sink *sink, const char *bytes, size_t len)
{
	struct kmm_buffer_sink *b = (struct kmm_buffer_sink *)(void *)sink;

	for (size_t i = 0; i < len; i++, b->len++)
		if (b->len + 1 < b->size)
			b->at[b->len] = bytes[i];
	if (b->size)
		b->at[b->len < b->size ? b->len : b->size - 1] = 0;
}

void kmm_buffer_sink_init(struct kmm_buffer_sink *b, char *at, size_t size)
{
	*b = (struct kmm_buffer_sink){ { buffer_write }, at, size, 0 };
	if (size)
		at[0] = 0;
}
