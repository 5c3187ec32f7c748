/* SPDX-License-Identifier: MIT */
/*
 * What is this address? Classifies any 64-bit number on a machine and gives the proof.
 *
 * The rule "inside the direct map, hence logical" is necessary, not sufficient: the frame must exist
 * (a hole of the memory map has an address there too), and other regions (the kernel image's window, vmemmap,
 * fixmap) show frames at addresses of their own. So the region comes from the layout, existence from the
 * memory map, and the frame from walking the page tables that the machine's CPU would walk.
 *
 * Nothing is changed, except that asking for the descriptor of a frame materialises its section.
 */
#include "observe/observe.h"

#include "kva/kva.h"
#include "phys/alloc.h"
#include "slab/slab.h"
#include "vm/backing.h"

static const char *const class_names[KMM_NR_ADDRESS_CLASSES] = {
	[KMM_ADDR_NONCANONICAL] = "non-canonical",
	[KMM_ADDR_USER_UNMAPPED] = "user, unmapped",
	[KMM_ADDR_USER] = "user",
	[KMM_ADDR_DIRECT] = "direct map",
	[KMM_ADDR_DIRECT_HOLE] = "direct map, hole",
	[KMM_ADDR_VMALLOC] = "vmalloc",
	[KMM_ADDR_VMALLOC_GUARD] = "vmalloc, guard page",
	[KMM_ADDR_VMALLOC_FREE] = "vmalloc, free",
	[KMM_ADDR_VMEMMAP] = "page descriptors",
	[KMM_ADDR_VMEMMAP_HOLE] = "page descriptors, hole",
	[KMM_ADDR_KMAP] = "kmap window",
	[KMM_ADDR_FIXMAP] = "fixmap",
	[KMM_ADDR_IMAGE] = "kernel image",
	[KMM_ADDR_MODULES] = "modules",
	[KMM_ADDR_GUARD] = "guard",
	[KMM_ADDR_UNUSED_WINDOW] = "window, unused",
	[KMM_ADDR_HOLE] = "hole",
};

static const char *const sentences[KMM_NR_ADDRESS_CLASSES] = {
	[KMM_ADDR_NONCANONICAL] =
		"Not an address: the upper bits do not repeat the top implemented one; an access is a general protection fault.",
	[KMM_ADDR_USER_UNMAPPED] = "A user address with no mapping behind it in this space.",
	[KMM_ADDR_USER] = "A user virtual address: only this space's page tables give it a meaning.",
	[KMM_ADDR_DIRECT] = "A logical (linear) address: virtual = physical + page offset, valid in every space.",
	[KMM_ADDR_DIRECT_HOLE] = "Inside the direct map's range, but there is no RAM at that physical address.",
	[KMM_ADDR_VMALLOC] = "A kernel virtual address: contiguous here, its frames need not be; only the page tables know them.",
	[KMM_ADDR_VMALLOC_GUARD] = "The unmapped page behind a vmalloc area: an overrun faults here.",
	[KMM_ADDR_VMALLOC_FREE] = "In the vmalloc region, with no area.",
	[KMM_ADDR_VMEMMAP] = "In the array of page descriptors: virtually mapped, neither direct map nor vmalloc.",
	[KMM_ADDR_VMEMMAP_HOLE] = "In the descriptors' region, for frames that do not exist.",
	[KMM_ADDR_KMAP] = "A slot of the kmap window: a view of a high frame that may be kept.",
	[KMM_ADDR_FIXMAP] = "A fixmap slot: the short per-CPU views of kmap_local live here.",
	[KMM_ADDR_IMAGE] = "The kernel's own image: a second linear view of the frames that hold it.",
	[KMM_ADDR_MODULES] = "The modules region.",
	[KMM_ADDR_GUARD] = "Between two regions, never mapped: an overrun of the lower one faults here.",
	[KMM_ADDR_UNUSED_WINDOW] = "A window that a Linux kernel of this description fills and kmm leaves empty.",
	[KMM_ADDR_HOLE] = "No region of this machine's layout.",
};

const char *kmm_address_class_name(enum kmm_address_class class_)
{
	return (unsigned)class_ < KMM_NR_ADDRESS_CLASSES ? class_names[class_] : "unknown";
}

static void classify_user(struct kmm_mm *mm, uint64_t va, struct kmm_explain *out)
{
	struct kmm_vma_info vma;

	out->class_ = KMM_ADDR_USER_UNMAPPED;
	if (!mm || !kmm_vma_find(mm, kmm_uva((kmm_word)va), &vma) || va < vma.start.v)
		return;
	out->class_ = KMM_ADDR_USER;
	out->has_vma = true;
	out->vma = vma;
	out->owner = vma.name;
}

