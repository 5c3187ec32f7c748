/* SPDX-License-Identifier: MIT */
/*
 * Steps carried out by real processes, by plain system calls, on whatever kernel this runs on. Without a C library, so
 * that the program knows all that is mapped: its image, a shared area, and nothing from the heap on.
 *
 * A program of steps has up to ORACLE_ACTORS processes, which take turns: whose actor the next step names carries it out.
 * The program, the answers and the position are in the shared area.
 */
#ifndef KMM_TESTS_ORACLE_NATIVE_H
#define KMM_TESTS_ORACLE_NATIVE_H

#include "oracle/step.h"

enum { ORACLE_TEXT_ROOM = 4 << 20, ORACLE_VECTOR = 1 << 17 }; /* a byte a page: more than grows below ORACLE_FAR */

struct shared {
	uint32_t next;             /* the step whose turn it is */
	uint32_t nr;
	uint32_t processes;        /* that have not ended */
	uint32_t living;           /* bit n: actor n */
	uint32_t pids[ORACLE_ACTORS];
	uint32_t text_len;
	uint8_t vector[ORACLE_VECTOR]; /* mincore's answer */
	bool tells_soft_dirty;     /* looks do: not in a comparison with a live kernel, few have it */
	uint64_t heap;             /* where it starts */
	uint64_t data_bytes;       /* of the image: RLIMIT_DATA counts them */
	uint64_t slots[ORACLE_SLOTS];
	struct step steps[ORACLE_MAX_STEPS];
	struct answer answers[ORACLE_MAX_STEPS];
	char text[ORACLE_TEXT_ROOM];
};
#define ORACLE_SHARED ((struct shared *)(uintptr_t)ORACLE_SHARED_AT)

/* Once, in the process that starts the others: unmaps all but the image and the shared area, starts the heap. */
void native_prepare(void);
/* As much of a file as there is room for; returns how much. */
uint32_t native_read_file(const char *name, char *to, uint32_t room);
/* The text of /proc/self/maps; returns its length. */
uint32_t native_maps(const char **text);
/* Carries out ORACLE_SHARED's program in processes of its own. */
void native_run(void);

#endif
