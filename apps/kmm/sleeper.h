/* SPDX-License-Identifier: MIT */
/* Machines that are hibernated to a file, for `kmm run`. */
#ifndef KMM_APP_SLEEPER_H
#define KMM_APP_SLEEPER_H

#include "guest.h"
#include "run.h"

/* The disk of --hibernate or --resume; sets machine, memory and processors from the image where they were not asked for. */
int sleeper_open(struct run *r);
/* Words for the kernel: what it shall do with the disk, and for --hibernate what a later --resume must know. */
void sleeper_words(const struct run *r, enum guest_input input, char *text, size_t size);
/* How stdin reaches the program that goes on: as when it was started. */
enum guest_input sleeper_input(const struct run *r);

#endif
