/* SPDX-License-Identifier: MIT */
/*
 * Views for this CPU and a short time. Each CPU has a stack of fixmap slots; a view takes the next one, and views
 * are undone in reverse order, so an interrupt that makes views of its own leaves the stack as it found it.
 *
 * Nothing is shared but the count of entries in the table, so there is no lock, and only this CPU's translation of
 * the one page is dropped. Depth goes up before the entry is written and down after it is gone: an interrupt in
 * between uses the slots above.
 */
#include "kva/kva.h"

static struct kmm_local_cpu *this_cpu(struct kmm *k)
{
	return &k->kva->local.cpu[kmm_slab_cpu(k)];
}

static bool mirrored(const struct kmm *k)
{
	return k->port->window_changed && !k->port->direct_map_all;
}

/* The pointer a view of pfn at va has for C code. */
static void *pointer(const struct kmm *k, kmm_word pfn, kmm_word va)
{
	if (k->port->direct_map_all)
		return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(pfn)));
	return kmm_window_ptr(k, va);
}

static inline void set_entry(struct kmm *k, const struct kmm_local_slot *slot, kmm_word va, uint64_t raw)
{
	kmm_entry_store(k, slot->entry, raw);
	if (k->trace)
		kmm_trace(k, KMM_EV_PT_SET, va, raw, 0, kmm_pt_kernel(k)->root.v);
}

void *kmm_local_push(struct kmm *k, kmm_word pfn, uint32_t flags)
{
	struct kmm_local_cpu *cpu = this_cpu(k);
	struct kmm_local_slot *slot;
	struct kmm_pfn frame = kmm_pfn(pfn);
	struct kmm_pte pte = { frame, flags };
	uint32_t depth = cpu->depth;
	kmm_word va = cpu->start + ((kmm_word)depth << KMM_PAGE_SHIFT);

	if (!k->kva->local.nr_slots)
		return NULL;
	KMM_ASSERT(k, depth < k->kva->local.nr_slots); /* views nested too deeply, or not undone */
	slot = &cpu->slot[depth];
	cpu->depth = depth + 1;
	slot->pfn = pfn;
	set_entry(k, slot, va, kmm_pt_encode(k, pte));
	atomic_fetch_add_explicit(&slot->table->count, 1, memory_order_relaxed);
	if (mirrored(k)) {
		int refused = k->port->window_changed(k->port, kmm_kva(va), &frame, 1, KMM_PROT_READ | KMM_PROT_WRITE);

		KMM_ASSERT(k, !refused); /* a view cannot fail: the ground must keep room for these few */
	}
	if (depth >= cpu->max)
		cpu->max = depth + 1;
	cpu->calls++;
	if (k->trace)
		kmm_trace(k, KMM_EV_KMAP, va, pfn, 0, 0);
	return pointer(k, pfn, va);
}

static void pop(struct kmm *k, struct kmm_local_cpu *cpu)
{
	uint32_t depth = cpu->depth - 1;
	struct kmm_local_slot *slot = &cpu->slot[depth];
	kmm_word va = cpu->start + ((kmm_word)depth << KMM_PAGE_SHIFT);
	struct kmm_flush flush = { { 0 }, va, va + KMM_PAGE_SIZE, false };

	set_entry(k, slot, va, 0);
	atomic_fetch_sub_explicit(&slot->table->count, 1, memory_order_relaxed);
	if (mirrored(k))
		k->port->window_changed(k->port, kmm_kva(va), NULL, 1, KMM_PROT_NONE);
	k->port->tlb_flush_local(k->port, &flush);
	cpu->depth = depth;
	if (k->trace) {
		kmm_trace(k, KMM_EV_TLB_FLUSH, flush.start, flush.end, 0, 0);
		kmm_trace(k, KMM_EV_KUNMAP, va, slot->pfn, 0, 0);
	}
}

static bool is_top(const struct kmm *k, const struct kmm_local_cpu *cpu, const void *addr)
{
	uint32_t top = cpu->depth - 1;
	kmm_word va = cpu->start + ((kmm_word)top << KMM_PAGE_SHIFT);
	uintptr_t start = cpu->depth ? (uintptr_t)pointer(k, cpu->slot[top].pfn, va) : 0;

	return cpu->depth && (uintptr_t)addr - start < KMM_PAGE_SIZE;
}

/* addr may be anywhere in the page. A linear address that is not the newest view was never a slot's, unless windows
 * are forced. */
