/* SPDX-License-Identifier: MIT */
/*
 * Views for this CPU and a short time. Each CPU has a stack of fixmap slots; a view takes the next one, and views
 * are undone in reverse order, so an interrupt that makes views of its own leaves the stack as it found it.
 *
 * Nothing is shared, so there is no lock, and only this CPU's translation of the one page is dropped. Depth goes up before the entry is written and down after it is gone: an interrupt in
 * between uses the slots above.
 */
#include "kva/kva.h"

#include "phys/phys.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE struct kmm_local_cpu *this_cpu(struct kmm *k)
{
	return k->kva->local.of[kmm_cpu(k)];
}

/* ---- what few grounds need ---- */

static __attribute__((noinline)) void mirror(struct kmm *k, kmm_word va, kmm_word pfn, bool on)
{
	struct kmm_pfn frame = kmm_pfn(pfn);
	unsigned prot = on ? KMM_PROT_READ | KMM_PROT_WRITE : KMM_PROT_NONE;
	int refused = k->port->window_changed(k->port, kmm_kva(va), on ? &frame : NULL, 1, prot);

	KMM_ASSERT(k, !on || !refused); /* a view cannot fail: the ground must keep room for these few */
}

static __attribute__((noinline)) void trace_push(struct kmm *k, kmm_word va, kmm_word pfn, uint64_t raw)
{
	kmm_trace(k, KMM_EV_PT_SET, va, raw, 0, kmm_pt_kernel(k)->root.v);
	kmm_trace(k, KMM_EV_KMAP, va, pfn, 0, 0);
}

static __attribute__((noinline)) void trace_pop(struct kmm *k, kmm_word va, kmm_word pfn)
{
	kmm_trace(k, KMM_EV_PT_SET, va, 0, 0, kmm_pt_kernel(k)->root.v);
	kmm_trace(k, KMM_EV_TLB_FLUSH, va, va + KMM_PAGE_SIZE, 0, 0);
	kmm_trace(k, KMM_EV_KUNMAP, va, pfn, 0, 0);
}

/* ---- the stack ---- */

/* The next slot becomes a view of pfn. A free slot's entry is 0, so it is set without a look. rights are read last, where
 * registers are few. */
ALWAYS_INLINE struct kmm_local_slot *push(struct kmm *k, struct kmm_local_cpu *cpu, kmm_word pfn, const uint64_t *rights)
{
	struct kmm_local_slot *slot = cpu->next;

	KMM_CHECK(k, kmm_entry_load(k, slot->entry) == 0);
	cpu->next = slot + 1;
	kmm_word_add(&cpu->calls, 1);
	kmm_word_set(&slot->pfn, pfn);
	kmm_entry_set(k, slot->entry, kmm_pt_leaf(*rights, kmm_pfn(pfn)));
	return slot;
}

/* An entry is all there is to a view, and nobody listens: then the calls are straight lines that call nothing. */
ALWAYS_INLINE bool is_plain(const struct kmm *k)
{
	return k->straight && k->kva->local.plain;
}

/* The same on any ground. */
static __attribute__((noinline)) void *push_and_show(struct kmm *k, kmm_word pfn, const uint64_t *rights)
{
	struct kmm_local *local = &k->kva->local;
	struct kmm_local_cpu *cpu = this_cpu(k);
	struct kmm_local_slot *slot;

	if (cpu->next == cpu->end)
		kmm_warn(k, "kmap_local: pfn 0x%llx: views are nested too deeply, or not undone", (unsigned long long)pfn);
	KMM_ASSERT(k, cpu->next >= cpu->first && cpu->next < cpu->end);
	if (cpu->next == cpu->end)
		return NULL;
	slot = push(k, cpu, pfn, rights);
	KMM_ASSERT(k, local->usable && kmm_pt_decode(k, kmm_entry_load(k, slot->entry)).pfn.v == pfn);
	if (local->linear)
		slot->view = kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(pfn)));
	if (local->mirrored)
		mirror(k, slot->va, pfn, true);
	if (k->trace)
		trace_push(k, slot->va, pfn, kmm_entry_load(k, slot->entry));
	return slot->view;
}

