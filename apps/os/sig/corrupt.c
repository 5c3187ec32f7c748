/* SPDX-License-Identifier: MIT */
/*
 * corrupt.c - a program's access went through a page table entry with a bit that the processor reserves.
 *
 * Nobody writes such entries, so memory was damaged. As Linux does, the program is ended and the rest goes on, with a line in
 * the log. Its end will take the entry out of its table, and must find the frame that the entry counts: what is left
 * without the reserved bits is believed if it is a frame that programs map. Damage that cannot be contained like that, in
 * an entry for a table above all, stops the machine.
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

/* Takes the reserved bits out of an entry of the last level. false: there is more that is wrong. */
static bool mend(const struct kmm_walk_step *step, uint32_t reserved)
{
	uint64_t rest = step->raw & ~((uint64_t)reserved << 32);
	struct kmm_pte pte = KMM_PIN_FORMAT.decode(rest, step->level);

	if (step->level != 0 || !(pte.flags & KMM_PTE_PRESENT) || !maps_programs_page(pte.pfn))
		return false;
	__atomic_fetch_and((uint32_t *)x86_phys_ptr(step->entry_at.v) + 1, ~reserved, __ATOMIC_SEQ_CST);
	return true;
}

void corrupt_table(struct x86_frame *f, uword addr)
{
	const uint32_t reserved = reserved_in_upper_half();
	struct proc *p = current->proc;
	struct kmm_walk w;

	kmm_walk(os.k, kmm_mm_root(p->mm), addr, &w);
	for (unsigned i = 0; i < w.nr_steps; i++) {
		if (!((uint32_t)(w.step[i].raw >> 32) & reserved))
			continue; /* of all of them: another thread was here */
		klog("%s (process %u): corrupted page table at address %lx: level %u has %016llx", p->comm, p->pid,
		     (unsigned long)addr, w.step[i].level, (unsigned long long)w.step[i].raw);
		if (!mend(&w.step[i], reserved))
			x86_panic_frame(f, "a page table entry has a bit set that this processor reserves");
	}
	kernel_lock();
	sig_send_proc(p, SIGKILL, SI_KERNEL);
	kernel_unlock();
}
