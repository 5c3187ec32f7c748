/* SPDX-License-Identifier: MIT */
/*
 * kmm zones: the zones of a freshly booted machine, in numbers of pages; and again when memory was added to it.
 */
#include "command.h"
#include "options.h"
#include "kmm/node.h"
#include "units.h"
#include "views.h"

#define SECTION_BYTES (UINT64_C(1) << KMM_SECTION_SHIFT)

enum { OPT_HOT_ADD = 'a' };

static const struct argp_option own_options[] = {
	{ "hot-add", OPT_HOT_ADD, "SIZE", 0, "then add so much memory, on a node of its own, and show the zones again", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key != OPT_HOT_ADD)
		return ARGP_ERR_UNKNOWN;
	if (!parse_size(arg, &o->hot_bytes) || !o->hot_bytes || o->hot_bytes % SECTION_BYTES)
		fail(o->command, EXIT_USAGE, "--hot-add %s: memory comes in sections of 128M", arg);
	return 0;
}

static const struct own_args args = {
	.options = own_options,
	.parser = parse,
	.doc = "Zones of a booted machine: what they span and hold, watermarks, free blocks by size.",
};

static void print(struct kmm *k)
{
	view_machine(kmm_machine_of(k));
	text_heading("Zones (pages of 4 KiB)");
	view_zones(k);
	text_heading("Watermarks and protection (pages kept from requests that may use a higher zone)");
	view_watermarks(k);
	text_heading("Free blocks by size");
	view_free_blocks(k);
}

/* The range made for it is the last one. */
static void hot_add(const struct options *o, struct kmm *k)
{
	const struct kmm_node_range *range = &o->node_map[o->config.machine.nr_node_map - 1];
	const struct kmm_hot_memory memory = { kmm_paddr(range->start), o->hot_bytes, range->node, KMM_HOT_DEFAULT, false };
	enum kmm_status status = kmm_hot_add(k, &memory);

	if (status)
		fail(o->command, EXIT_INPUT, "the memory cannot be added: %s", kmm_status_name(status));
}

int cmd_zones(int argc, char **argv)
{
	struct options o;
	struct hosted_machine *m;

	options_parse(&o, OPTIONS_MACHINE | OPTIONS_IMAGE | OPTIONS_STRICT, &args, &o, argc, argv);
	m = options_boot(&o);
	if (o.hot_bytes && !o.json)
		print(hosted_kmm(m));
	if (o.hot_bytes)
		hot_add(&o, hosted_kmm(m));
	if (o.hot_bytes && !o.json)
		text_heading("After memory was added");
	if (o.json) {
		json_t *doc = json_document("zones");

		json_object_set_new(doc, "machine", view_machine_json(kmm_machine_of(hosted_kmm(m))));
		json_object_set_new(doc, "zones", view_zones_json(hosted_kmm(m)));
		json_print(doc);
	} else {
		print(hosted_kmm(m));
	}
	hosted_shutdown(m);
	options_free(&o);
	return EXIT_DONE;
}
