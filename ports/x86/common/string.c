/* SPDX-License-Identifier: MIT */
/*
 * string.c - the four functions that compilers emit calls to. String instructions: compact, and their cost is one
 * microcode loop on hardware. Whole frames are cleared and copied by frame.S instead.
 */
#include "x86.h"

#ifdef __x86_64__
#define MOVS_WORD "rep movsq"
#define STOS_WORD "rep stosq"
#else
#define MOVS_WORD "rep movsl"
#define STOS_WORD "rep stosl"
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	void *d = to;
	size_t words = n / sizeof(x86_word);

	__asm__ volatile(MOVS_WORD : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	n %= sizeof(x86_word);
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n) : : "memory");
	return to;
}

static void copy_down(char *to, const char *from, size_t n)
{
	char *d = to + n - 1;
	const char *s = from + n - 1;

	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

void *memmove(void *to, const void *from, size_t n)
{
	uintptr_t distance = (uintptr_t)to - (uintptr_t)from;

	if (n == 0 || distance == 0)
		return to;
	if (distance >= n)
		return memcpy(to, from, n);
	copy_down(to, from, n);
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	void *d = to;
	x86_word pattern = (uint8_t)byte * ((x86_word)-1 / 255);
	size_t words = n / sizeof(x86_word);

	__asm__ volatile(STOS_WORD : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	n %= sizeof(x86_word);
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(pattern) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a;
	const uint8_t *y = b;

	for (size_t i = 0; i < n; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}
