/* SPDX-License-Identifier: MIT */
/*
 * Table walks and frames as text and JSON.
 */
#include "text.h"
#include "units.h"
#include "views.h"

#include <inttypes.h>
#include <string.h>

static const struct {
	uint32_t bit;
	const char *name;
} flag_names[] = {
	{ KMM_PTE_PRESENT, "present" },   { KMM_PTE_WRITE, "write" },       { KMM_PTE_USER, "user" },
	{ KMM_PTE_EXEC, "exec" },         { KMM_PTE_ACCESSED, "accessed" }, { KMM_PTE_DIRTY, "dirty" },
	{ KMM_PTE_LARGE, "large" },       { KMM_PTE_GLOBAL, "global" },     { KMM_PTE_NOCACHE, "uncached" },
	{ KMM_PTE_WRITETHROUGH, "write-through" },
};
enum { NR_FLAGS = sizeof(flag_names) / sizeof(flag_names[0]) };

const char *view_flags(char buf[FLAGS_TEXT], uint32_t flags)
{
	size_t len = 0;

	buf[0] = '\0';
	if (!(flags & KMM_PTE_PRESENT))
		return strcpy(buf, "not present");
	for (unsigned i = 1; i < NR_FLAGS; i++)
		if (flags & flag_names[i].bit)
			len += (size_t)snprintf(buf + len, FLAGS_TEXT - len, "%s%s", len ? " " : "", flag_names[i].name);
	return buf;
}

/* Intel's names, by level from the last up. The PAE root is a PDPT. */
static const char *level_name(unsigned level)
{
	static const char *const names[] = { "PTE", "PDE", "PDPTE", "PML4E", "PML5E" };

	return names[level];
}

/* "bits 31:22" of the address. */
static void add_bits(struct table *t, const struct kmm_format *f, unsigned level)
{
	const struct kmm_level *l = &f->level[level];

	table_add(t, "%u:%u", l->shift + l->bits - 1, l->shift);
}

void view_walk(struct kmm *k, const struct kmm_walk *walk)
{
	const struct kmm_format *f = kmm_format_get(kmm_machine_of(k)->format);
	char at[SIZE_TEXT], raw[SIZE_TEXT], next[SIZE_TEXT], flags[FLAGS_TEXT];
	struct table t;

	table_start(&t, "<entry|>bits|>index|<at physical|<raw|<leads to|<rights");
	for (unsigned i = 0; i < walk->nr_steps; i++) {
		const struct kmm_walk_step *s = &walk->step[i];
		bool present = s->pte.flags & KMM_PTE_PRESENT;

		table_add(&t, "%s", level_name(s->level));
		add_bits(&t, f, s->level);
		table_add(&t, "%u", s->index);
		table_add(&t, "%s", hex_text(at, s->entry_at.v, 8));
		table_add(&t, "%s", hex_text(raw, s->raw, f->entry_size * 2u));
		table_add(&t, "%s", present ? hex_text(next, kmm_pfn_to_paddr(s->pte.pfn).v, 8) : "-");
		table_add(&t, "%s", view_flags(flags, s->pte.flags));
	}
	table_print(&t, 2, stdout);
}

static json_t *flags_json(uint32_t flags)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < NR_FLAGS; i++)
		if (flags & flag_names[i].bit)
			json_array_append_new(array, json_string(flag_names[i].name));
	return array;
}

json_t *view_walk_json(const struct kmm_walk *walk)
{
	json_t *steps = json_array(), *object;

	for (unsigned i = 0; i < walk->nr_steps; i++) {
		const struct kmm_walk_step *s = &walk->step[i];

		json_array_append_new(steps, json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:o}", "entry", level_name(s->level),
			"level", s->level, "index", s->index, "at", json_address(s->entry_at.v), "raw", json_address(s->raw),
			"leads_to", json_address(kmm_pfn_to_paddr(s->pte.pfn).v), "flags", flags_json(s->pte.flags)));
	}
	object = json_pack("{s:o, s:b}", "steps", steps, "mapped", walk->mapped);
	if (walk->mapped) {
		json_object_set_new(object, "physical", json_address(walk->pa.v));
		json_object_set_new(object, "page_bytes", json_count(walk->leaf_bytes));
	}
	return object;
}

json_t *view_page_json(struct kmm *k, const struct kmm_page_info *info)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:i, s:i, s:i, s:b}", "pfn", json_count(info->pfn.v), "physical",
			 json_address(kmm_pfn_to_paddr(info->pfn).v), "kind", kmm_kind_name(info->kind), "zone",
			 view_zone_name(k, info->zone), "order", (int)info->order, "references", (int)info->refcount,
			 "mappings", (int)info->mapcount, "dirty", info->dirty);
}
