/* SPDX-License-Identifier: MIT */
/*
 * Builds the demonstration. Pages of the program are touched as the program would, so that they have frames;
 * one page of its heap stays untouched on purpose.
 */
#include "demo.h"

#include "kmm/kmap.h"
#include "kmm/slab.h"
#include "text.h"
#include "units.h"
#include "views.h"

#include <string.h>

enum { PAGE = KMM_PAGE_SIZE };

static void add(struct demo *d, const char *name, uint64_t va, const char *what)
{
	if (d->nr < DEMO_ITEMS && !demo_find(d, name))
		d->item[d->nr++] = (struct demo_item){ name, va, what };
}

static enum kmm_status fill_letters(struct kmm_file *file, uint64_t index, void *to)
{
	(void)file;
	memset(to, 'A' + (int)(index % 26), PAGE);
	return KMM_OK;
}

/* ---- a program's space ---- */

static bool map(struct demo *d, uint64_t at, uint64_t len, unsigned prot, unsigned flags, struct kmm_file *file,
		uint64_t pgoff)
{
	struct kmm_uva out;

	flags |= file ? 0u : KMM_MAP_ANONYMOUS;
	return kmm_mmap(d->mm, kmm_uva(at), len, prot, flags | KMM_MAP_FIXED, file ? &file->backing : NULL, pgoff, &out) ==
	       KMM_OK;
}

static bool touch(struct demo *d, uint64_t va, enum kmm_access access)
{
	char byte = 'z';

	return hosted_access(d->m, d->mm, va, access, &byte, 1).ok;
}

/* Where programs traditionally start, and where this machine's user addresses end. */
static uint64_t program_base(const struct kmm_layout *l)
{
	return l->user_end >> 32 ? 0x400000 : 0x08048000;
}

static bool build_program(struct demo *d, uint64_t base)
{
	struct kmm *k = hosted_kmm(d->m);

	kmm_file_init(&d->program, k, 4 * PAGE, "/bin/demo");
	d->program.fill = fill_letters;
	if (!map(d, base, 2 * PAGE, KMM_PROT_READ | KMM_PROT_EXEC, KMM_MAP_PRIVATE, &d->program, 0) ||
	    !map(d, base + 2 * PAGE, 2 * PAGE, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE, &d->program, 2))
		return false;
	add(d, "text", base + 0x123, "machine code of the program: a page of its file, read-only");
	add(d, "data", base + 2 * PAGE + 0x10, "initialised data: a private page of the file, written to, so a copy");
	add(d, "data-clean", base + 3 * PAGE + 0x10, "the next page of it, only read: still the file's own frame");
	return touch(d, base + 0x123, KMM_EXEC) && touch(d, base + 2 * PAGE + 0x10, KMM_WRITE) &&
	       touch(d, base + 3 * PAGE + 0x10, KMM_READ);
}

static bool build_heap_and_stack(struct demo *d, uint64_t base, uint64_t user_end)
{
	uint64_t heap = base + 0x100000, stack_top = user_end - 0x10000;

	kmm_mm_set_brk(d->mm, kmm_uva(heap));
	if (kmm_brk(d->mm, kmm_uva(heap + 4 * PAGE)).v != heap + 4 * PAGE)
		return false;
	if (kmm_mm_map_stack(d->mm, kmm_uva(stack_top), 32 * PAGE, false))
		return false;
	add(d, "heap", heap + 0x20, "memory of brk, written to");
	add(d, "heap-read", heap + PAGE, "its next page, read but never written: the shared zero page");
	add(d, "heap-new", heap + 2 * PAGE, "reserved by brk and never touched: no frame yet");
	add(d, "stack", stack_top - 0x40, "the stack, which grows down");
	return touch(d, heap + 0x20, KMM_WRITE) && touch(d, heap + PAGE, KMM_READ) && touch(d, stack_top - 0x40, KMM_WRITE);
}

