/* SPDX-License-Identifier: MIT */
/* print.c - a small printf without floating point: into a buffer, or through a small buffer to the console. */
#include "x86.h"

/* Where characters go: a buffer of the caller, or (flush) a chunk that is written out when full. */
struct out {
	char *buf;
	size_t size;
	size_t used;  /* characters in buf; never more than size */
	size_t total; /* characters produced */
	bool flush;
};

struct spec {
	unsigned width;
	char pad;
	bool left;
	unsigned longs; /* number of l or z; 2 is a long long */
	size_t most;    /* characters of a string */
};

static void put(struct out *o, char c)
{
	if (o->flush && o->used == o->size) {
		x86_console_write(o->buf, o->used);
		o->used = 0;
	}
	if (o->used < o->size)
		o->buf[o->used++] = c;
	o->total++;
}

static void put_padded(struct out *o, const char *text, size_t len, const struct spec *s)
{
	size_t fill = s->width > len ? s->width - len : 0;

	if (s->pad == '0' && len && *text == '-') { /* the sign goes before the zeros */
		put(o, *text++);
		len--;
	}
	for (size_t i = 0; !s->left && i < fill; i++)
		put(o, s->pad);
	for (size_t i = 0; i < len; i++)
		put(o, text[i]);
	for (size_t i = 0; s->left && i < fill; i++)
		put(o, ' ');
}

/* Divide by a small number in 16-bit steps, which need no 64-bit division. Returns the remainder. */
static unsigned div_small(uint64_t *value, unsigned by)
{
	uint64_t quotient = 0;
	uint32_t rest = 0;

	for (int shift = 48; shift >= 0; shift -= 16) {
		uint32_t part = rest << 16 | (uint32_t)(*value >> shift & 0xffff);

		quotient = quotient << 16 | part / by;
		rest = part % by;
	}
	*value = quotient;
	return rest;
}

static void put_number(struct out *o, uint64_t value, bool negative, unsigned base, char ten, const struct spec *s)
{
	char digits[24];
	char *p = digits + sizeof(digits);

	do {
		unsigned d = div_small(&value, base);

		*--p = (char)(d < 10 ? '0' + d : ten + d - 10);
	} while (value);
	if (negative)
		*--p = '-';
	put_padded(o, p, (size_t)(digits + sizeof(digits) - p), s);
}

static void put_string(struct out *o, const char *text, const struct spec *s)
{
	size_t len = 0;

	text = text ? text : "(null)";
	while (len < s->most && text[len])
		len++;
	put_padded(o, text, len, s);
}

static const char *parse_precision(const char *p, struct spec *s, va_list *ap)
{
	if (*p == '*') {
		s->most = (size_t)va_arg(*ap, int);
		return p + 1;
	}
	for (s->most = 0; *p >= '0' && *p <= '9'; p++)
		s->most = s->most * 10 + (size_t)(*p - '0');
	return p;
}

static const char *parse_spec(const char *p, struct spec *s, va_list *ap)
{
	*s = (struct spec){ .pad = ' ', .most = (size_t)-1 };
	for (; *p == '-' || *p == '0'; p++) {
		if (*p == '-')
			s->left = true;
		else
			s->pad = '0';
	}
	while (*p >= '0' && *p <= '9')
		s->width = s->width * 10 + (unsigned)(*p++ - '0');
	if (*p == '.')
		p = parse_precision(p + 1, s, ap);
	for (; *p == 'l' || *p == 'z'; p++)
		s->longs++;
	if (s->left)
		s->pad = ' ';
	return p;
}

static void format(struct out *o, const char *p, va_list *ap)
{
	for (; *p; p++) {
		struct spec s;
		uint64_t u;
		int64_t d;

		if (*p != '%') {
			put(o, *p);
			continue;
		}
		p = parse_spec(p + 1, &s, ap);
		switch (*p) {
		case 'd':
		case 'i':
			d = s.longs == 2 ? va_arg(*ap, long long) : s.longs ? va_arg(*ap, long) : va_arg(*ap, int);
			put_number(o, d < 0 ? 0 - (uint64_t)d : (uint64_t)d, d < 0, 10, 'a', &s);
			break;
		case 'o':
		case 'u':
		case 'x':
		case 'X':
			u = s.longs == 2 ? va_arg(*ap, unsigned long long)
			    : s.longs   ? va_arg(*ap, unsigned long)
					: va_arg(*ap, unsigned int);
			put_number(o, u, false, *p == 'u' ? 10 : *p == 'o' ? 8 : 16, *p == 'X' ? 'A' : 'a', &s);
			break;
		case 'p':
			s = (struct spec){ .width = 2 * sizeof(void *), .pad = '0' };
			put_number(o, (uintptr_t)va_arg(*ap, void *), false, 16, 'a', &s);
			break;
		case 's':
			put_string(o, va_arg(*ap, const char *), &s);
			break;
		case 'c':
			put_padded(o, (char[]){ (char)va_arg(*ap, int) }, 1, &s);
			break;
		case 0:
			return;
		default:
			put(o, *p);
		}
	}
}

_Static_assert(sizeof(long) == sizeof(size_t), "%zu and %lu read the same argument");

int x86_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = { .buf = buf, .size = size ? size - 1 : 0 };
	va_list copy;

	va_copy(copy, ap);
	format(&o, fmt, &copy);
	va_end(copy);
	if (size)
		buf[o.used] = 0;
	return (int)o.total;
}

int x86_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = x86_vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

void x86_vprintf(const char *fmt, va_list ap)
{
	char chunk[128];
	struct out o = { .buf = chunk, .size = sizeof(chunk), .flush = true };
	va_list copy;

	va_copy(copy, ap);
	format(&o, fmt, &copy);
	va_end(copy);
	x86_console_write(chunk, o.used);
}

void x86_printf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	x86_vprintf(fmt, ap);
	va_end(ap);
}
