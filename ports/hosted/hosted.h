/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine inside an ordinary process: RAM, a memory map, processors with an MMU and a TLB,
 * and the port that libkmm needs. Several machines of any of the four formats live side by side.
 *
 * RAM is one memfd, sparse: a 64 TiB machine costs the host only what is touched. It is visible twice:
 *
 *   the bus     all of it, always: what the simulated hardware reaches (the MMU, DMA, hosted_phys())
 *   the arena   port.direct_map: what the core's C code reaches
 *
 * Fast mode: the arena is the bus, so a kmap is a pointer into it. Strict mode: the arena shows low memory
 * only, and every window (kmap, kmap_local, vmalloc) is mapped and unmapped in the host as the core writes its
 * entries, so that an access outside of a window crashes. vmalloc windows are real in both modes.
 *
 * A thread of the host plays one CPU at a time (hosted_set_cpu()); each CPU has its own MMU. Two threads
 * must not play the same CPU at once.
 *
 * Limits: arena and windows must fit into the host's address space (about 100 TiB on a 47-bit host), so larger
 * five-level machines are refused.
 */
#ifndef KMM_HOSTED_HOSTED_H
#define KMM_HOSTED_HOSTED_H

#include <stdio.h>

#include "kmm/kmm.h"
#include "kmm/mm.h"
#include "kmm/swap.h"
#include "softmmu.h"

struct hosted_machine;

enum hosted_tier { HOSTED_SPACES, HOSTED_KERNEL, HOSTED_FRAMES }; /* how far hosted_boot() goes; 0: all of it */
enum hosted_log_to { HOSTED_LOG_QUIET, HOSTED_LOG_STDERR, HOSTED_LOG_KEEP }; /* KEEP: for hosted_log_text() */

struct hosted_config {
	/* Zero fields mean their defaults. Without a map (machine.map NULL) the machine gets that of a PC with ram_bytes
	 * of RAM; with one, ram_bytes must be 0. */
	struct kmm_machine machine;
	uint64_t ram_bytes;
	uint64_t image_bytes; /* a kernel image at 16 MiB (64-bit machines: also in its window); 0: none */
	enum hosted_tier tier;
	enum hosted_log_to log;
	bool strict;
	bool threads;         /* host threads play CPUs: the core may wait for another. Else it never sleeps. */
};

/* Builds the machine and starts the core on it; CPU 0 runs on the kernel's page tables.
 * errors: those of kmm_init(); KMM_ENOTSUP the host cannot map so much; KMM_ENOMEM. *why (may be NULL) gets a
 * constant sentence. */
KMM_MUST_CHECK enum kmm_status hosted_boot(const struct hosted_config *config, struct hosted_machine **out,
					   const char **why);
/* Drops the machine with all it holds, in whatever state. NULL is allowed. */
void hosted_shutdown(struct hosted_machine *m);

struct kmm *hosted_kmm(struct hosted_machine *m);

/* ---- off and on again (power.c) ---- */

/* All memory and the kernel are lost, and a fresh one starts in the same place; devices stay. errors: those of kmm_init();
 * KMM_ENOTSUP the host refuses. After an error the machine is good for hosted_shutdown() only. */
KMM_MUST_CHECK enum kmm_status hosted_restart(struct hosted_machine *m, const char **why);
/* kmm_state_size() bytes: what the kernel keeps outside of its RAM here, to be saved with an image. */
void *hosted_state(const struct hosted_machine *m);
/* Goes on with the kernel that an image was taken of: moves as kmm_image_read() left them, and its state. */
KMM_MUST_CHECK bool hosted_resume(struct hosted_machine *m, struct kmm_pfn moves, const void *state);
/* The boot configuration with every default filled in. */
const struct hosted_config *hosted_config_of(const struct hosted_machine *m);

/* Firmware's memory map of a PC with `ram_bytes` of RAM, as QEMU's: 639 KiB, 1 MiB up to 3.5 GiB (3 GiB when there is
 * more), the rest from 4 GiB on. Returns the number of ranges, 0 when ram_bytes is below 2 MiB. */
enum { HOSTED_PC_RANGES = 8 };
unsigned hosted_pc_map(uint64_t ram_bytes, struct kmm_memrange map[HOSTED_PC_RANGES]);

/* ---- processors ---- */

/* The CPU that the calling thread plays, for all machines; starts as 0. */
void hosted_set_cpu(unsigned cpu);
unsigned hosted_cpu(void);
/* The MMU of a CPU, for its counters and for tests that bend it. */
struct softmmu *hosted_mmu(struct hosted_machine *m, unsigned cpu);
/* This CPU switches to a space; NULL: to the kernel's own tables. */
void hosted_run_space(struct hosted_machine *m, struct kmm_mm *mm);
/* kmm_mm_put() after switching away every CPU that still runs it. */
void hosted_put_space(struct hosted_machine *m, struct kmm_mm *mm);

/* ---- memory as the hardware sees it ---- */

/* Pointer to a byte of physical memory; NULL where there is none. Good up to the end of its page. */
void *hosted_phys(struct hosted_machine *m, uint64_t pa);