static bool build_shared_file(struct demo *d, uint64_t at)
{
	kmm_file_init(&d->document, hosted_kmm(d->m), 3 * PAGE, "/etc/document");
	d->document.fill = fill_letters;
	if (!map(d, at, 4 * PAGE, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_SHARED, &d->document, 0))
		return false;
	add(d, "file", at + 5, "a shared file mapping, written through: the page cache's frame");
	add(d, "file-end", at + 3 * PAGE, "mapped, but beyond the file's last page: SIGBUS");
	return touch(d, at + 5, KMM_WRITE);
}

static const char *build_space(struct demo *d)
{
	const struct kmm_layout *l = kmm_layout_of(hosted_kmm(d->m));
	uint64_t base = program_base(l);

	if (kmm_mm_create(hosted_kmm(d->m), &d->mm))
		return "no memory for a user space";
	if (!build_program(d, base) || !build_heap_and_stack(d, base, l->user_end) ||
	    !build_shared_file(d, (l->user_end / 2) & ~(uint64_t)(PAGE - 1)))
		return "no memory for the demonstration's program";
	add(d, "null", 0, "the null pointer");
	return NULL;
}

/* ---- kernel memory ---- */

static uint64_t kva(const struct demo *d, const void *ptr)
{
	return kmm_ptr_to_kva(hosted_kmm(d->m), ptr).v;
}

/* Address of a descriptor as the kernel of that machine uses it. */
static uint64_t descriptor_va(const struct demo *d, struct kmm_pfn pfn)
{
	const struct kmm_layout *l = kmm_layout_of(hosted_kmm(d->m));
	struct kmm_memory_stats s;

	kmm_memory_stats(hosted_kmm(d->m), &s);
	if (l->vmemmap_start)
		return l->vmemmap_start + (uint64_t)pfn.v * s.page_size_bytes;
	return l->page_offset + s.memmap.v + (uint64_t)pfn.v * s.page_size_bytes;
}

static bool build_low(struct demo *d)
{
	struct kmm *k = hosted_kmm(d->m);
	void *small = kmm_kmalloc(k, 100, KMM_GFP_KERNEL), *large = kmm_kmalloc(k, 20000, KMM_GFP_KERNEL);
	void *page = kmm_get_free_pages(k, KMM_GFP_KERNEL, 0);

	if (!small || !large || !page)
		return false;
	add(d, "kmalloc", kva(d, small), "an object of 100 bytes from kmalloc: logical at once");
	add(d, "kmalloc-large", kva(d, large), "20000 bytes from kmalloc: whole frames, contiguous");
	add(d, "page", kva(d, page), "a frame by its linear address");
	add(d, "descriptor", descriptor_va(d, kmm_page_to_pfn(k, kmm_virt_to_page(k, page))), "the descriptor of that frame");
	return true;
}

static bool build_vmalloc(struct demo *d)
{
	struct kmm *k = hosted_kmm(d->m);
	char *area = kmm_vmalloc(k, 16 * PAGE, "demo");

	if (!area)
		return false;
	memset(area, 'v', 16 * PAGE);
	add(d, "vmalloc", kva(d, area) + PAGE + 8, "in a vmalloc area of 64 KiB: contiguous here, frames anywhere");
	add(d, "vmalloc-guard", kva(d, area) + 16 * PAGE, "the guard page behind it");
	add(d, "vmalloc-free", kmm_layout_of(k)->vmalloc_end - PAGE, "the end of the vmalloc region, not in use");
	return true;
}