/* What is not the newest view must be a linear address, and no view at all. */
static __attribute__((noinline)) void check_linear(struct kmm *k, const void *addr)
{
	bool linear = (uintptr_t)addr - (uintptr_t)k->direct_map < k->layout.lowmem_end;
	bool undone_in_reverse_order = linear && (!k->kva->force || !k->kva->local.usable);

	if (!undone_in_reverse_order)
		kmm_warn(k, "kunmap_local: 0x%llx is not the newest view of this CPU; left as it is",
			 (unsigned long long)kmm_window_va(k, addr));
	KMM_ASSERT(k, undone_in_reverse_order);
}

ALWAYS_INLINE bool is_in(const struct kmm_local_slot *slot, const void *addr)
{
	return (uintptr_t)addr - (uintptr_t)slot->view < KMM_PAGE_SIZE;
}

static __attribute__((noinline)) void unmap_and_show(struct kmm *k, const void *addr)
{
	struct kmm_local_cpu *cpu = this_cpu(k);
	struct kmm_local_slot *slot = cpu->next - 1;

	if (!is_in(slot, addr)) {
		check_linear(k, addr);
		return;
	}
	KMM_ASSERT(k, slot >= cpu->first && slot < cpu->end);
	KMM_ASSERT(k, kmm_pt_decode(k, kmm_entry_load(k, slot->entry)).pfn.v == slot->pfn);
	kmm_entry_store(k, slot->entry, 0);
	if (k->kva->local.mirrored)
		mirror(k, slot->va, slot->pfn, false);
	kmm_pt_flush_page_here(k, slot->va);
	cpu->next = slot;
	if (k->trace)
		trace_pop(k, slot->va, slot->pfn);
}

/* addr may be anywhere in the page. */
void kmm_kunmap_local(struct kmm *k, const void *addr)
{
	struct kmm_local_cpu *cpu;
	struct kmm_local_slot *slot;

	if ((uintptr_t)addr - (uintptr_t)k->direct_map < k->straight_end && !k->kva->force)
		return; /* linear: there was nothing to make */
	if (!is_plain(k)) {
		unmap_and_show(k, addr);
		return;
	}
	cpu = k->kva->local.of[kmm_port_cpu(k->port)];
	slot = cpu->next - 1;
	if (!is_in(slot, addr)) {
		unmap_and_show(k, addr);
		return;
	}
	kmm_entry_store(k, slot->entry, 0);
	kmm_port_flush_page(k->port, slot->va);
	cpu->next = slot;
}

/* High frames, and low ones that are forced. */
static __attribute__((noinline)) void *map_and_show(struct kmm *k, struct kmm_page *page)
{
	const struct kmm_local *local = &k->kva->local;
	kmm_word pfn = kmm_pfn_of(k->phys, page);

	if (!local->usable) /* forced where there is no window: nothing is high there */
		return kmm_page_lowmem_ptr(k, page);
	return push_and_show(k, pfn, &local->rights);
}

void *kmm_kmap_local(struct kmm *k, struct kmm_page *page)
{
	struct kmm_local *local = &k->kva->local;
	struct kmm_local_cpu *cpu;

	if (kmm_view_is_linear(k, page))
		return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(kmm_pfn_of(k->phys, page))));
	if (!is_plain(k))
		return map_and_show(k, page);
	cpu = local->of[kmm_port_cpu(k->port)];
	if (cpu->next == cpu->end)
		return map_and_show(k, page);
	return push(k, cpu, kmm_pfn_of(k->phys, page), &local->rights)->view;
}

/* Of an entry, without the frame. */
static uint64_t rights(const struct kmm *k, uint32_t more)
{
	struct kmm_pte none = { { 0 }, KMM_KVA_FLAGS | KMM_PTE_WRITE | more };

	return kmm_pt_encode(k, none);
}

/* Device memory is mapped uncached. NULL: not RAM, and this machine has no window. */
void *kmm_kmap_local_pfn(struct kmm *k, struct kmm_pfn pfn)
{
	bool ram = kmm_pfn_is_ram(k, pfn), linear = ram && kmm_pfn_to_paddr(pfn).v < k->layout.lowmem_end;
	uint64_t of_device;

	if (linear && (!k->kva->force || !k->kva->local.usable))
		return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(pfn));
	if (!k->kva->local.usable)
		return NULL;
	of_device = rights(k, KMM_PTE_NOCACHE);
	return push_and_show(k, pfn.v, ram ? &k->kva->local.rights : &of_device);
}

