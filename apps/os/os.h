/* SPDX-License-Identifier: MIT */
/*
 * os.h - the reference kernel: an application of libkmm that runs unmodified Linux programs, i386 and x86-64.
 *
 * The kernel is not preemptible and runs with interrupts off: an interrupt is taken in ring 3 or while a processor idles,
 * nowhere else. Most of it runs under one lock (lock.h), which a task gives up where it sleeps (sched_sleep(), or a core
 * call that says it may sleep): what another task may change is changed there. Faults and memory calls run without it.
 *
 * Errors inside the kernel are negative Linux errno numbers, as system calls return them.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include "abi.h"
#include "kmm/kmm.h"
#include "kmm/mm.h"
#include "kmm/slab.h"
#include "lib.h"

/* Words of the kernel command line (cmdline.c). */
struct os_options {
	const char *run;   /* path of the first program; NULL: see start */
	const char *start; /* file of the initrd that describes it with arguments and environment */
	const char *input; /* file that is its standard input; NULL: the console */
	bool tty;          /* the console is a terminal for programs */
	bool report;       /* write the JSON report to the second serial port at the end */
	bool bench;        /* run the in-kernel benchmarks before anything else */
	const char *broken; /* debug kernels: what to break, to see that it is found (guard.c) */
	bool has_seed, has_kaslr;
	const char *life;  /* address of the page whose story goes to the log (life.c); NULL: none */
	const char *swap;  /* name of the disk to swap to; NULL: none */
	const char *resume; /* name of the disk with an image to go on with; NULL: none */
	const char *note;   /* for the head of an image: what the machine was started with */
	const char *policy; /* of page replacement; NULL: the core's default */
	const char *answer; /* of programs to the end of memory; NULL: swap */
	const char *memory_max, *memory_high; /* bytes that the first program's cgroup may have; NULL: without limit */
	const char *zswap; /* percent of memory for compressed pages; NULL: nothing is compressed */
	uint32_t ramdisk_mib; /* RAM kept for ram0 */
	uint32_t stack_guard_gap; /* pages that stay free below a growing area */
	uint32_t seed;
	uint32_t kaslr;     /* seed of the kernel's and the programs' places; without it they are where Linux's begin */
};

enum { STACK_GUARD_GAP = 256 }; /* Linux's */

struct os {
	struct kmm *k;
	struct kmm_port *port;
	struct os_options options;
	struct kmm_paddr kernel_root;
	const char *initrd; /* linear address of the archive, NULL: none */
	uint32_t initrd_size;
	struct kmm_memrange ramdisk; /* RAM kept from the core for the disk ram0; size 0: none */
	bool log_to_debugcon;
};
extern struct os os;

/* One line for people on the log channel (the debug console where there is one, else the console). */
__attribute__((format(printf, 1, 2))) void klog(const char *fmt, ...);
void klog_init(void);

/* A sink whose lines go to the log, each behind what it is about. Kernel lock, and one of them at a time. */
struct log_sink {
	struct kmm_sink sink;
	const char *about;
};
void log_sink_init(struct log_sink *s, const char *about);

void cmdline_parse(const char *text, struct os_options *out);

/* Ends the machine: says why on the log (NULL: nothing to say), writes the report, leaves with the exit status. */
__attribute__((noreturn)) void os_leave(int status, const char *why);
/* Exit statuses of the machine itself; a program's own pass through. */
enum { OS_EXIT_INPUT = 3, OS_EXIT_BROKEN = 125 };

static inline int os_errno(enum kmm_status status)
{
	return -kmm_status_errno(status);
}

/* kmalloc for the kernel's own data; NULL: out of memory. */
static inline void *os_alloc(size_t size)
{
	return kmm_kmalloc(os.k, size, KMM_GFP_KERNEL);
}
static inline void *os_zalloc(size_t size)
{
	return kmm_kzalloc(os.k, size, KMM_GFP_KERNEL);
}
static inline void os_free(void *p)
{
	kmm_kfree(os.k, p);
}
char *os_strdup(const char *s);

/* Monotonic ns, and wall clock ns since 1970. */
static inline uint64_t os_now(void)
{
	return x86_time_ns();
}
uint64_t os_wall(void);

/* Deterministic under a fixed seed: the bytes of getrandom, /dev/urandom and AT_RANDOM. */
void os_random(void *to, size_t len);

/* life.c: from now on what happens at that (hexadecimal) address is logged. */
void life_start(const char *address);

/* report.c */
void report_process_end(const char *comm, uint32_t pid, int status, struct kmm_mm *mm);
/* why: the machine failed, in a sentence; NULL: the first program ended. */
void report_write(int status, const char *why);
/* The machine is on a disk now. */
void report_hibernated(void);

#endif
