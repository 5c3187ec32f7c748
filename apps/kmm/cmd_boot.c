/* SPDX-License-Identifier: MIT */
/*
 * kmm boot: builds a machine, starts the memory manager on it, and shows what came out: the sum that bounds low
 * memory, the zones, and what the manager itself costs. Ends with an audit of every frame.
 */
#include "command.h"
#include "options.h"
#include "units.h"
#include "views.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct own_args args = {
	.doc = "Boot a simulated machine and show its memory: the sum that bounds low memory, zones, and what the "
	       "manager itself costs.",
};

static uint64_t in_bytes(kmm_word pages)
{
	return (uint64_t)pages << KMM_PAGE_SHIFT;
}

struct boot {
	struct hosted_machine *m;
	struct kmm *k;
	const struct kmm_machine *machine;
	const struct kmm_layout *layout;
	struct kmm_memory_stats stats;
	struct hosted_usage usage;
	kmm_word table_pages;
	struct hosted_text audit;
	unsigned violations;
};

static kmm_word frames_of_kind(struct kmm *k, enum kmm_kind kind)
{
	struct kmm_zone_info info;
	kmm_word nr = 0;

	for (unsigned z = 0; z < KMM_NR_ZONES; z++)
		if (kmm_zone_info(k, (enum kmm_zone_id)z, &info))
			nr += info.kinds[kind];
	return nr;
}

static void look(struct boot *b, struct hosted_machine *m)
{
	b->m = m;
	b->k = hosted_kmm(m);
	b->machine = kmm_machine_of(b->k);
	b->layout = kmm_layout_of(b->k);
	b->table_pages = frames_of_kind(b->k, KMM_KIND_PGTABLE);
	kmm_memory_stats(b->k, &b->stats);
	b->violations = kmm_audit(b->k, hosted_text_init(&b->audit));
	hosted_usage(m, &b->usage);
}

static void print_ram(const struct boot *b)
{
	char ram[SIZE_TEXT], lost[SIZE_TEXT], limit[SIZE_TEXT], low[SIZE_TEXT], high[SIZE_TEXT];
	struct kmm_zone_info highmem;

	printf("RAM: %s", size_text(ram, in_bytes(b->stats.ram_pages)));
	if (b->stats.unreachable_pages)
		printf(", and %s that cannot be addressed because it lies above %s",
		       size_text(lost, in_bytes(b->stats.unreachable_pages)), size_text(limit, b->layout->phys_limit));
	printf("\nLow memory: %s", size_text(low, b->layout->lowmem_end));
	if (!kmm_zone_info(b->k, KMM_ZONE_HIGHMEM, &highmem))
		printf("; there is no HighMem zone on this machine\n");
	else
		printf("; high memory: %s\n", size_text(high, in_bytes(highmem.present)));
}

static void print_map(struct kmm *k)
{
	static const char *const types[] = { "?", "RAM", "reserved", "ACPI", "NVS", "bad" };
	const struct kmm_memrange *map;
	unsigned nr = kmm_memory_map(k, &map), digits = 8;
	char first[SIZE_TEXT], last[SIZE_TEXT], size[SIZE_TEXT];
	struct table t;

	if (nr && (map[nr - 1].start + map[nr - 1].size - 1) >> 32)
		digits = 12;
	table_start(&t, "<first|<last|>size|<type|<what");
	for (unsigned i = 0; i < nr; i++) {
		table_add(&t, "%s", hex_text(first, map[i].start, digits));
		table_add(&t, "%s", hex_text(last, map[i].start + map[i].size - 1, digits));
		table_add(&t, "%s", size_text(size, map[i].size));
		table_add(&t, "%s", types[map[i].type <= KMM_MEM_BAD ? map[i].type : KMM_MEM_RESERVED]);
		table_add(&t, "%s", map[i].name ? map[i].name : "");
	}
	table_print(&t, 2, stdout);
}

