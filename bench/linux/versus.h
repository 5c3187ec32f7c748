/* SPDX-License-Identifier: MIT */
/*
 * The program of `make bench-linux`: memory system calls and faults as a ring-3 program sees them, in guest
 * instructions. One static file per width, the same bytes on Linux (as init of an initramfs) and on the reference kernel.
 *
 *   main.c      what runs in which order, and what init has to do
 *   measure.c   clock, samples, the form of a result
 *   check.c     contents, accounting and /proc, asked outside the measured stretches
 *   faults.c calls.c forks.c scale.c memory.c   the operations
 *
 * The clock is the time stamp counter. Under QEMU's "-icount shift=0" it advances by one per executed guest
 * instruction, user and kernel together; the first row, a loop of known length, proves it. A string instruction counts
 * each repetition. Caches, TLB misses and exceptions cost nothing in this unit: it is work, not time.
 *
 * Every operation is followed by checks that the work was done: a kernel that leaves something out fails them, and the
 * run ends with status 1. Nothing may be written to the console inside a measured stretch.
 */
#ifndef KMM_BENCH_LINUX_VERSUS_H
#define KMM_BENCH_LINUX_VERSUS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

enum { PAGE = 4096, KIB_PER_PAGE = 4 };

/* ---- measure.c ---- */

static inline uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Writes one line and waits until the console has sent it, so that its interrupts fall into no measurement. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

void calibrate(void); /* before everything else; prints the loop of known length */
void reset(void);
void add(uint64_t spent); /* the cost of reading the clock is taken off */
void print(const char *name);
void print_per(const char *name, double units); /* each sample was that many operations */
void print_value(const char *name, const char *unit, double value);

/* ---- check.c ---- */

/* What the kernel says about this process and the machine. */
struct account {
	long faults;  /* page faults without I/O, of this process */
	long areas;   /* lines of /proc/self/maps */
	long anon_kb; /* of /proc/meminfo */
	long free_kb;
};
/* What it says about one area, in KiB. */
struct usage {
	long size, rss, anon, dirty;
};

void check(int ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
int end_of_checks(void); /* prints the sum; 0: all held */

long faults_so_far(void);
void take_account(struct account *out);
void take_usage(const void *at, struct usage *out); /* of the area that at lies in; zeros: in none */
long proc_number(const char *path, const char *key); /* the number after key; -1: none */

int readable(const void *p); /* as a system call finds it: no signal */
int writable(void *p);
int filled(const char *p, long nr_pages, char first); /* each page: this byte, then zeros */
/* nr_pages written pages at p, of this byte: contents, smaps, and the faults that they took. */
void check_pages(const char *what, const char *p, long nr_pages, char first, long faults);
/* The machine's count of anonymous memory has changed by that many pages since. */
void check_anon(const char *what, const struct account *since, long pages);

/* ---- pieces, main.c ---- */

char *map_at(void *at, size_t bytes, int prot);
char *map(size_t bytes); /* readable and writable, anywhere */
void unmap(void *p, size_t bytes);
void write_all(volatile char *p, long nr_pages, char value);
long do_fork(void);
void wait_for(long pid, int exit_status);

/* ---- operations ---- */

void run_faults(void);
void run_calls(void);
void run_forks(void);
void run_areas(void);
void run_large(void); /* needs more than 1 GiB */
void run_scale(int most);
void run_memory(void);

#endif
