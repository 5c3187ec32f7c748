/* SPDX-License-Identifier: MIT */
/*
 * One step of a program that the oracle runs on two kernels: a memory call, an access, or a fork, with operands that do
 * not depend on what the kernel answers. Addresses that only the kernel knows (where an mmap without MAP_FIXED went) are
 * kept in slots and named by them, so that a program is the same text on both sides.
 *
 * Freestanding: the generator and the native executor run in ring 3 of kernels without a C library.
 */
#ifndef KMM_TESTS_ORACLE_STEP_H
#define KMM_TESTS_ORACLE_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where things lie, on both sides and at every width. What the native program itself needs is below HEAP. */
#define ORACLE_PAGE UINT64_C(4096)
#define ORACLE_SHARED_AT UINT64_C(0x01000000)  /* programs, answers, whose turn it is */
#define ORACLE_IMAGE_AT UINT64_C(0x08000000)   /* the native program (see the makefile); its heap follows */
#define ORACLE_LOW_END UINT64_C(0x00c00000)    /* hostile calls at low addresses end here */
#define ORACLE_WINDOW UINT64_C(0x20000000)     /* where most happens */
#define ORACLE_FAR UINT64_C(0x30000000)        /* stacks, with room for guard gaps */
#define ORACLE_BIG_AT UINT64_C(0x40000000)     /* what is promised in large, so many times so much */
#define ORACLE_BIG (UINT64_C(64) << 20)
enum { ORACLE_WINDOW_PAGES = 32, ORACLE_NR_BIG = 20, ORACLE_FAR_PAGES = 1024, ORACLE_HEAP_SKIP = 16, ORACLE_HEAP_PAGES = 64 };
enum { ORACLE_SLOTS = 6, ORACLE_FILES = 4, ORACLE_FILE_PAGES = 10, ORACLE_ACTORS = 4, ORACLE_MAX_STEPS = 256 };

enum op {
	OP_MMAP, OP_MUNMAP, OP_MPROTECT, OP_MREMAP, OP_BRK, OP_MADVISE, OP_MLOCK, OP_MUNLOCK, OP_MINCORE, OP_REMAP_PAGES,
	OP_MSYNC,                            /* the last that is about a range */
	OP_MLOCKALL, OP_MUNLOCKALL,
	OP_READ, OP_WRITE, OP_EXEC,          /* by the processor */
	OP_PREAD,                            /* by the kernel on the program's behalf, from a file */
	OP_COPYIN,                           /* the same the other way, into a pipe; returns what arrived */
	OP_PWRITE,                           /* a byte into a file, not from the program's memory */
	OP_PEEK, OP_POKE,                    /* another process's memory, by process_vm_readv and process_vm_writev */
	OP_SEAL,                             /* a file; returns the seals it then has */
	OP_SHMAT, OP_SHMDT,                  /* System V shared memory; the segment is named where others name a file */
	OP_FTRUNCATE, OP_FORK, OP_EXIT, OP_RLIMIT,
	OP_CLEAR_REFS,                       /* a digit into /proc/self/clear_refs */
	OP_NR
};

/* What an address is relative to. ABSOLUTE: the offset is all of it. SLOT + n: where slot n's mapping went. */
enum base { BASE_ABSOLUTE, BASE_WINDOW, BASE_FAR, BASE_HEAP, BASE_SLOT, BASE_NR = BASE_SLOT + ORACLE_SLOTS };

/* Files, of memory: 0 has FILE_PAGES pages and a bit, 1 is empty at first, 2 is file 0 opened for reading only, 3 has four
 * pages and may be sealed. */
enum { FILE_NONE = 255, FILE_READ_ONLY = 2, FILE_SEALABLE = 3, ORACLE_SEALABLE_PAGES = 4 };
/* Segments of shared memory; the native program itself has them attached below its image. */
enum { ORACLE_SEGMENTS = 2, ORACLE_SEGMENT_PAGES = 5 };
#define ORACLE_SEGMENT_AT(n) (UINT64_C(0x02000000) + (n) * ORACLE_SEGMENT_PAGES * ORACLE_PAGE)
enum { LIMIT_AS, LIMIT_DATA, LIMIT_STACK, LIMIT_MEMLOCK, LIMIT_NR };

struct place {
	uint64_t offset;
	uint8_t base;
};

struct step {
	uint8_t op, actor; /* actor: the process; FORK makes actor `slot`, PEEK and POKE mean it */
	uint8_t file, slot;
	uint32_t prot, flags; /* also: advice, msync flags, which limit */
	struct place at, to;
	uint64_t len, new_len, off;
};

/* What a step's operands are, for printing and reading: one letter each. a at, t to, l len, n new_len, o off, p prot,
 * f file, s slot, w whose memory, m mmap flags, r mremap flags, v flags as a number, c child. */
struct op_info {
	const char *name, *operands;
};
extern const struct op_info oracle_ops[OP_NR];

/* The answer to a step. sig 0: none. */
struct answer {
	int64_t ret;
	int32_t err, sig, code;
	uint64_t addr;
	uint32_t text, text_len; /* what the space looks like afterwards, in the arena of texts */
};

/* ---- the generator: a pure function of seed, width and length ---- */

struct oracle_width {
	unsigned bits;
	uint64_t user_end; /* of a program */
};
/* Fills steps[0..nr). */
void oracle_generate(uint64_t seed, const struct oracle_width *width, struct step *steps, unsigned nr);

#endif
