/* SPDX-License-Identifier: MIT */
/*
 * The bench on which the questions are answered: one simulated machine, its log, captured text, a
 * recorded trace, and memory accesses as a CPU would make them. It is thin on purpose: a test reads as
 * the calls of the library that it makes; only what a dozen tests repeat is here.
 */
#ifndef KMM_TESTS_QUESTION_LAB_H
#define KMM_TESTS_QUESTION_LAB_H

#include "hosted.h"

#include "kmm/kmap.h"
#include "kmm/kmm.h"
#include "kmm/mm.h"
#include "kmm/observe.h"
#include "kmm/page.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)
#define PIB (1ull << 50)
#define PAGE ((uint64_t)KMM_PAGE_SIZE)

/* Text that a report wrote; ends in 0. What does not fit is dropped, and cut says so. */
struct lab_text {
	struct kmm_sink sink; /* first */
	size_t len;
	bool cut;
	char bytes[32768];
};
struct kmm_sink *lab_text_start(struct lab_text *text);
bool lab_text_has(const struct lab_text *text, const char *part);
/* The text has `number` in decimal or hexadecimal, standing alone. */
bool lab_text_has_number(const struct lab_text *text, uint64_t number);

struct lab {
	struct hosted_machine *hosted;
	struct kmm *k;
	struct kmm_memrange map[2];
	struct kmm_machine machine; /* with its defaults filled in */
	struct kmm_layout layout;
};

/* A machine with `ram` bytes of memory in one piece but for the hole of a PC (640 KiB to 1 MiB); 32-bit machines in
 * strict mode, so that a use of memory outside of a window crashes. The second form takes any configuration; one
 * without a map gets the same. */
bool lab_open(struct lab *lab, enum kmm_format_id format, uint64_t ram);
bool lab_open_as(struct lab *lab, const struct hosted_config *config);
void lab_close(struct lab *lab);

/* One byte, as a program in that space touches it: through the MMU, faults handled. */
struct hosted_result lab_read(struct lab *lab, struct kmm_mm *mm, uint64_t va, uint8_t *value);
struct hosted_result lab_write(struct lab *lab, struct kmm_mm *mm, uint64_t va, uint8_t value);
bool lab_can_read(struct lab *lab, struct kmm_mm *mm, uint64_t va);
bool lab_can_write(struct lab *lab, struct kmm_mm *mm, uint64_t va);
/* A byte of physical memory, by no page table at all. */
uint8_t *lab_phys(struct lab *lab, uint64_t pa);

/* ---- memory ---- */
enum kmm_zone_id lab_zone_of(struct lab *lab, struct kmm_page *page);
enum kmm_kind lab_kind_of(struct lab *lab, struct kmm_page *page);
kmm_word lab_free_in(struct lab *lab, enum kmm_zone_id zone);
/* Takes all that gfp can get, the largest blocks first. Returns pages taken. */
kmm_word lab_exhaust(struct lab *lab, kmm_gfp gfp);
/* Takes all of low memory frame by frame and gives every second frame back. */
kmm_word lab_fragment(struct lab *lab);
const struct kmm_region *lab_region(const struct lab *lab, enum kmm_region_id id);
/* Kernel virtual address that a C pointer stands for. */
uint64_t lab_va(struct lab *lab, const void *ptr);
/* Where the machine's kernel sees a descriptor: in vmemmap where there is one, else in the direct map. (C code of the
 * library always uses the direct map.) */
uint64_t lab_descriptor_va(struct lab *lab, const struct kmm_page *page);
/* A new anonymous private mapping with reading and writing, where the machine likes it; 0: failed. */
uint64_t lab_map(struct kmm_mm *mm, uint64_t len);
/* Physical address behind a user address; 0: nothing there. */
uint64_t lab_user_pa(struct lab *lab, struct kmm_mm *mm, uint64_t va);

/* A file whose every byte is its page's index plus one, in the machine's memory; the caller puts its backing. */
struct kmm_file *lab_file(struct lab *lab, uint64_t size, const char *name);

/* ---- layouts of machines that are not built ---- */
bool lab_derive(enum kmm_format_id format, uint64_t ram, struct kmm_layout *layout);
const struct kmm_region *lab_layout_region(const struct kmm_layout *layout, enum kmm_region_id id);

/* ---- trace ---- */
struct lab_trace {
	unsigned nr, lost;
	struct kmm_trace_event event[2048];
};
void lab_trace_start(struct lab *lab, struct lab_trace *trace);
void lab_trace_stop(struct lab *lab);
/* Index of the first event `id` at or after `from`; trace->nr when there is none. */
unsigned lab_trace_find(const struct lab_trace *trace, enum kmm_event id, unsigned from);

#endif
