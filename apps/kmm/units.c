/* SPDX-License-Identifier: MIT */
/*
 * Parsing and printing of sizes and addresses.
 */
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char unit_letters[] = "KMGTPE";

/* Bits of the unit that ends a size: "", "K", "KB", "KiB", "b". false: something else. */
static bool parse_unit(const char *text, unsigned *shift)
{
	const char *letter;

	while (isspace((unsigned char)*text))
		text++;
	*shift = 0;
	if (*text && (letter = strchr(unit_letters, toupper((unsigned char)*text))) != NULL) {
		*shift = 10 * (unsigned)(letter - unit_letters + 1);
		text++;
	}
	return !*text || !strcasecmp(text, "b") || (*shift && !strcasecmp(text, "ib"));
}

/* 0.frac of 2^shift bytes, by decimal digits. */
static uint64_t fraction(const char *digits, size_t nr, unsigned shift)
{
	double value = 0, weight = 0.1;

	for (size_t i = 0; i < nr; i++, weight /= 10)
		value += (digits[i] - '0') * weight;
	return (uint64_t)(value * (double)(UINT64_C(1) << shift));
}

bool parse_size(const char *text, uint64_t *bytes)
{
	const char *dot;
	char *end;
	uint64_t whole;
	unsigned shift;
	size_t nr = 0;

	while (isspace((unsigned char)*text))
		text++;
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	whole = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
	dot = end;
	if (*dot == '.') {
		nr = strspn(dot + 1, "0123456789");
		end += 1 + nr;
	}
	if (errno || (*dot == '.' && !nr) || !parse_unit(end, &shift))
		return false;
	if (shift && whole >> (64 - shift))
		return false;
	*bytes = (whole << shift) + (nr ? fraction(dot + 1, nr, shift) : 0);
	return true;
}

/* A copy without blanks around it; false: too long. */
static bool strip(const char *text, char *buf, size_t size)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	if (len >= size)
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	return len > 0;
}

static bool looks_hex(const char *digits)
{
	if (digits[0] == '0' && digits[1])
		return true;
	return strpbrk(digits, "abcdefABCDEF") != NULL;
}

static bool parse_digits(const char *text, uint64_t *value)
{
	bool prefixed = text[0] == '0' && (text[1] | 32) == 'x';
	const char *digits = prefixed ? text + 2 : text;
	char *end;

	if (!*digits || strspn(digits, "0123456789abcdefABCDEF") != strlen(digits))
		return false;
	errno = 0;
	*value = strtoull(digits, &end, prefixed || looks_hex(digits) ? 16 : 10);
	return !*end && !errno;
}

bool parse_address(const char *text, struct address *out)
{
	static const char *const prefixes[] = { "va:", "pa:", "pfn:" };
	char buf[64], *digits = buf;

	if (!strip(text, buf, sizeof(buf)))
		return false;
	out->kind = ADDRESS_VIRTUAL;
	for (unsigned i = 0; i < 3; i++) {
		if (strncasecmp(buf, prefixes[i], strlen(prefixes[i])) == 0) {
			out->kind = (enum address_kind)i;
			digits = buf + strlen(prefixes[i]);
		}
	}
	return parse_digits(digits, &out->value);
}

bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
	return !*end && !errno && *out <= max;
}

/* Two decimals, cut off: never more than there is. */
const char *size_text(char buf[SIZE_TEXT], uint64_t bytes)
{
	unsigned unit = 0, shift;
	uint64_t rest;

	while (unit < 6 && bytes >> (10 * (unit + 1)))
		unit++;
	shift = 10 * unit;
	rest = bytes & ((UINT64_C(1) << shift) - 1);
	if (unit == 0)
		snprintf(buf, SIZE_TEXT, "%" PRIu64 " bytes", bytes);
	else if (rest == 0)
		snprintf(buf, SIZE_TEXT, "%" PRIu64 " %ciB", bytes >> shift, unit_letters[unit - 1]);
	else /* ten bits of the rest are enough for two digits */
		snprintf(buf, SIZE_TEXT, "%u.%02u %ciB", (unsigned)(bytes >> shift),
			 (unsigned)((rest >> (shift - 10)) * 100 >> 10), unit_letters[unit - 1]);
	return buf;
}

const char *mib_text(char buf[SIZE_TEXT], uint64_t bytes)
{
	snprintf(buf, SIZE_TEXT, "%.1f", (double)bytes / (1 << 20));
	return buf;
}

const char *hex_text(char buf[SIZE_TEXT], uint64_t value, unsigned digits)
{
	snprintf(buf, SIZE_TEXT, "0x%0*" PRIx64, (int)digits, value);
	return buf;
}

/* Cut off as well: 99.998 is not 100. */
const char *percent_text(char buf[SIZE_TEXT], double part, double whole)
{
	double percent = whole > 0 ? 100 * part / whole : 0, scale = 1;
	int decimals = 0;

	if (percent > 0 && percent < 1e-6) {
		snprintf(buf, SIZE_TEXT, "< 0.000001 %%");
		return buf;
	}
	for (; percent > 0 && percent * scale < 100 && decimals < 8; scale *= 10)
		decimals++;
	snprintf(buf, SIZE_TEXT, "%.*f %%", decimals, (double)(uint64_t)(percent * scale) / scale);
	return buf;
}