/* Views of a frame that may be high: a kept one and a short one. */
static bool build_views(struct demo *d)
{
	struct kmm *k = hosted_kmm(d->m);
	struct kmm_page *kept = kmm_alloc_cleared_page(k, KMM_GFP_HIGHUSER), *brief = kmm_alloc_cleared_page(k, KMM_GFP_HIGHUSER);
	const char *kmap, *local;

	if (!kept || !brief)
		return false;
	kmap = kmm_kmap(k, kept);
	local = kmm_kmap_local(k, brief);
	if (!kmap || !local)
		return false;
	add(d, "kmap", kva(d, kmap) + 0x100, "a frame for user memory, kept visible by kmap");
	add(d, "kmap-local", kva(d, local) + 0x100, "another, visible to this CPU for a short time");
	return true;
}

static uint64_t first_hole(struct kmm *k)
{
	const struct kmm_memrange *map;
	unsigned nr = kmm_memory_map(k, &map);

	for (unsigned i = 0; i + 1 < nr; i++)
		if (map[i].start + map[i].size < map[i + 1].start)
			return map[i].start + map[i].size;
	return 0;
}

static void add_nothing(struct demo *d)
{
	struct kmm *k = hosted_kmm(d->m);
	const struct kmm_layout *l = kmm_layout_of(k);
	const struct kmm_machine *machine = kmm_machine_of(k);
	uint64_t hole = first_hole(k);

	if (hole && hole < l->lowmem_end)
		add(d, "direct-hole", l->page_offset + hole, "in the direct map's range, where no RAM is");
	if (machine->image_va)
		add(d, "image", machine->image_va + 0x40, "the kernel image at the address it was linked for");
	for (unsigned i = 0; i < l->nr; i++) {
		uint64_t at = l->region[i].start;

		if (l->region[i].id == KMM_REGION_NONCANONICAL)
			add(d, "non-canonical", at, "no address at all: upper bits differ");
		else if (l->region[i].id == KMM_REGION_GUARD && at > l->user_end)
			add(d, "guard", at, "addresses kept empty by the layout");
		else if (l->region[i].id == KMM_REGION_MODULES)
			add(d, "modules", at, "the region for modules; this machine loads none");
	}
	add(d, "top", l->region[l->nr - 1].last, "the last byte of all addresses");
}

const char *demo_build(struct demo *demo, struct hosted_machine *m)
{
	const char *error;

	*demo = (struct demo){ .m = m };
	error = build_space(demo);
	if (error)
		return error;
	if (!build_low(demo) || !build_vmalloc(demo) || !build_views(demo))
		return "no memory for the demonstration's kernel objects";
	add_nothing(demo);
	return NULL;
}

void demo_free(struct demo *demo)
{
	if (!demo->mm)
		return;
	hosted_put_space(demo->m, demo->mm);
	kmm_backing_put(&demo->program.backing);
	kmm_backing_put(&demo->document.backing);
}

const struct demo_item *demo_find(const struct demo *demo, const char *name)
{
	for (unsigned i = 0; i < demo->nr; i++)
		if (strcmp(demo->item[i].name, name) == 0)
			return &demo->item[i];
	return NULL;
}

void demo_list(const struct demo *demo)
{
	unsigned digits = view_digits(kmm_machine_of(hosted_kmm(demo->m))->format);
	char at[SIZE_TEXT];
	struct table t;

	table_start(&t, "<name|<address|<what it is");
	for (unsigned i = 0; i < demo->nr; i++) {
		table_add(&t, "%s", demo->item[i].name);
		table_add(&t, "%s", hex_text(at, demo->item[i].va, digits));
		table_add(&t, "%s", demo->item[i].what);
	}
	table_print(&t, 0, stdout);
}

json_t *demo_list_json(const struct demo *demo)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < demo->nr; i++)
		json_array_append_new(array, json_pack("{s:s, s:o, s:s}", "name", demo->item[i].name, "address",
						       json_address(demo->item[i].va), "what", demo->item[i].what));
	return array;
}

struct kmm_paddr demo_root(const struct demo *demo, uint64_t va)
{
	struct kmm *k = hosted_kmm(demo->m);

	return va < kmm_layout_of(k)->user_end ? kmm_mm_root(demo->mm) : kmm_kernel_root(k);
}
