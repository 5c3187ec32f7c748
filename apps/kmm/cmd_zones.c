/* SPDX-License-Identifier: MIT */
/*
 * kmm zones: the zones of a freshly booted machine, in numbers of pages.
 */
#include "command.h"
#include "options.h"
#include "views.h"

static const struct own_args args = {
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

int cmd_zones(int argc, char **argv)
{
	struct options o;
	struct hosted_machine *m;

	options_parse(&o, OPTIONS_MACHINE | OPTIONS_IMAGE | OPTIONS_STRICT, &args, NULL, argc, argv);
	m = options_boot(&o);
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