/* What happened to an access of ring 3, in Linux's words. */
struct hosted_result {
	bool ok;
	int signal;       /* 11 SIGSEGV, 7 SIGBUS, 9 no memory */
	int code;      /* 1 MAPERR, 2 ACCERR or ADRERR, 128 SI_KERNEL */
	uint64_t addr;
	size_t done;      /* bytes moved before it */
};

/* len bytes at va as a program in that space would touch them: through this CPU's MMU, with page faults handled by the
 * core. KMM_READ and KMM_EXEC copy to buf, KMM_WRITE from buf. A fault that the core says it has handled and that comes
 * back for ever is fatal, and so is a reserved bit in a table. context: no locks. */
struct hosted_result hosted_access(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, enum kmm_access access,
				   void *buf, size_t len);
struct hosted_result hosted_read_user(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, void *buf, size_t len);
struct hosted_result hosted_write_user(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, const void *buf,
				       size_t len);
struct hosted_result hosted_exec_user(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, void *buf, size_t len);
/* As the kernel would, on whatever tables this CPU runs. false: *fault (may be NULL) says what the CPU raised. */
bool hosted_kernel_access(struct hosted_machine *m, uint64_t va, enum kmm_access access, void *buf, size_t len,
			  struct softmmu_fault *fault);

/* ---- swap (swapfile.c) ---- */

/* A swap device over a nameless file of the host, for kmm_swap_on(). NULL: the host has no room. It must be closed after
 * swapoff, or after the machine. */
struct hosted_swap;
struct hosted_swap *hosted_swap_open(struct hosted_machine *m, uint64_t bytes);
/* One that begins transfers, and ends them when it is told to: the last one first, so that none may rely on an order. The core
 * tells it to where it waits awake. On a machine with threads somebody has to call hosted_swap_finish() again and again. */
struct hosted_swap *hosted_swap_open_later(struct hosted_machine *m, uint64_t bytes);
enum { HOSTED_SWAP_BEGUN = 64 }; /* those beyond are done at once */
/* Ends at most so many; returns how many there were. */
unsigned hosted_swap_finish(struct hosted_swap *s, unsigned most);
void hosted_swap_close(struct hosted_swap *s);
struct kmm_swap_device *hosted_swap_device(struct hosted_swap *s);

struct hosted_swap_faults {
	uint64_t nth;         /* the transfer that fails, counted from now on, 1 the next; 0: none */
	bool for_ever;        /* and all after it: the device is gone */
	bool torn;            /* half of a failed write is written */
};
void hosted_swap_fail(struct hosted_swap *s, const struct hosted_swap_faults *faults);
/* Transfers since then, or since it was opened. */
uint64_t hosted_swap_transfers(const struct hosted_swap *s);
struct hosted_swap_counts {
	uint64_t read, written, discarded; /* pages */
};
void hosted_swap_counts(const struct hosted_swap *s, struct hosted_swap_counts *out);

/* ---- files (storefile.c) ---- */

/* A file of the host behind the core's page cache. fd: of a regular file, open for reading and writing; it stays the caller's,
 * who closes it after hosted_file_put(). name: for maps, must outlive the file. NULL: no memory. */
struct hosted_file;
struct hosted_file *hosted_file_open(struct hosted_machine *m, int fd, const char *name);
struct kmm_file *hosted_file_of(struct hosted_file *f);
/* Gives up the caller's reference. What mappings still show stays with them; with the last of them all of it has reached the
 * host's file. */
void hosted_file_put(struct hosted_file *f);
/* As hosted_swap_fail() and hosted_swap_transfers(), of reads, writes and changes of the size. */
void hosted_file_fail(struct hosted_file *f, const struct hosted_swap_faults *faults);
uint64_t hosted_file_transfers(const struct hosted_file *f);

/* ---- looking at the simulation ---- */

struct hosted_usage {
	uint64_t ram_bytes;    /* of the simulated RAM, what the host really holds */
	uint64_t state_bytes;  /* kmm_state_size() */
	uint64_t arena_bytes;  /* reserved addresses, not memory */
	uint64_t window_bytes;
	uint64_t window_maps, window_unmaps; /* calls that changed host mappings */
};
void hosted_usage(const struct hosted_machine *m, struct hosted_usage *out);

/* Lines the core logged since boot or the last clear (HOSTED_LOG_KEEP), each ending in \n; "" when none. */
const char *hosted_log_text(const struct hosted_machine *m);
void hosted_log_clear(struct hosted_machine *m);

/* Runs fn(arg); true if the core called fatal() meanwhile, then *what (may be NULL) is its text. After that the machine
 * is good for hosted_shutdown() only. Otherwise fatal() prints and aborts. One at a time per machine. */
bool hosted_catch_fatal(struct hosted_machine *m, void (*fn)(void *arg), void *arg, const char **what);

/* ---- sinks ---- */

struct hosted_file_sink {
	struct kmm_sink sink;
	FILE *file;
};
struct kmm_sink *hosted_file_sink(struct hosted_file_sink *sink, FILE *file);

/* Text that grows; free with hosted_text_free(). text is never NULL after init. */
struct hosted_text {
	struct kmm_sink sink;
	char *text;
	size_t len, room;
};
struct kmm_sink *hosted_text_init(struct hosted_text *text);
void hosted_text_free(struct hosted_text *text);

#endif
