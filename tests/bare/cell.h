/* SPDX-License-Identifier: MIT */
/*
 * A cell: what one hosted test gets on the bare machine in place of a process. It runs in ring 0 on a stack of its own,
 * and the user half of the addresses is its to map: the RAM of the machines that it simulates lies there, in frames of
 * the machine that runs it. What a test leaves behind goes with the cell; a fault or a broken invariant ends the test
 * and nothing else.
 */
#ifndef KMM_TESTS_BARE_CELL_H
#define KMM_TESTS_BARE_CELL_H

#include "harness/test.h"
#include "kmm/mm.h"

/* The library on the machine that runs the tests. */
extern struct kmm *cell_machine;

/* Once, before the first cell. */
void cell_init(void);
/* Runs a test in a cell of its own. */
enum kmm_test_result cell_run(const struct kmm_test *test);

/* The running test ends here, skipped or failed. */
_Noreturn void cell_skip(const char *reason);
_Noreturn void cell_fail(const char *why);

/* The cell's address space; active while it runs. */
struct kmm_mm *cell_space(void);
/* Where a bad access goes, as with signal(2): NULL, the default, fails the test. */
extern void (*cell_on_segv)(int signal);

/* One byte in any space by the processor, with page faults handled; see struct ground. */
int cell_touch(struct kmm_mm *mm, uint64_t va, enum kmm_access access, uint8_t *byte);

/* heap.c: gives back what the test has not freed. */
void heap_drop(void);
/* files.c: the same for its memory files. */
void files_drop(void);

/* Text for people: the debug console of QEMU, else the first serial port. */
void cell_print(const char *text);

/* asm32.S, asm64.S: calls fn on another stack. */
void bare_call_on(void *stack_top, void (*fn)(void));
/* One byte; a fault that cannot be handled makes the result -1. */
int bare_peek(const volatile void *at);
int bare_poke(volatile void *at, int byte);
extern const char bare_peek_at[], bare_poke_at[], bare_probe_failed[];

#endif
