/* SPDX-License-Identifier: MIT */
/*
 * struct hosted_machine as the files of this port see it.
 */
#ifndef KMM_HOSTED_INTERNAL_H
#define KMM_HOSTED_INTERNAL_H

#include <pthread.h>
#include <setjmp.h>

#include "hosted.h"
#include "inline.h"

struct hosted_processor {
	pthread_mutex_t lock;   /* mmu, against flushes asked for by other CPUs */
	struct softmmu mmu;
	bool paging;            /* CR3 was loaded */
	_Atomic(struct kmm_mm *) space; /* that the CPU runs; NULL: the kernel's. Its own thread's alone, but when the space goes */
};

struct hosted_machine {
	struct kmm_port port; /* first: hooks get a pointer to it */
	struct softmmu_memory memory;
	struct hosted_config config; /* defaults filled in; its arrays are the two below */
	struct kmm_memrange pc_map[HOSTED_PC_RANGES];
	struct kmm_memrange *reserve;
	struct kmm_layout layout;
	struct kmm *k;
	void *state;

	/* arena.c */
	int fd;                  /* RAM; -1: none yet */
	char *bus, *arena;       /* the same mapping unless strict and with high memory */
	uint64_t arena_bytes;    /* of both */
	char *window;
	uint64_t window_bytes;
	char *descriptors;       /* 64-bit machines to which memory may be added: their descriptors in one row */
	uint64_t descriptors_bytes;
	unsigned long window_maps, window_unmaps; /* atomic */

	/* hooks.c */
	struct hosted_processor cpu[KMM_MAX_CPUS];
	pthread_mutex_t sleep_lock; /* excludes wake() while done() is asked */
	pthread_cond_t woken;
	pthread_mutex_t log_lock;
	struct hosted_text log;
	jmp_buf *catcher;        /* where fatal() goes; NULL: abort */
	char fatal_text[256];
};

static inline struct hosted_machine *hosted_of_port(struct kmm_port *port)
{
	return (struct hosted_machine *)port;
}

/* arena.c: RAM up to ram_end (of all that may ever be there), low memory as the layout says, and the windows' reservation; sets the port's values.
 * false: the host cannot map so much. hosted_arena_fini() undoes what was done, also partly. */
bool hosted_arena_init(struct hosted_machine *m, uint64_t ram_end);
void hosted_arena_fini(struct hosted_machine *m);
uint64_t hosted_arena_used(const struct hosted_machine *m);

/* machine.c: the core in m->state, as far as the configuration says. */
enum kmm_status hosted_start_core(struct hosted_machine *m, const char **why);

/* hooks.c: fills the port's hooks and makes the processors (without paging). */
void hosted_hooks_init(struct hosted_machine *m);
void hosted_hooks_fini(struct hosted_machine *m);
/* CPU `cpu` loads a root; its tables must be good. */
void hosted_load_root(struct hosted_machine *m, unsigned cpu, uint64_t root);

#endif
