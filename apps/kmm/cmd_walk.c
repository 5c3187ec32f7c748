/* SPDX-License-Identifier: MIT */
/*
 * kmm walk: from a virtual address to the byte in memory, one page-table entry at a time. The answer is checked
 * against the simulated processor's own MMU, which decodes the entries by itself.
 */
#include "command.h"
#include "target.h"
#include "views.h"

static const struct own_args args = {
	.parser = options_one_text,
	.args_doc = "ADDRESS",
	.doc = "Translate an address through the page tables, level by level, down to the byte. ADDRESS: a number, or "
	       "a name of 'kmm explain --list'.",
};

struct answer {
	uint64_t va;
	struct kmm_paddr root;
	struct kmm_walk walk;
	bool agrees;          /* the MMU says the same */
	const uint8_t *byte;  /* NULL: no memory there */
};

static void look(struct target *t, const char *text, struct answer *out)
{
	struct address a = target_address(t, text);
	uint64_t pa = 0, page_bytes = 0;
	bool found;

	if (!target_virtual(t, &a, &out->va))
		fail(t->command, EXIT_NO, "%s has no virtual address of its own to start from", text);
	out->root = demo_root(&t->demo, out->va);
	kmm_walk(t->k, out->root, out->va, &out->walk);
	found = softmmu_probe(hosted_mmu(t->m, 0), out->root.v, out->va, &pa, &page_bytes);
	out->agrees = found == out->walk.mapped &&
		      (!found || (pa == out->walk.pa.v && page_bytes == out->walk.leaf_bytes));
	out->byte = out->walk.mapped ? hosted_phys(t->m, out->walk.pa.v) : NULL;
}

static void print(struct target *t, const struct answer *a)
{
	char va[SIZE_TEXT], root[SIZE_TEXT], pa[SIZE_TEXT], page[SIZE_TEXT];

	view_machine(kmm_machine_of(t->k));
	printf("%s through the tables at physical %s\n\n",
	       hex_text(va, a->va, view_digits(kmm_machine_of(t->k)->format)), hex_text(root, a->root.v, 8));
	if (a->walk.nr_steps)
		view_walk(t->k, &a->walk);
	if (!a->walk.mapped)
		printf("\nNot mapped: %s.\n", a->walk.nr_steps ? "the last entry is not present"
							       : "the upper bits do not repeat the top implemented one");
	else
		printf("\nphysical %s = page of %s + offset 0x%llx\n", hex_text(pa, a->walk.pa.v, 8),
		       size_text(page, a->walk.leaf_bytes), (unsigned long long)(a->va & (a->walk.leaf_bytes - 1)));
	if (a->byte)
		printf("the byte there is 0x%02x\n", *a->byte);
	if (!a->agrees)
		printf("%sThe simulated processor disagrees with this translation.%s\n", text_style(TEXT_BAD),
		       text_style(TEXT_PLAIN));
}

static void print_json(struct target *t, const struct answer *a)
{
	json_t *doc = json_document("walk");

	json_object_set_new(doc, "machine", view_machine_json(kmm_machine_of(t->k)));
	json_object_set_new(doc, "address", json_address(a->va));
	json_object_set_new(doc, "root", json_address(a->root.v));
	json_object_set_new(doc, "walk", view_walk_json(&a->walk));
	json_object_set_new(doc, "processor_agrees", json_boolean(a->agrees));
	if (a->byte)
		json_object_set_new(doc, "byte", json_integer(*a->byte));
	json_print(doc);
}

int cmd_walk(int argc, char **argv)
{
	struct one_text a = { .text = NULL };
	struct answer answer;
	struct target t;

	options_parse(&a.o, OPTIONS_MACHINE | OPTIONS_IMAGE, &args, &a, argc, argv);
	if (!a.text)
		fail(a.o.command, EXIT_USAGE, "which address? 'kmm explain --list' shows some");
	target_open(&t, &a.o);
	look(&t, a.text, &answer);
	if (a.o.json)
		print_json(&t, &answer);
	else
		print(&t, &answer);
	target_close(&t);
	options_free(&a.o);
	return answer.walk.mapped && answer.agrees ? EXIT_DONE : EXIT_NO;
}
