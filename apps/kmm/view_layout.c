/* SPDX-License-Identifier: MIT */
/*
 * A machine and its virtual addresses as text and JSON.
 */
#include "text.h"
#include "units.h"
#include "views.h"

unsigned view_digits(enum kmm_format_id format)
{
	return format >= KMM_X86_64 ? 16 : 8;
}

void view_machine(const struct kmm_machine *machine)
{
	const struct kmm_format *f = kmm_format_get(machine->format);

	printf("%s%s%s: %u-level page tables with %u-byte entries, %u address bits, %u physical, %s, %u CPU%s\n",
	       text_style(TEXT_HEADING), f->name, text_style(TEXT_PLAIN), f->nr_levels, f->entry_size, f->va_bits,
	       machine->phys_bits, f->has_nx && !machine->no_nx ? "no-execute" : "without no-execute", machine->nr_cpus,
	       machine->nr_cpus == 1 ? "" : "s");
}

json_t *view_machine_json(const struct kmm_machine *machine)
{
	const struct kmm_format *f = kmm_format_get(machine->format);

	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:b, s:i, s:o, s:b}", "format", f->name, "levels", f->nr_levels,
			 "entry_bytes", f->entry_size, "address_bits", f->va_bits, "physical_bits", machine->phys_bits,
			 "no_execute", f->has_nx && !machine->no_nx, "cpus", (int)machine->nr_cpus, "seed",
			 json_count(machine->seed), "randomise", machine->randomise);
}

/* Bytes of a region as a double: the last one may end at 2^64. */
static double bytes_of(const struct kmm_region *r)
{
	return (double)(r->last - r->start) + 1;
}

static double bytes_of_space(enum kmm_format_id format)
{
	return format >= KMM_X86_64 ? 18446744073709551616.0 : 4294967296.0;
}

/* The whole of 2^64 bytes does not fit the number that size_text() takes, but then it is no region either. */
static const char *region_size(char buf[SIZE_TEXT], const struct kmm_region *r)
{
	return size_text(buf, r->last - r->start + 1);
}

void view_regions(const struct kmm_machine *machine, const struct kmm_layout *layout)
{
	unsigned digits = view_digits(machine->format);
	char first[SIZE_TEXT], last[SIZE_TEXT], size[SIZE_TEXT], share[SIZE_TEXT];
	struct table t;

	table_start(&t, "<region|<first|<last|>size|>share");
	for (unsigned i = layout->nr; i--;) {
		const struct kmm_region *r = &layout->region[i];

		table_add(&t, "%s", kmm_region_name(r->id));
		table_add(&t, "%s", hex_text(first, r->start, digits));
		table_add(&t, "%s", hex_text(last, r->last, digits));
		table_add(&t, "%s", region_size(size, r));
		table_add(&t, "%s", percent_text(share, bytes_of(r), bytes_of_space(machine->format)));
	}
	table_print(&t, 2, stdout);
}

static json_t *regions_json(const struct kmm_layout *layout)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < layout->nr; i++) {
		const struct kmm_region *r = &layout->region[i];

		json_array_append_new(array, json_pack("{s:s, s:o, s:o, s:o}", "name", kmm_region_name(r->id), "first",
						       json_address(r->start), "last", json_address(r->last), "bytes",
						       json_count(r->last - r->start + 1)));
	}
	return array;
}

json_t *view_layout_json(const struct kmm_machine *machine, const struct kmm_layout *layout)
{
	struct hosted_text sum;
	json_t *object;

	kmm_layout_explain(machine, layout, hosted_text_init(&sum));
	object = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:s}", "regions", regions_json(layout), "page_offset",
			   json_address(layout->page_offset), "lowmem_limit_bytes", json_count(layout->lowmem_limit),
			   "lowmem_end", json_address(layout->lowmem_end), "user_end", json_address(layout->user_end),
			   "physical_limit", json_address(layout->phys_limit), "kmap_slots", (int)layout->kmap_slots,
			   "kmap_local_slots", (int)layout->kmap_local_slots, "sum", sum.text);
	hosted_text_free(&sum);
	return object;
}
