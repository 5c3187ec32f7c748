/* SPDX-License-Identifier: MIT */
/*
 * kmm layout: the virtual addresses of a machine. Nothing is booted: a layout is arithmetic.
 */
#include "command.h"
#include "options.h"
#include "units.h"
#include "views.h"

#include <inttypes.h>
#include <string.h>

enum { OPT_DRAW = 512, OPT_TABLE };

struct layout_args {
	struct options o;
	bool draw, table;
};

static const struct argp_option own_options[] = {
	{ "draw", OPT_DRAW, NULL, 0, "a picture: addresses beside RAM", 0 },
	{ "table", OPT_TABLE, "mem_map", 0, "cost of page descriptors by RAM size", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct layout_args *a = state->input;

	if (key == OPT_DRAW) {
		a->draw = true;
		return 0;
	}
	if (key != OPT_TABLE)
		return ARGP_ERR_UNKNOWN;
	if (strcmp(arg, "mem_map") != 0)
		fail(a->o.command, EXIT_USAGE, "unknown table '%s'; there is mem_map", arg);
	a->table = true;
	return 0;
}

static const struct own_args args = {
	.options = own_options,
	.parser = parse,
	.doc = "Virtual addresses of a machine: the sum that bounds low memory, and every region.",
};

static uint64_t derive(const struct options *o, uint64_t ram_end, struct kmm_layout *layout)
{
	const char *why = "";

	if (kmm_layout_derive(&o->config.machine, ram_end, layout, &why))
		fail(o->command, EXIT_INPUT, "%s", why);
	return layout->lowmem_end;
}

/* ---- the table of descriptors ---- */

/* Other kernels' descriptors for comparison: the textbook's, Linux 6.1's on i386 and on x86-64. */
static const unsigned sizes[] = { 32, 40, 64 };
enum { NR_SIZES = 3, MAX_GIB = 64 };

/* Rows: 1, 2, 4 ... 64 GiB, as far as the machine can address. */
static bool has_row(const struct options *o, unsigned gib)
{
	return gib <= MAX_GIB && (uint64_t)gib << 30 <= UINT64_C(1) << o->config.machine.phys_bits;
}

static void print_table(const struct options *o)
{
	char text[SIZE_TEXT];
	struct kmm_layout layout;
	struct table t;
	char spec[160];

	snprintf(spec, sizeof(spec), ">RAM|>frames|>32 bytes|>40 bytes|>64 bytes|>kmm: %u bytes|>low memory|>share of it|>share at 40 bytes",
		 (unsigned)kmm_layout_memmap_bytes(o->config.machine.format, 1));
	table_start(&t, spec);
	for (unsigned gib = 1; has_row(o, gib); gib *= 2) {
		uint64_t ram = (uint64_t)gib << 30, frames = ram / KMM_PAGE_SIZE;
		uint64_t ours = kmm_layout_memmap_bytes(o->config.machine.format, frames);
		double low = (double)derive(o, ram, &layout);

		table_add(&t, "%u GiB", gib);
		table_add(&t, "%" PRIu64, frames);
		for (unsigned i = 0; i < NR_SIZES; i++)
			table_add(&t, "%s", size_text(text, frames * sizes[i]));
		table_add(&t, "%s", size_text(text, ours));
		table_add(&t, "%s", size_text(text, layout.lowmem_end));
		table_add(&t, "%s", percent_text(text, (double)ours, low));
		table_add(&t, "%s", percent_text(text, (double)frames * 40, low));
	}
	text_heading("Bytes of page descriptors by RAM (frames of 4 KiB, no holes)");
	table_print(&t, 2, stdout);
}

static json_t *table_json(const struct options *o)
{
	json_t *array = json_array();
	struct kmm_layout layout;

	for (unsigned gib = 1; has_row(o, gib); gib *= 2) {
		uint64_t ram = (uint64_t)gib << 30, frames = ram / KMM_PAGE_SIZE;

		derive(o, ram, &layout);
		json_array_append_new(array, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ram_bytes", json_count(ram),
			"frames", json_count(frames), "at_32_bytes", json_count(frames * 32), "at_40_bytes",
			json_count(frames * 40), "at_64_bytes", json_count(frames * 64), "kmm_bytes",
			json_count(kmm_layout_memmap_bytes(o->config.machine.format, frames)), "lowmem_bytes",
			json_count(layout.lowmem_end)));
	}
	return array;
}

/* ---- the command ---- */

static void print(const struct layout_args *a, const struct kmm_layout *layout, uint64_t ram_end, uint64_t unreachable)
{
	const struct kmm_machine *machine = &a->o.config.machine;
	struct hosted_file_sink out;
	char lost[SIZE_TEXT];

	view_machine(machine);
	if (unreachable)
		printf("%s of the RAM cannot be addressed.\n", size_text(lost, unreachable));
	text_heading("Where low memory ends");
	fflush(stdout);
	kmm_layout_explain(machine, layout, hosted_file_sink(&out, stdout));
	text_heading("Regions, highest first");
	view_regions(machine, layout);
	if (a->draw) {
		text_heading("Picture");
		view_draw(machine, layout, ram_end);
	}
	if (a->table)
		print_table(&a->o);
}

static void print_json(const struct layout_args *a, const struct kmm_layout *layout, uint64_t ram_end,
		       uint64_t unreachable)
{
	json_t *doc = json_document("layout");

	if (a->draw)
		fail(a->o.command, EXIT_USAGE, "--draw is for people; with --json the regions are in the answer");
	json_object_set_new(doc, "machine", view_machine_json(&a->o.config.machine));
	json_object_set_new(doc, "ram_end", json_address(ram_end));
	json_object_set_new(doc, "unreachable_bytes", json_count(unreachable));
	json_object_set_new(doc, "layout", view_layout_json(&a->o.config.machine, layout));
	if (a->table)
		json_object_set_new(doc, "mem_map", table_json(&a->o));
	json_print(doc);
}

int cmd_layout(int argc, char **argv)
{
	struct layout_args a = { .draw = false };
	struct kmm_layout layout;
	uint64_t unreachable, ram_end;

	options_parse(&a.o, OPTIONS_MACHINE, &args, &a, argc, argv);
	ram_end = options_ram_end(&a.o, &unreachable);
	if (!ram_end)
		fail(a.o.command, EXIT_INPUT, "the memory map has no RAM that this machine can address");
	derive(&a.o, ram_end, &layout);
	if (a.o.json)
		print_json(&a, &layout, ram_end, unreachable);
	else
		print(&a, &layout, ram_end, unreachable);
	options_free(&a.o);
	return EXIT_DONE;
}
