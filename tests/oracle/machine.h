/* SPDX-License-Identifier: MIT */
/*
 * Steps carried out in a simulated x86_64 machine: the library, with as much of a system call layer as descriptors need.
 * One machine serves many programs; each gets spaces and files of its own.
 */
#ifndef KMM_TESTS_ORACLE_MACHINE_H
#define KMM_TESTS_ORACLE_MACHINE_H

#include "oracle/look.h"

struct oracle_machine;

/* image: the rows of /proc/self/maps of the native program, whose areas below the heap every space gets too, so that
 * limits and counts mean the same. Exits with a sentence when there is no machine. */
struct oracle_machine *machine_start(uint64_t heap, uint64_t data_bytes, const char *image, uint32_t len);
/* The same with so much memory, where machine_start() takes as much as the host has. */
struct oracle_machine *machine_start_with(uint64_t ram_bytes, uint64_t heap, uint64_t data_bytes, const char *image, uint32_t len);
void machine_stop(struct oracle_machine *om);
/* As hosted_catch_fatal(); after true the machine must be started again, with all that was in it gone. */
bool machine_catch(struct oracle_machine *om, void (*fn)(void *arg), void *arg, const char **what);
void machine_restart(struct oracle_machine *om);

void machine_begin(struct oracle_machine *om);
/* text gets the answer and the look of the actor's space; nothing when the actor does not live. */
void machine_step(struct oracle_machine *om, const struct step *s, struct answer *a, struct text *text);
/* Where that is, for the next step. */
uint64_t machine_address(const struct oracle_machine *om, const struct place *p);
/* Everything is given back; the audit's complaints go to stderr. Returns their number. */
unsigned machine_end(struct oracle_machine *om, bool audit);

#endif
