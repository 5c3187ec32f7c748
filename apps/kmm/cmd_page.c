/* SPDX-License-Identifier: MIT */
/*
 * kmm page: one frame and its descriptor. The descriptor always has an address; the frame need not.
 */
#include "command.h"
#include "kmm/debug.h"
#include "target.h"
#include "views.h"

static const struct own_args args = {
	.parser = options_one_text,
	.args_doc = "FRAME",
	.doc = "Descriptor of a frame, and everything that maps it. FRAME: pfn:227, pa:0xe3000, or any address or name "
	       "that 'kmm explain' takes, for the frame behind it.",
};

enum { MAX_USERS = 16 };
struct answer {
	struct kmm_page_info info;
	struct kmm_paddr descriptor;      /* where its descriptor lies */
	uint32_t descriptor_bytes;
	bool has_address;
	struct kmm_kva address;           /* linear, or of kmap */
	bool has_holder;
	struct kmm_page_owner holder;
	unsigned nr_users;
	uint64_t user[MAX_USERS];         /* addresses in the demonstration's space */
};

static bool note_user(void *arg, struct kmm_mm *mm, struct kmm_uva addr)
{
	struct answer *a = arg;

	(void)mm;
	if (a->nr_users == MAX_USERS)
		return false;
	a->user[a->nr_users++] = addr.v;
	return true;
}

static void look(struct target *t, const char *text, struct answer *out)
{
	struct address a = target_address(t, text);
	struct kmm_memory_stats stats;
	struct kmm_page *page;
	struct kmm_pfn pfn;
	void *ptr;

	if (!target_frame(t, &a, &pfn))
		fail(t->command, EXIT_NO, "%s is not mapped, so there is no frame behind it", text);
	page = kmm_pfn_to_page(t->k, pfn);
	if (!page)
		fail(t->command, EXIT_NO, "frame 0x%llx has no descriptor: there is no RAM there", (unsigned long long)pfn.v);
	*out = (struct answer){ .nr_users = 0 };
	kmm_page_info(t->k, page, &out->info);
	out->has_holder = kmm_page_owner_of(t->k, pfn, &out->holder);
	kmm_memory_stats(t->k, &stats);
	out->descriptor = kmm_paddr(stats.memmap.v + (uint64_t)pfn.v * stats.page_size_bytes);
	out->descriptor_bytes = stats.page_size_bytes;
	ptr = kmm_page_address(t->k, page);
	out->has_address = ptr != NULL;
	if (ptr)
		out->address = kmm_ptr_to_kva(t->k, ptr);
	kmm_rmap_walk(t->k, page, note_user, out);
}

static void print(struct target *t, const struct answer *a)
{
	const struct kmm_machine *machine = kmm_machine_of(t->k);
	unsigned digits = view_digits(machine->format);
	char text[SIZE_TEXT];

	view_machine(machine);
	printf("\nframe 0x%llx, physical %s\n", (unsigned long long)a->info.pfn.v,
	       hex_text(text, kmm_pfn_to_paddr(a->info.pfn).v, 8));
	printf("  %-14s %s\n", "used as", kmm_kind_name(a->info.kind));
	printf("  %-14s %s\n", "zone", view_zone_name(t->k, a->info.zone));
	if (a->has_holder)
		printf("  %-14s %s\n", a->holder.allocated ? "allocated as" : "was allocated as", a->holder.site);
	printf("  %-14s %s (order %u)\n", "block", size_text(text, (uint64_t)KMM_PAGE_SIZE << a->info.order), a->info.order);
	printf("  %-14s %u\n", "references", a->info.refcount);
	printf("  %-14s %u\n", "user mappings", a->info.mapcount);
	printf("  %-14s %s\n", "dirty", a->info.dirty ? "yes" : "no");
	printf("  %-14s %u bytes at physical %s\n", "descriptor", a->descriptor_bytes, hex_text(text, a->descriptor.v, 8));
	printf("  %-14s %s\n", "address", a->has_address ? hex_text(text, a->address.v, digits)
						       : "none: high memory, and not in the kmap window now");
	for (unsigned i = 0; i < a->nr_users; i++)
		printf("  %-14s %s in the demonstration's space\n", "mapped at", hex_text(text, a->user[i], digits));
}

static void print_json(struct target *t, const struct answer *a)
{
	json_t *doc = json_document("page"), *users = json_array();

	for (unsigned i = 0; i < a->nr_users; i++)
		json_array_append_new(users, json_address(a->user[i]));
	json_object_set_new(doc, "machine", view_machine_json(kmm_machine_of(t->k)));
	json_object_set_new(doc, "page", view_page_json(t->k, &a->info));
	json_object_set_new(doc, "descriptor_at", json_address(a->descriptor.v));
	json_object_set_new(doc, "descriptor_bytes", json_integer(a->descriptor_bytes));
	json_object_set_new(doc, "address", a->has_address ? json_address(a->address.v) : json_null());
	if (a->has_holder)
		json_object_set_new(doc, "allocated_as", json_string(a->holder.site));
	json_object_set_new(doc, "mapped_at", users);
	json_print(doc);
}

int cmd_page(int argc, char **argv)
{
	struct one_text a = { .text = NULL };
	struct answer answer;
	struct target t;

	options_parse(&a.o, OPTIONS_MACHINE | OPTIONS_IMAGE, &args, &a, argc, argv);
	if (!a.text)
		fail(a.o.command, EXIT_USAGE, "which frame? for example pfn:0x100");
	a.o.config.machine.debug = KMM_DEBUG_PAGE_OWNER;
	target_open(&t, &a.o);
	look(&t, a.text, &answer);
	if (a.o.json)
		print_json(&t, &answer);
	else
		print(&t, &answer);
	target_close(&t);
	options_free(&a.o);
	return EXIT_DONE;
}
