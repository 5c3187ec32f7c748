/* SPDX-License-Identifier: MIT */
/*
 * corrupt.c - a program's access went through a page table entry with a bit that the processor reserves.
 *
 * Nobody writes such entries, so memory was damaged. As Linux does, the program is ended and the rest goes on, with a line in
 * the log. Its end will take its tables apart, and must find the frames that the entries count: what is left of an entry
 * without the reserved bits is believed if it is a frame that programs map, or one of page tables. Damage that cannot be
 * contained like that stops the machine.
 *
 * The processor finds such entries when the program runs, and the core when it copies for the kernel: that is refused, and then
 * looked into here. What is not found by either, because a program's end or change of its areas meets it first, is not caught.
 */
#include "kmm/page.h"
#include "kmm/pagetable.h"
#include "sig/sig.h"

/* All of them lie in the entry's upper half: bits of the address beyond the processor's width, with PAE up to bit 62. */
static uint32_t reserved_in_upper_half(void)
{
	const unsigned top = sizeof(uword) == 8 ? 52 : 63, width = x86_cpu_info.phys_bits;

	if (KMM_PIN_FORMAT.entry_size != 8 || width >= top)
		return 0;
	return (uint32_t)(((1ull << top) - (1ull << width)) >> 32);
}

static bool maps_programs_page(struct kmm_pfn pfn)
{
	struct kmm_page *page = kmm_pfn_to_page(os.k, pfn);
	struct kmm_page_info info;

	if (!page)
		return false;
	kmm_page_info(os.k, page, &info);
	return info.mapcount > 0 || info.kind == KMM_KIND_ZERO;
}

static bool is_table(struct kmm_pfn pfn)
{
	struct kmm_page *page = kmm_pfn_to_page(os.k, pfn);
	struct kmm_page_info info;

	if (!page)
		return false;
	kmm_page_info(os.k, page, &info);
	return info.kind == KMM_KIND_PGTABLE;
}

/* Takes the reserved bits out of an entry. false: there is more that is wrong. */
static bool mend(const struct kmm_walk_step *step, uint32_t reserved)
{
	uint64_t rest = step->raw & ~((uint64_t)reserved << 32);
	struct kmm_pte pte = KMM_PIN_FORMAT.decode(rest, step->level);

	if (!(pte.flags & KMM_PTE_PRESENT) || !(step->level ? is_table(pte.pfn) : maps_programs_page(pte.pfn)))
		return false;
	__atomic_fetch_and((uint32_t *)x86_phys_ptr(step->entry_at.v) + 1, ~reserved, __ATOMIC_SEQ_CST);
	return true;
}

/* The highest damaged entry on the way to addr; the walk ends at it, or before. */
static const struct kmm_walk_step *find_damage(const struct kmm_walk *w, uint32_t reserved)
{
	for (unsigned i = 0; i < w->nr_steps; i++)
		if ((w->step[i].raw & 1) && ((uint32_t)(w->step[i].raw >> 32) & reserved))
			return &w->step[i];
	return NULL;
}

/* Mends all entries on the way to addr. Were there any? */
static bool mend_way(struct kmm_mm *mm, uword addr)
{
	const uint32_t reserved = reserved_in_upper_half();
	const struct kmm_walk_step *step;
	bool damaged = false;
	struct kmm_walk w;

	for (;; damaged = true) {
		kmm_walk(os.k, kmm_mm_root(mm), addr, &w);
		step = find_damage(&w, reserved);
		if (!step)
			return damaged;
		klog("%s (process %u): corrupted page table at address %lx: level %u has %016llx", current->proc->comm,
		     current->proc->pid, (unsigned long)addr, step->level, (unsigned long long)step->raw);
		if (!mend(step, reserved))
			x86_panic("a page table entry has a bit set that this processor reserves");
	}
}

static void end_all_of(const struct kmm_mm *mm)
{
	struct proc *p;

	kernel_lock();
	list_for_each(p, &all_procs, all_link)
		if (p->mm == mm)
			sig_send_proc(p, SIGKILL, SI_KERNEL);
	kernel_unlock();
}

/* Another thread may have been here first; then the program is being ended, too. */
void corrupt_table(uword addr)
{
	mend_way(current->proc->mm, addr);
	end_all_of(current->proc->mm);
}

/* What lies beyond the program's addresses failed for that, and has no damage that is the program's. */
void corrupt_copy(struct kmm_mm *mm, uword at, size_t len)
{
	const uint64_t user_end = kmm_layout_of(os.k)->user_end, end = (uint64_t)at + len;
	bool damaged = false;

	for (uint64_t addr = at & ~(uint64_t)(KMM_PAGE_SIZE - 1); addr < end && addr < user_end; addr += KMM_PAGE_SIZE)
		damaged |= mend_way(mm, (uword)addr);
	if (damaged)
		end_all_of(mm);
}
