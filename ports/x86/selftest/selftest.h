/* SPDX-License-Identifier: MIT */
/*
 * selftest.h - what the self-test kernels of both widths share (selftest.c), and what each has of its own (selftest32.c,
 * selftest64.c): page tables built by hand, programs for ring 3, and tests of what exists in one width only.
 *
 * User half: code at 4 MiB, stack page above it.
 */
#ifndef KMM_PORTS_X86_SELFTEST_H
#define KMM_PORTS_X86_SELFTEST_H

#include "kmm/port.h"
#include "x86.h"

#define USER_CODE ((x86_word)0x400000)
#define USER_STACK ((x86_word)0x401000)

/* How programs call the kernel, and the last of their SSE registers, which user_sse_set and user_sse_get use. */
enum { IS_64 = sizeof(x86_word) == 8, CALL_TRAP = IS_64 ? X86_SYSCALL_INSN : X86_SYSCALL_VECTOR, LAST_XMM = IS_64 ? 15 : 7 };

enum { P = 1, RW = 2, US = 4, LARGE = 0x80 }; /* bits of entries */

extern uint8_t user_page[X86_PAGE_SIZE], user_stack[X86_PAGE_SIZE], scratch[2][X86_PAGE_SIZE];

/* The last trap of ring 3 or of a test, and the faulting address then. */
extern struct x86_frame seen;
extern x86_word seen_cr2;

/* Where a page fault inside the kernel goes on; 0: none is expected. */
extern x86_word recover;

void check(const char *name, bool good);
/* Is the word on the command line? What follows it there; NULL: it is not. */
bool cmdline_has(const char *word);
const char *cmdline_after(const char *word);
/* Runs one program in ring 3 until it traps. expect() checks by which trap. */
void run_frame(const struct x86_frame *f);
void expect(const char *name, const uint8_t *program, unsigned trapno);
/* The handler of traps, and of system calls that end a program. */
void on_trap(struct x86_frame *frame);

/* ---- of each width ---- */

/* Programs; each ends in a trap that a test looks at. */
extern const uint8_t user_programs[], user_programs_end[], user_syscall[], user_sse_set[], user_sse_get[], user_loop[];

void test_boot(void);           /* on the boot tables */
uint64_t build_tables(void);    /* returns the root */
void map_user(void);
void on_syscall(struct x86_frame *frame);
struct x86_frame user_frame(const uint8_t *program);
x86_word loops_of(const struct x86_frame *f); /* user_loop's counter */
void test_width(void);
void overflow_stack(void);

#endif
