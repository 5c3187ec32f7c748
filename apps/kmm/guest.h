/* SPDX-License-Identifier: MIT */
/*
 * One QEMU, from start to end: the arguments, its four channels, and a clock that ends it.
 *
 *   COM1            the program's bytes, both ways      <-> our stdin and stdout
 *   COM2            exit status, then the report        --> guest_result.report
 *   debug console   the kernel's log                    --> guest_result.log, stderr with verbose
 *   QEMU's stderr                                       --> guest_result.complaint
 */
#ifndef KMM_APP_GUEST_H
#define KMM_APP_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum guest_input { GUEST_INPUT_NONE, GUEST_INPUT_STREAM /* bytes with an end mark */, GUEST_INPUT_TERMINAL };

enum { GUEST_FILE_DISKS = 2 /* over files of the user's */ };
enum { GUEST_QUIT_KEY = 0x1d /* ^], as in telnet: on a terminal all other keys belong to the program */ };

struct guest {
	const char *kernel, *append;
	const char *cpu; /* QEMU's name of a processor */
	uint64_t ram_bytes;
	unsigned cpus;
	int initrd_fd;
	int disk_fd[1 + GUEST_FILE_DISKS]; /* files behind virtio disks, the first for swap; -1: none */
	enum guest_input input;
	bool icount, verbose;
	unsigned timeout_s; /* 0: none */
};

struct buffer {
	char *data; /* zero-terminated when used > 0, may be NULL otherwise */
	size_t used, room;
};

struct guest_result {
	struct buffer log, report, complaint;
	bool timed_out, output_gone;
	bool quit;        /* the user pressed GUEST_QUIT_KEY */
	bool exec_failed; /* there is no QEMU */
	int status;       /* of waitpid() */
};

void guest_run(const struct guest *g, struct guest_result *out);
void guest_result_free(struct guest_result *r);

#endif
