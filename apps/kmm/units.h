/* SPDX-License-Identifier: MIT */
/*
 * Numbers as people write them: sizes with binary units, addresses in the forms that other tools print.
 */
#ifndef KMM_APP_UNITS_H
#define KMM_APP_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "4G", "1.5G", "640K", "64 MiB", "4096": factors of 1024, letters of either case. false: not a size, or
 * not below 2^64. A fraction is rounded down to bytes. */
bool parse_size(const char *text, uint64_t *bytes);

enum address_kind { ADDRESS_VIRTUAL, ADDRESS_PHYSICAL, ADDRESS_FRAME };
struct address {
	enum address_kind kind;
	uint64_t value; /* ADDRESS_FRAME: a number of pages */
};
/* "0xc0001000", "c0001000", "3221229568", "va:...", "pa:0x1000", "pfn:227". Digits only are decimal unless the
 * first of several is 0, as in 08048000. Blanks and line ends around it are allowed. */
bool parse_address(const char *text, struct address *out);
/* A whole number, 0x or decimal, at most max. */
bool parse_number(const char *text, uint64_t max, uint64_t *out);

/* "4 GiB", "879.99 MiB", "12 bytes": whole units exactly, others cut off after two decimals. */
enum { SIZE_TEXT = 32 };
const char *size_text(char buf[SIZE_TEXT], uint64_t bytes);
/* Always in MiB, one decimal. */
const char *mib_text(char buf[SIZE_TEXT], uint64_t bytes);
/* 0x and the digits that an address of this width has: 8 or 16. */
const char *hex_text(char buf[SIZE_TEXT], uint64_t value, unsigned digits);
/* part of whole in percent, three significant digits ("88.4 %", "0.00012 %"). */
const char *percent_text(char buf[SIZE_TEXT], double part, double whole);

#endif