static void print_cost(const struct boot *b)
{
	char total[SIZE_TEXT], low[SIZE_TEXT], at[SIZE_TEXT], tables[SIZE_TEXT], state[SIZE_TEXT], host[SIZE_TEXT];
	uint64_t memmap = in_bytes(b->stats.memmap_pages);

	printf("  %-16s %u bytes each, %s or %s of low memory, at physical %s\n", "descriptors", b->stats.page_size_bytes,
	       size_text(total, memmap), percent_text(low, (double)memmap, (double)b->layout->lowmem_end),
	       hex_text(at, b->stats.memmap.v, 8));
	printf("  %-16s %" PRIu64 " of %" PRIu64 " sections of %u MiB have theirs filled in; the others wait for first use\n", "",
	       (uint64_t)b->stats.sections_live, (uint64_t)b->stats.sections, 1u << (KMM_SECTION_SHIFT - 20));
	printf("  %-16s %" PRIu64 " frames, %s\n", "page tables", (uint64_t)b->table_pages,
	       size_text(tables, in_bytes(b->table_pages)));
	printf("  %-16s %s, outside of the machine's RAM\n", "state", size_text(state, b->usage.state_bytes));
	printf("  %-16s %s really used to simulate it\n", "host memory",
	       size_text(host, b->usage.ram_bytes + b->usage.state_bytes));
}

static void print_audit(const struct boot *b)
{
	text_heading("Audit");
	if (!b->violations) {
		printf("  %severy frame is owned exactly once; all counters agree%s\n", text_style(TEXT_GOOD),
		       text_style(TEXT_PLAIN));
		return;
	}
	printf("  %s%u violations%s\n%s", text_style(TEXT_BAD), b->violations, text_style(TEXT_PLAIN), b->audit.text);
}

static void print(const struct boot *b)
{
	struct hosted_file_sink out;

	view_machine(b->machine);
	print_ram(b);
	text_heading("Where low memory ends");
	fflush(stdout);
	kmm_layout_explain(b->machine, b->layout, hosted_file_sink(&out, stdout));
	text_heading("Memory map");
	print_map(b->k);
	text_heading("Zones (pages of 4 KiB)");
	view_zones(b->k);
	text_heading("Watermarks and protection (pages kept from requests that may use a higher zone)");
	view_watermarks(b->k);
	text_heading("What the manager costs");
	print_cost(b);
	print_audit(b);
}

static json_t *map_json(struct kmm *k)
{
	const struct kmm_memrange *map;
	unsigned nr = kmm_memory_map(k, &map);
	json_t *array = json_array();

	for (unsigned i = 0; i < nr; i++)
		json_array_append_new(array, json_pack("{s:o, s:o, s:i, s:s}", "first", json_address(map[i].start), "bytes",
						       json_count(map[i].size), "type", (int)map[i].type, "name",
						       map[i].name ? map[i].name : ""));
	return array;
}

static json_t *cost_json(const struct boot *b)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "descriptor_bytes", (int)b->stats.page_size_bytes,
			 "descriptors_total_bytes", json_count(in_bytes(b->stats.memmap_pages)), "descriptors_at",
			 json_address(b->stats.memmap.v), "sections", json_count(b->stats.sections), "sections_live",
			 json_count(b->stats.sections_live), "table_pages", json_count(b->table_pages), "state_bytes",
			 json_count(b->usage.state_bytes), "host_bytes",
			 json_count(b->usage.ram_bytes + b->usage.state_bytes));
}

static void print_json(const struct boot *b)
{
	json_t *doc = json_document("boot");

	json_object_set_new(doc, "machine", view_machine_json(b->machine));
	json_object_set_new(doc, "ram_bytes", json_count(in_bytes(b->stats.ram_pages)));
	json_object_set_new(doc, "unreachable_bytes", json_count(in_bytes(b->stats.unreachable_pages)));
	json_object_set_new(doc, "memory_map", map_json(b->k));
	json_object_set_new(doc, "layout", view_layout_json(b->machine, b->layout));
	json_object_set_new(doc, "zones", view_zones_json(b->k));
	json_object_set_new(doc, "cost", cost_json(b));
	json_object_set_new(doc, "violations", json_integer(b->violations));
	json_print(doc);
}

int cmd_boot(int argc, char **argv)
{
	struct options o;
	struct boot b;
	unsigned violations;

	options_parse(&o, OPTIONS_MACHINE | OPTIONS_IMAGE | OPTIONS_STRICT, &args, NULL, argc, argv);
	look(&b, options_boot(&o));
	if (o.json)
		print_json(&b);
	else
		print(&b);
	violations = b.violations;
	hosted_text_free(&b.audit);
	hosted_shutdown(b.m);
	options_free(&o);
	return violations ? EXIT_NO : EXIT_DONE;
}
