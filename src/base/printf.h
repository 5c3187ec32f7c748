/* SPDX-License-Identifier: MIT */
/*
 * The formatter behind kmm_printf(), and a sink that collects one line in a caller's buffer.
 */
#ifndef KMM_BASE_PRINTF_H
#define KMM_BASE_PRINTF_H

#include <stdarg.h>
#include <stddef.h>

#include "kmm/types.h"

void kmm_vprintf(struct kmm_sink *out, const char *format, va_list args);

/* Keeps the first size-1 bytes and always ends in 0; `len` counts all that was written. */
struct kmm_buffer_sink {
	struct kmm_sink sink;
	char *at;
	size_t size, len;
};
void kmm_buffer_sink_init(struct kmm_buffer_sink *b, char *at, size_t size);

#endif