/* Toggle it while no views are held: a view must be undone under the rule it was made by. */
void kmm_force_kmap(struct kmm *k, bool on)
{
	KMM_ASSERT(k, on == k->kva->force || kmm_local_depth(this_cpu(k)) == 0);
	k->kva->force = on;
}

/* ---- start ---- */

/* The entry's place, looked up once: tables of the fixmap exist from boot and are never freed. */
static bool init_slot(struct kmm *k, struct kmm_local_slot *slot, kmm_word va)
{
	struct kmm_ptref ref;

	if (!kmm_pt_lookup(k, kmm_pt_kernel(k), va, &ref))
		return false;
	KMM_ASSERT(k, kmm_entry_load(k, ref.entry) == 0);
	slot->entry = ref.entry;
	slot->va = va;
	slot->pfn = KMM_LOCAL_NEVER;
	slot->view = kmm_window_ptr(k, va);
	return true;
}

/* slots: one that never has a view (no address is near its NULL), then those of the stack. */
static bool init_cpu(struct kmm *k, struct kmm_local_cpu *cpu, struct kmm_local_slot *slots, unsigned nr, kmm_word va)
{
	struct kmm_local_slot *slot;

	k->kva->local.of[cpu - k->kva->local.cpu] = cpu;
	cpu->first = cpu->next = slots + 1;
	cpu->end = cpu->first + nr;
	for (slot = cpu->first; slot < cpu->end; slot++, va += KMM_PAGE_SIZE)
		if (!init_slot(k, slot, va))
			return false;
	return true;
}

/* Without slots, or where C code cannot see them, a machine has no window; it has no high memory then either. */
static bool has_window(const struct kmm *k, kmm_word bytes)
{
	kmm_word start = (kmm_word)k->layout.kmap_local_start;

	return bytes && k->layout.kmap_local_slots && (k->port->direct_map_all || kmm_window_reaches(k, start, bytes));
}

enum kmm_status kmm_local_init(struct kmm *k)
{
	struct kmm_local *local = &k->kva->local;
	unsigned per_cpu = k->machine.windows.kmap_local_slots, nr_cpus = k->machine.nr_cpus, i;
	kmm_word va = (kmm_word)k->layout.kmap_local_start;
	struct kmm_local_slot *slots;

	local->rights = rights(k, 0);
	local->usable = has_window(k, (kmm_word)per_cpu * nr_cpus * KMM_PAGE_SIZE);
	local->linear = k->port->direct_map_all;
	local->mirrored = k->port->window_changed && !local->linear;
	local->plain = local->usable && !local->linear && !local->mirrored;
	if (!local->usable)
		per_cpu = 0;
	KMM_ASSERT(k, k->layout.kmap_local_slots >= per_cpu * nr_cpus);
	slots = kmm_phys_alloc_state(k, (per_cpu + 1) * nr_cpus * sizeof(*slots), "kmap_local state");
	if (!slots)
		return KMM_ENOMEM;
	for (i = 0; i < nr_cpus; i++, slots += per_cpu + 1, va += (kmm_word)per_cpu * KMM_PAGE_SIZE)
		if (!init_cpu(k, &local->cpu[i], slots, per_cpu, va))
			return KMM_ENOMEM;
	return KMM_OK;
}

/* ---- the checker ---- */

static unsigned audit_cpu(struct kmm *k, unsigned number, struct kmm_sink *out)
{
	const struct kmm_local_cpu *cpu = &k->kva->local.cpu[number];
	const struct kmm_local_slot *slot;
	unsigned bad = 0;

	for (slot = cpu->first; slot < cpu->end; slot++) {
		uint64_t raw = kmm_entry_load(k, slot->entry);

		if (slot < cpu->next ? raw && kmm_pt_decode(k, raw).pfn.v == slot->pfn : !raw)
			continue;
		kmm_printf(out, "kmap_local: CPU %u slot %u of %u in use has entry 0x%llx\n", number,
			   (unsigned)(slot - cpu->first), kmm_local_depth(cpu), (unsigned long long)raw);
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
