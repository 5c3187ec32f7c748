/* SPDX-License-Identifier: MIT */
/* layout.h - where the parts of a new program's space lie, as far as that is not always the same. */
#ifndef OS_PROC_LAYOUT_H
#define OS_PROC_LAYOUT_H

#include "proc/elf.h"

/* vm.legacy_va_layout: not 0: mappings from low to high. kernel.randomize_va_space: 0: nothing is random; more than 1: the heap too.
 * Both for programs that are started from now on; kernel lock. */
extern int32_t layout_legacy, layout_random;
void layout_init(void);

/* For the program that this process is about to become: limits and rules of its space. */
void layout_set_limits(struct kmm_mm *mm);
uword layout_stack_top(const struct elf_file *elf);
uword layout_stack_pointer(uword at);           /* a little below */
uword layout_program_offset(bool is_64);        /* of a position-independent one with an interpreter, from its base */
uword layout_break(uword after, bool is_64);    /* where the heap starts: there or above */
/* A hole for len bytes where mmap would put them. */
enum kmm_status layout_hole(struct kmm_mm *mm, uword len, uword *out);

#endif
