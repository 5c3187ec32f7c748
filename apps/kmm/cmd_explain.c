/* SPDX-License-Identifier: MIT */
/*
 * kmm explain: what is this address? Logical or virtual, whose, which frame, and how that is known.
 */
#include "command.h"
#include "target.h"
#include "views.h"

#include <stdlib.h>

enum { OPT_LIST = 512, OPT_ALL, MAX_ADDRESSES = 64 };

struct explain_args {
	struct options o;
	bool list, all;
	unsigned nr;
	const char *text[MAX_ADDRESSES];
};

static const struct argp_option own_options[] = {
	{ "list", OPT_LIST, NULL, 0, "addresses of the demonstration", 0 },
	{ "all", OPT_ALL, NULL, 0, "explain each of them", 0 },
	{ 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct explain_args *a = state->input;

	switch (key) {
	case OPT_LIST: a->list = true; return 0;
	case OPT_ALL: a->all = true; return 0;
	case ARGP_KEY_ARG:
		if (a->nr == MAX_ADDRESSES)
			fail(a->o.command, EXIT_USAGE, "more than %d addresses at once", MAX_ADDRESSES);
		a->text[a->nr++] = arg;
		return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static const struct own_args args = {
	.options = own_options,
	.parser = parse,
	.args_doc = "ADDRESS...",
	.doc = "Say what an address is, with the proof. On the machine runs a demonstration: a program's space and one "
	       "of each kind of kernel memory. ADDRESS: 0xc0001000, pfn:N, pa:0x1000, or a name of --list.",
};

/* ---- text ---- */

/* A physical address that no kernel address leads to. */
static void print_unmapped_frame(struct target *t, const char *text, uint64_t pa)
{
	struct kmm_page_info info;
	struct kmm_page *page;

	printf("%s: physical 0x%llx\n", text, (unsigned long long)pa);
	if (!kmm_pfn_is_ram(t->k, kmm_paddr_to_pfn(kmm_paddr(pa)))) {
		printf("  There is no RAM at this physical address.\n");
		return;
	}
	printf("  A frame of high memory: it has no permanent kernel address, kmap or a mapping must show it.\n");
	page = kmm_pfn_to_page(t->k, kmm_paddr_to_pfn(kmm_paddr(pa)));
	if (!page)
		return;
	kmm_page_info(t->k, page, &info);
	printf("  page      zone %s, %s, %u references, %u user mappings\n", view_zone_name(t->k, info.zone),
	       kmm_kind_name(info.kind), info.refcount, info.mapcount);
}

static void print_one(struct target *t, const char *text)
{
	struct address a = target_address(t, text);
	struct hosted_file_sink out;
	uint64_t va;

	if (!target_virtual(t, &a, &va)) {
		print_unmapped_frame(t, text, a.kind == ADDRESS_FRAME ? a.value << KMM_PAGE_SHIFT : a.value);
		return;
	}
	kmm_explain_print(t->k, t->demo.mm, va, hosted_file_sink(&out, stdout));
}

static void print_all(struct target *t)
{
	for (unsigned i = 0; i < t->demo.nr; i++) {
		printf("%s%s%s: %s\n", text_style(TEXT_HEADING), t->demo.item[i].name, text_style(TEXT_PLAIN),
		       t->demo.item[i].what);
		print_one(t, t->demo.item[i].name);
		printf("\n");
	}
}

/* ---- JSON ---- */

static void add_optional(struct target *t, json_t *object, const struct kmm_explain *e)
{
	if (e->has_frame)
		json_object_set_new(object, "physical", json_address(e->walk.pa.v));
	if (e->has_page)
		json_object_set_new(object, "page", view_page_json(t->k, &e->page));
	if (e->has_linear)
		json_object_set_new(object, "linear", json_address(e->linear.v));
	if (e->has_vma)
		json_object_set_new(object, "vma", json_pack("{s:o, s:o, s:s}", "start", json_address(e->vma.start.v), "end",
							     json_address(e->vma.end.v), "name", e->vma.name));
	if (e->has_area)
		json_object_set_new(object, "area", json_pack("{s:o, s:o, s:s}", "start", json_address(e->area.start.v),
			"bytes", json_count(e->area.size_bytes), "caller", e->area.caller ? e->area.caller : ""));
}

static json_t *one_json(struct target *t, const char *text)
{
	struct address a = target_address(t, text);
	struct kmm_explain e;
	json_t *object;
	uint64_t va;

	if (!target_virtual(t, &a, &va))
		return json_pack("{s:s, s:s, s:b}", "asked", text, "class",
				 kmm_pfn_is_ram(t->k, kmm_pfn(a.kind == ADDRESS_FRAME ? a.value : a.value >> KMM_PAGE_SHIFT)) ?
				 "high frame without an address" : "no RAM", "logical", 0);
	kmm_explain(t->k, t->demo.mm, va, &e);
	object = json_pack("{s:s, s:o, s:s, s:s, s:s, s:b, s:s, s:o}", "asked", text, "address", json_address(va), "class",
			   kmm_address_class_name(e.class_), "sentence", e.sentence, "region", kmm_region_name(e.region->id),
			   "logical", e.logical, "owner", e.owner ? e.owner : "", "walk", view_walk_json(&e.walk));
	add_optional(t, object, &e);
	return object;
}

static void print_json(struct target *t, const struct explain_args *a)
{
	json_t *doc = json_document("explain"), *answers = json_array();

	json_object_set_new(doc, "machine", view_machine_json(kmm_machine_of(t->k)));
	if (a->list)
		json_object_set_new(doc, "demonstration", demo_list_json(&t->demo));
	for (unsigned i = 0; i < a->nr; i++)
		json_array_append_new(answers, one_json(t, a->text[i]));
	for (unsigned i = 0; i < t->demo.nr && a->all; i++)
		json_array_append_new(answers, one_json(t, t->demo.item[i].name));
	json_object_set_new(doc, "answers", answers);
	json_print(doc);
}

static void print(struct target *t, const struct explain_args *a)
{
	if (a->list)
		demo_list(&t->demo);
	for (unsigned i = 0; i < a->nr; i++) {
		if (i || a->list)
			printf("\n");
		print_one(t, a->text[i]);
	}
	if (a->all)
		print_all(t);
}

int cmd_explain(int argc, char **argv)
{
	struct explain_args a = { .nr = 0 };
	struct target t;

	options_parse(&a.o, OPTIONS_MACHINE | OPTIONS_IMAGE, &args, &a, argc, argv);
	if (!a.nr && !a.list && !a.all)
		fail(a.o.command, EXIT_USAGE, "which address? 'kmm explain --list' shows some");
	a.o.config.machine.debug = KMM_DEBUG_PAGE_OWNER;
	target_open(&t, &a.o);
	if (a.o.json)
		print_json(&t, &a);
	else
		print(&t, &a);
	target_close(&t);
	options_free(&a.o);
	return EXIT_DONE;
}
