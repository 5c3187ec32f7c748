/* SPDX-License-Identifier: MIT */
/*
 * scan.c - sscanf() for the tests inside a kernel: %d %u %x with l and ll, %s, %[set] with ranges and ^, %n, each with a
 * width and with * as in C11 7.21.6.2. What it does not know (%c, %i, %p, floating point, h) ends the test, so that no
 * format is misread in silence.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cell.h"

struct item {
	bool dropped;      /* '*' */
	unsigned width;    /* 0: any */
	unsigned longs;    /* 'l's */
	char kind;
	const char *set;   /* of '[': the first character after it and '^' */
	bool inverse;
	size_t set_len;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static const char *skip_blanks(const char *at)
{
	while (is_blank(*at))
		at++;
	return at;
}

/* The set ends at the first ']' that is not its first character. */
static const char *parse_set(const char *at, struct item *item)
{
	item->inverse = *at == '^';
	item->set = at + item->inverse;
	at = item->set + (*item->set == ']');
	while (*at && *at != ']')
		at++;
	item->set_len = (size_t)(at - item->set);
	return *at ? at + 1 : at;
}

/* After the '%'; returns where the format goes on. */
static const char *parse_item(const char *at, struct item *item)
{
	*item = (struct item){ .dropped = *at == '*' };
	at += item->dropped;
	for (; *at >= '0' && *at <= '9'; at++)
		item->width = item->width * 10 + (unsigned)(*at - '0');
	for (; *at == 'l'; at++)
		item->longs++;
	item->kind = *at;
	return item->kind == '[' ? parse_set(at + 1, item) : at + 1;
}

static bool in_set(const struct item *item, char c)
{
	bool found = false;

	for (size_t i = 0; i < item->set_len && !found; i++) {
		if (i + 2 < item->set_len && item->set[i + 1] == '-') {
			found = c >= item->set[i] && c <= item->set[i + 2];
			i += 2;
		} else {
			found = c == item->set[i];
		}
	}
	return found != item->inverse;
}

static size_t length_of_text(const struct item *item, const char *at)
{
	size_t len = 0;

	while (at[len] && (!item->width || len < item->width) && (item->kind == 's' ? !is_blank(at[len]) : in_set(item, at[len])))
		len++;
	return len;
}

static int digit_of(char c, unsigned base)
{
	int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;

	return digit < (int)base ? digit : -1;
}

/* Returns the characters that the number takes; 0: there is none. */
static size_t scan_number(const struct item *item, const char *at, unsigned long long *value)
{
	unsigned base = item->kind == 'x' ? 16 : 10;
	size_t most = item->width ? item->width : strlen(at), len = 0, first;
	bool negative = most && *at == '-';

	len += most && (*at == '-' || *at == '+');
	if (base == 16 && len + 2 < most && at[len] == '0' && (at[len + 1] | 32) == 'x' && digit_of(at[len + 2], 16) >= 0)
		len += 2;
	*value = 0;
	for (first = len; len < most && digit_of(at[len], base) >= 0; len++)
		*value = *value * base + (unsigned)digit_of(at[len], base);
	if (negative)
		*value = -*value;
	return len > first ? len : 0;
}

static void store_number(const struct item *item, unsigned long long value, va_list *ap)
{
	if (item->longs == 0)
		*va_arg(*ap, unsigned *) = (unsigned)value;
	else if (item->longs == 1)
		*va_arg(*ap, unsigned long *) = (unsigned long)value;
	else
		*va_arg(*ap, unsigned long long *) = value;
}

/* Returns how much text it took; 0: it does not match. */
static size_t scan_item(const struct item *item, const char *at, va_list *ap)
{
	unsigned long long value;
	size_t len;
	char *to;

	switch (item->kind) {
	case 'd': case 'u': case 'x':
		len = scan_number(item, at, &value);
		if (len && !item->dropped)
			store_number(item, value, ap);
		return len;
	case 's': case '[':
		len = length_of_text(item, at);
		if (len && !item->dropped) {
			to = va_arg(*ap, char *);
			memcpy(to, at, len);
			to[len] = 0;
		}
		return len;
	default:
		cell_fail("sscanf() does not know a conversion of the test");
	}
}

int sscanf(const char *text, const char *format, ...)
{
	const char *at = text;
	struct item item;
	size_t len;
	int done = 0;
	va_list ap;

	va_start(ap, format);
	while (*format) {
		if (is_blank(*format)) {
			at = skip_blanks(at);
			format++;
		} else if (*format != '%') {
			if (*at++ != *format++)
				break;
		} else {
			format = parse_item(format + 1, &item);
			if (item.kind == 'n') {
				*va_arg(ap, int *) = (int)(at - text);
				continue;
			}
			if (item.kind != '[')
				at = skip_blanks(at);
			len = scan_item(&item, at, &ap);
			if (!len)
				break;
			at += len;
			done += !item.dropped;
		}
	}
	va_end(ap);
	return done || *text ? done : EOF;
}
