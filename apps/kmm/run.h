/* SPDX-License-Identifier: MIT */
/*
 * One `kmm run`: what the command line asked for and what was found for it.
 */
#ifndef KMM_APP_RUN_H
#define KMM_APP_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "command.h"
#include "guest.h"
#include "initrd.h"

enum { MAX_STRINGS = 256, PATH_ROOM = 4096 };

struct machine {
	const char *name, *cpu;
	uint64_t least_ram, most_ram;
	bool is_64;
};

struct run {
	const char *machine, *kernel, *report, *disk[GUEST_FILE_DISKS];
	const struct machine *m;
	FILE *report_file;
	const char *policy, *answer, *hibernate, *resume;
	uint64_t memory_max, memory_high; /* bytes; 0: not given */
	uint64_t guard_gap; /* pages */
	uint64_t ram, swap, zswap, seed, kaslr, timeout_s, cpus;
	const char *file[MAX_STRINGS], *env[MAX_STRINGS], *add[MAX_STRINGS];
	unsigned nr_files, nr_env, nr_add, nr_disks;
	bool icount, verbose, has_seed, has_kaslr, ram_given, cpus_given, has_guard_gap;
	unsigned input;             /* of an image: enum guest_input */
	char **program; /* argv of the program; NULL: none given */
	char root[PATH_ROOM];       /* of --root, "": the host's own */
	char kernel_path[PATH_ROOM], busybox_path[PATH_ROOM], home[PATH_ROOM];
	char program_path[PATH_ROOM]; /* of the host */
	char guest_path[PATH_ROOM];   /* the same file in the guest */
	bool by_own_name;             /* the program keeps the name it has on the host, or below root */
};

#define STOP(code, ...) fail("kmm run", code, __VA_ARGS__)

/* find.c: the program (if there is one), the kernel and busybox, checked as far as can be from outside. Ends the process when one is not there. */
void find_all(struct run *r);

/* pack.c: everything that the guest shall find, with_input: our stdin as a file, too. */
void pack_initrd(struct initrd *rd, const struct run *r, bool with_input);

/* cmd_run.c: kmm run with this command line, and more words for the kernel (each after a blank). result is the caller's to free. */
struct guest_result;
int run_program(int argc, char **argv, const char *words, struct guest_result *result);

#endif