void kmm_kunmap_local(struct kmm *k, const void *addr)
{
	struct kmm_local_cpu *cpu = this_cpu(k);
	bool linear = kmm_lowmem_pa(k, addr).v < k->layout.lowmem_end;
	bool undone_in_reverse_order;

	if (linear && !k->kva->force && !(k->port->direct_map_all && is_top(k, cpu, addr)))
		return;
	undone_in_reverse_order = is_top(k, cpu, addr) || !k->kva->local.nr_slots;
	KMM_ASSERT(k, undone_in_reverse_order);
	if (k->kva->local.nr_slots)
		pop(k, cpu);
}

void *kmm_kmap_local(struct kmm *k, struct kmm_page *page)
{
	void *view;

	if (kmm_view_is_linear(k, page))
		return kmm_page_lowmem_ptr(k, page);
	view = kmm_local_push(k, kmm_page_to_pfn(k, page).v, KMM_KVA_FLAGS | KMM_PTE_WRITE);
	return view ? view : kmm_page_lowmem_ptr(k, page); /* forced where there is no window: nothing is high */
}

/* Device memory is mapped uncached. NULL: not RAM, and this machine has no window. */
void *kmm_kmap_local_pfn(struct kmm *k, struct kmm_pfn pfn)
{
	bool ram = kmm_pfn_is_ram(k, pfn);
	bool linear = ram && kmm_pfn_to_paddr(pfn).v < k->layout.lowmem_end;
	void *view = NULL;

	if (!linear || k->kva->force)
		view = kmm_local_push(k, pfn.v, KMM_KVA_FLAGS | KMM_PTE_WRITE | (ram ? 0u : (uint32_t)KMM_PTE_NOCACHE));
	return !view && linear ? kmm_lowmem_ptr(k, kmm_pfn_to_paddr(pfn)) : view;
}

/* Toggle it while no views are held: a view must be undone under the rule it was made by. */
void kmm_force_kmap(struct kmm *k, bool on)
{
	k->kva->force = on;
}

/* The entries' places, looked up once: tables of the fixmap exist from boot and are never freed. */
static bool init_slot(struct kmm *k, struct kmm_local_slot *slot, kmm_word va)
{
	struct kmm_ptref ref;

	if (!kmm_pt_lookup(k, kmm_pt_kernel(k), va, &ref))
		return false;
	slot->entry = ref.entry;
	slot->table = ref.table;
	return true;
}

enum kmm_status kmm_local_init(struct kmm *k)
{
	struct kmm_local *local = &k->kva->local;
	unsigned per_cpu = k->machine.windows.kmap_local_slots, nr_cpus = k->machine.nr_cpus, i;
	kmm_word start = (kmm_word)k->layout.kmap_local_start;
	struct kmm_local_slot *slots;

	if (!k->layout.kmap_local_slots || (!k->port->direct_map_all &&
					    !kmm_window_reaches(k, start, (kmm_word)per_cpu * nr_cpus * KMM_PAGE_SIZE)))
		return KMM_OK;
	KMM_ASSERT(k, k->layout.kmap_local_slots >= per_cpu * nr_cpus);
	slots = kmm_phys_alloc_state(k, per_cpu * nr_cpus * sizeof(*slots), "kmap_local state");
	if (!slots)
		return KMM_ENOMEM;
	for (i = 0; i < per_cpu * nr_cpus; i++)
		if (!init_slot(k, &slots[i], start + (kmm_word)i * KMM_PAGE_SIZE))
			return KMM_ENOMEM;
	for (i = 0; i < nr_cpus; i++) {
		local->cpu[i].slot = slots + i * per_cpu;
		local->cpu[i].start = start + (kmm_word)i * per_cpu * KMM_PAGE_SIZE;
	}
	local->nr_slots = per_cpu;
	return KMM_OK;
}

static unsigned audit_cpu(struct kmm *k, unsigned number, struct kmm_sink *out)
{
	struct kmm_local_cpu *cpu = &k->kva->local.cpu[number];
	unsigned bad = 0, i;

	for (i = 0; i < k->kva->local.nr_slots; i++) {
		uint64_t raw = kmm_entry_load(k, cpu->slot[i].entry);

		if (i < cpu->depth ? kmm_pt_decode(k, raw).pfn.v == cpu->slot[i].pfn && raw : !raw)
			continue;
		kmm_printf(out, "kmap_local: CPU %u slot %u of %u in use has entry 0x%llx\n", number, i, cpu->depth,
			   (unsigned long long)raw);
		bad++;
	}
	return bad;
}

unsigned kmm_local_audit(struct kmm *k, struct kmm_sink *out)
{
	unsigned bad = 0, i;

	for (i = 0; i < k->machine.nr_cpus; i++)
		bad += audit_cpu(k, i, out);
	return bad;
}
