/* SPDX-License-Identifier: MIT */
/*
 * The machine that explain, walk and page look at: booted in strict mode, with the demonstration on it, and
 * addresses given as numbers, frames or names of the demonstration.
 */
#ifndef KMM_APP_TARGET_H
#define KMM_APP_TARGET_H

#include "demo.h"
#include "options.h"
#include "units.h"

struct target {
	const char *command;
	struct hosted_machine *m;
	struct kmm *k;
	struct demo demo;
};

void target_open(struct target *t, struct options *o);
void target_close(struct target *t);

/* What the user wrote, as a number of some kind; ends the process if it is none. An address that does not fit into this
 * machine's words is refused too. */
struct address target_address(const struct target *t, const char *text);

/* Virtual address for it: itself, or where the direct map shows the physical byte. false: a physical address
 * without one (a high frame, or no RAM). */
bool target_virtual(const struct target *t, const struct address *a, uint64_t *va);

/* Frame number of a physical address or frame; for a virtual one, by walking. false: not mapped. */
bool target_frame(const struct target *t, const struct address *a, struct kmm_pfn *pfn);

#endif
