/* SPDX-License-Identifier: MIT */
/*
 * Something to look at: on a booted machine, one of each kind of address. A program's space with text, data,
 * heap, stack and a shared file; kernel memory from every allocator; and places where there is nothing.
 *
 * The machine must be in strict mode, so that views of high frames have addresses of the window.
 */
#ifndef KMM_APP_DEMO_H
#define KMM_APP_DEMO_H

#include "hosted.h"
#include "json.h"

struct demo_item {
	const char *name;
	uint64_t va;
	const char *what;
};

enum { DEMO_ITEMS = 32 };

struct demo {
	struct hosted_machine *m;
	struct kmm_mm *mm;
	struct kmm_file program, document; /* empty files of the page cache, but for the letters that fill() writes */
	struct demo_item item[DEMO_ITEMS];
	unsigned nr;
};

/* NULL, or a sentence that says what could not be made. */
const char *demo_build(struct demo *demo, struct hosted_machine *m);
/* Gives back the space; kernel objects go with the machine. */
void demo_free(struct demo *demo);

const struct demo_item *demo_find(const struct demo *demo, const char *name);
void demo_list(const struct demo *demo);
json_t *demo_list_json(const struct demo *demo);

/* Root of the page tables that translate va: the demo's space for its half, else the kernel's. */
struct kmm_paddr demo_root(const struct demo *demo, uint64_t va);

#endif
