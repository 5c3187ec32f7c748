/* SPDX-License-Identifier: MIT */
/*
 * Pieces of the reports on a space that more than one of them prints.
 */
#ifndef KMM_VM_REPORT_H
#define KMM_VM_REPORT_H

#include "vm/mm.h"

/* What a line of /proc/PID/maps says. */
struct kmm_area_line {
	kmm_word start, end;
	uint32_t flags;
	uint64_t offset;
	const struct kmm_backing *file; /* NULL: none */
	struct kmm_opening *opening;    /* NULL: none */
	const char *name;
};
void kmm_report_line(const struct kmm *k, const struct kmm_area_line *line, struct kmm_sink *out);
/* The line of an area in /proc/PID/maps. */
void kmm_report_area(const struct kmm_vma *vma, struct kmm_sink *out);

static inline unsigned long long kmm_kb(kmm_word pages)
{
	return (unsigned long long)pages << (KMM_PAGE_SHIFT - 10);
}

#endif
