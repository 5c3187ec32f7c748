/* SPDX-License-Identifier: MIT */
/*
 * Parts of answers that more than one command gives: a machine in a line, regions, zones, a walk, a frame.
 * Each as text to stdout and as JSON.
 */
#ifndef KMM_APP_VIEWS_H
#define KMM_APP_VIEWS_H

#include "hosted.h"
#include "json.h"
#include "kmm/observe.h"

/* Digits of an address of this machine: 8 or 16. */
unsigned view_digits(enum kmm_format_id format);

/* "i386-pae: 3-level page tables, ..." */
void view_machine(const struct kmm_machine *machine);
json_t *view_machine_json(const struct kmm_machine *machine);

void view_regions(const struct kmm_machine *machine, const struct kmm_layout *layout);
json_t *view_layout_json(const struct kmm_machine *machine, const struct kmm_layout *layout);
/* Virtual addresses beside physical memory, with what connects them. */
void view_draw(const struct kmm_machine *machine, const struct kmm_layout *layout, uint64_t ram_end);

void view_zones(struct kmm *k);
void view_watermarks(struct kmm *k);
void view_free_blocks(struct kmm *k);
json_t *view_zones_json(struct kmm *k);

/* The levels of a walk in a table; names of an entry's bits. */
void view_walk(struct kmm *k, const struct kmm_walk *walk);
json_t *view_walk_json(const struct kmm_walk *walk);
enum { FLAGS_TEXT = 96 };
const char *view_flags(char buf[FLAGS_TEXT], uint32_t flags);

const char *view_zone_name(struct kmm *k, enum kmm_zone_id zone);
json_t *view_page_json(struct kmm *k, const struct kmm_page_info *info);

#endif
