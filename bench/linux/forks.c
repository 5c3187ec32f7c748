/* SPDX-License-Identifier: MIT */
/* fork, exit and wait with touched memory, and the writes after a fork: a copy, or the last owner's reuse. */
#include "versus.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COW_PAGES = 4096, CHILD_FINE = 17, CHILD_BAD = 18 };

/* In a child: it has all the memory of its parent without touching it first, and /proc says so. */
__attribute__((noreturn)) static void inspect(const char *p, long nr_pages, char first)
{
	long kib = nr_pages * KIB_PER_PAGE, faults = faults_so_far(), read_faults;
	struct usage u;
	int fine;

	fine = filled(p, nr_pages, first);
	read_faults = faults_so_far() - faults;
	take_usage(p, &u);
	fine &= u.rss >= kib && u.anon == u.rss && u.dirty == u.rss;
	if (!fine)
		say("check:\tFAILED\tfork: in the child Rss %ld, Anonymous %ld, dirty %ld of %ld KiB, contents %s\n", u.rss,
		    u.anon, u.dirty, kib, filled(p, nr_pages, first) ? "right" : "wrong");
	if (read_faults > nr_pages / 8 + 16)
		say("note:\tfork: reading %ld pages in the child took %ld faults\n", nr_pages, read_faults);
	syscall(SYS_exit_group, fine ? CHILD_FINE : CHILD_BAD);
	__builtin_unreachable();
}

static void fork_and_wait(const char *name, long nr_pages, int times)
{
	char *p = map((size_t)nr_pages * PAGE);
	struct account before;
	long pid;

	write_all(p, nr_pages, 8);
	take_account(&before);
	reset();
	for (int i = 0; i < times; i++) {
		uint64_t t = ticks();

		pid = do_fork();
		if (pid == 0)
			syscall(SYS_exit_group, 3);
		wait_for(pid, 3);
		add(ticks() - t);
	}
	print(name);
	check_anon(name, &before, 0);
	pid = do_fork();
	if (pid == 0)
		inspect(p, nr_pages, 8);
	wait_for(pid, CHILD_FINE);
	check(filled(p, nr_pages, 8), "%s: the parent's memory has changed", name);
	unmap(p, (size_t)nr_pages * PAGE);
}

/* Includes what a fork that only promises leaves for later: the child reads all, and writes an eighth. */
static void fork_and_use(const char *name, long nr_pages, int times)
{
	char *p = map((size_t)nr_pages * PAGE);
	struct account before;

	write_all(p, nr_pages, 9);
	take_account(&before);
	reset();
	for (int i = 0; i < times; i++) {
		uint64_t t = ticks();
		long pid = do_fork();

		if (pid == 0) {
			for (long at = 0; at < nr_pages; at++)
				(void)((volatile char *)p)[at * PAGE];
			for (long at = 0; at < nr_pages; at += 8)
				((volatile char *)p)[at * PAGE] = 10;
			syscall(SYS_exit_group, 3);
		}
		wait_for(pid, 3);
		add(ticks() - t);
	}
	print(name);
	check_anon(name, &before, 0);
	check(filled(p, nr_pages, 9), "%s: the child has written into its parent's memory", name);
	unmap(p, (size_t)nr_pages * PAGE);
}

__attribute__((noreturn)) static void copy_in_child(char *p, const struct account *before)
{
	long faults = faults_so_far();
	uint64_t t = ticks();

	write_all(p, COW_PAGES, 12);
	t = ticks() - t;
	faults = faults_so_far() - faults;
	reset();
	add(t);
	print_per("cow-copy", COW_PAGES);
	check_pages("copies", p, COW_PAGES, 12, faults);
	check_anon("copies", before, COW_PAGES);
	syscall(SYS_exit_group, end_of_checks() ? CHILD_BAD : CHILD_FINE);
	__builtin_unreachable();
}

static void copy_on_write(void)
{
	char *p = map((size_t)COW_PAGES * PAGE);
	struct account before;
	long pid, faults;

	write_all(p, COW_PAGES, 11);
	take_account(&before);
	pid = do_fork();
	if (pid == 0)
		copy_in_child(p, &before);
	wait_for(pid, CHILD_FINE);
	check(filled(p, COW_PAGES, 11), "copies: the parent's memory has changed");
	faults = faults_so_far();
	uint64_t t = ticks();
	write_all(p, COW_PAGES, 13);
	t = ticks() - t;
	faults = faults_so_far() - faults;
	reset();
	add(t);
	print_per("cow-reuse", COW_PAGES);
	check_pages("reuse", p, COW_PAGES, 13, faults);
	check_anon("reuse", &before, 0);
	unmap(p, (size_t)COW_PAGES * PAGE);
}

void run_forks(void)
{
	copy_on_write();
	fork_and_wait("fork+exit+wait-1p", 1, 20);
	fork_and_wait("fork+exit+wait-1000p", 1000, 10);
	fork_and_use("fork+use+exit+wait-1000p", 1000, 10);
	fork_and_wait("fork+exit+wait-25000p", 25000, 3);
}