static void classify_direct(struct kmm *k, uint64_t va, struct kmm_explain *out)
{
	struct kmm_paddr pa = kmm_paddr(va - k->layout.page_offset);

	out->logical = kmm_pfn_is_ram(k, kmm_paddr_to_pfn(pa));
	out->class_ = out->logical ? KMM_ADDR_DIRECT : KMM_ADDR_DIRECT_HOLE;
}

static void classify_vmalloc(struct kmm *k, uint64_t va, struct kmm_explain *out)
{
	out->class_ = KMM_ADDR_VMALLOC_FREE;
	out->has_area = k->kva && kmm_vmalloc_find(k, kmm_kva((kmm_word)va), &out->area);
	if (!out->has_area)
		return;
	out->owner = out->area.caller ? out->area.caller : "";
	out->class_ = va - out->area.start.v < out->area.size_bytes - k->layout.vmalloc_guard_bytes
			      ? KMM_ADDR_VMALLOC
			      : KMM_ADDR_VMALLOC_GUARD;
}

static enum kmm_address_class class_of_region(enum kmm_region_id id, bool mapped)
{
	switch (id) {
	case KMM_REGION_NONCANONICAL:
		return KMM_ADDR_NONCANONICAL;
	case KMM_REGION_VMEMMAP:
		return mapped ? KMM_ADDR_VMEMMAP : KMM_ADDR_VMEMMAP_HOLE;
	case KMM_REGION_KMAP:
		return KMM_ADDR_KMAP;
	case KMM_REGION_FIXMAP:
		return KMM_ADDR_FIXMAP;
	case KMM_REGION_IMAGE:
		return KMM_ADDR_IMAGE;
	case KMM_REGION_MODULES:
		return KMM_ADDR_MODULES;
	case KMM_REGION_GUARD:
		return KMM_ADDR_GUARD;
	case KMM_REGION_LDT:
	case KMM_REGION_CPU_ENTRY:
		return KMM_ADDR_UNUSED_WINDOW;
	default:
		return KMM_ADDR_HOLE;
	}
}

static const char *owner_of_page(struct kmm *k, struct kmm_page *page)
{
	struct kmm_mapping *mapping;

	switch (kmm_page_kind(page)) {
	case KMM_KIND_SLAB:
		return kmm_slab_owner(k, page);
	case KMM_KIND_FILE:
		mapping = kmm_page_owner(k, page);
		return mapping ? mapping->backing->ops->name(mapping->backing) : "";
	case KMM_KIND_PGTABLE:
		return kmm_page_owner(k, page) ? "a user space" : "the kernel";
	default:
		return "";
	}
}

static void find_frame(struct kmm *k, struct kmm_explain *out)
{
	struct kmm_page *page;

	if (!out->walk.mapped)
		return;
	out->has_frame = true;
	page = kmm_pfn_to_page(k, kmm_paddr_to_pfn(out->walk.pa));
	if (!page)
		return;
	out->has_page = true;
	kmm_page_info(k, page, &out->page);
	out->has_holder = kmm_page_owner_of(k, out->page.pfn, &out->holder);
	if (out->walk.pa.v < k->layout.lowmem_end && kmm_pfn_is_ram(k, out->page.pfn)) {
		out->has_linear = true;
		out->linear = kmm_kva((kmm_word)(out->walk.pa.v + k->layout.page_offset));
	}
	if (!out->owner[0])
		out->owner = owner_of_page(k, page);
}

void kmm_explain(struct kmm *k, struct kmm_mm *mm, uint64_t va, struct kmm_explain *out)
{
	const struct kmm_region *region = kmm_layout_find(&k->layout, va);
	bool user = region->id == KMM_REGION_USER;

	*out = (struct kmm_explain){ .va = va, .region = region, .owner = "" };
	if (region->id != KMM_REGION_NONCANONICAL && k->pt && (!user || mm))
		kmm_walk(k, user ? kmm_mm_root(mm) : kmm_kernel_root(k), (kmm_word)va, &out->walk);
	if (user)
		classify_user(mm, va, out);
	else if (region->id == KMM_REGION_DIRECT)
		classify_direct(k, va, out);
	else if (region->id == KMM_REGION_VMALLOC)
		classify_vmalloc(k, va, out);
	else
		out->class_ = class_of_region(region->id, out->walk.mapped);
	find_frame(k, out);
	out->sentence = sentences[out->class_];
}
