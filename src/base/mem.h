/* SPDX-License-Identifier: MIT */
/*
 * The four functions that a freestanding compiler expects its host to have.
 */
#ifndef KMM_BASE_MEM_H
#define KMM_BASE_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *at, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

#endif
