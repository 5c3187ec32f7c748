/* SPDX-License-Identifier: MIT */
/*
 * The machine under the scheduler: RAM, a CPU with MMU and TLB per thread, and the port. All of it is put back before
 * each run.
 *
 * An access of a program is one instruction: look into the TLB, walk the tables if it is not there (each entry read is a
 * point, so tables may change under the walk), touch the memory. A flush that another CPU asks for comes between
 * instructions, as an interrupt does, and whoever asks waits for it; so it must not hold a spin lock, for which the other
 * may be waiting with interrupts off.
 *
 * Judged at every access: the frame that a TLB entry leads to must still be what it was when the entry was filled. Judged
 * at the end of each run: no TLB of a space has a translation, or a right, that its tables do not have; the audit.
 */
#ifndef KMM_RACE_SCHED_GROUND_H
#define KMM_RACE_SCHED_GROUND_H

#include "base/context.h"
#include "kmm/kmap.h"
#include "kmm/kmm.h"
#include "kmm/mm.h"
#include "kmm/observe.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"
#include "sched.h"

#define PAGE ((uint64_t)KMM_PAGE_SIZE)
#define HERE UINT64_C(0x10000000) /* where cases map */

struct ground_config {
	enum kmm_format_id format;
	unsigned ram_mib, low_mib; /* low_mib: of it (32-bit machines); 0: all, as far as the format has room */
	bool kernel_only;          /* no spaces */
};

/* Boots with SCHED_THREADS CPUs; in setup. */
struct kmm *ground_boot(const struct ground_config *config);
struct kmm *ground(void);

/* During setup the CPU is this one. */
void ground_play(unsigned cpu);
/* The CPU that runs loads the space; NULL: the kernel's tables. */
void ground_run(struct kmm_mm *mm);

/* A byte by the processor, in the space that its CPU runs; faults go to the core. Reading: the byte, or -signal. Writing: 0,
 * or -signal. */
int ground_peek(struct kmm_mm *mm, uint64_t va);
int ground_poke(struct kmm_mm *mm, uint64_t va, uint8_t byte);
/* A byte of kernel memory through this CPU's MMU; -1: nothing is mapped. */
int ground_kernel_peek(const void *view);
bool ground_kernel_poke(const void *view, uint8_t byte);
/* Every CPU has allocated and freed, so that its caches have something and allocating needs no lock. */
void ground_warm_up(void);

/* Words of a case that its threads write and finish looks at; put back before each run. */
#define GROUND_NOTES 16
int *ground_notes(void);

/* In finish, while CPUs still run their spaces: TLBs against tables, tables against areas. */
void ground_judge_spaces(void);
/* At its end, when all is given back: the whole audit. */
void ground_judge(void);

/* At the end of setup: what is there now is where each run starts. */
void ground_keep(void);

/* ---- faults put in on purpose, by name (none: ""): the mutants that need no change of the core ---- */
extern const char *ground_mutation;

#endif
