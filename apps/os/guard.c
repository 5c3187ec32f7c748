/* SPDX-License-Identifier: MIT */
/*
 * guard.c - the debug kernels' look at themselves at boot (KMM_DEBUG=2): every entry of the kernel's tables is read, and
 * nothing may be written and executed, nothing of the kernel may be ring 3's, and what is executed must not be written by
 * its address in the direct map either. `broken=rights` and `broken=locks` on the command line make a fault that this, and
 * the order of locks, must find: a check that never fails proves nothing. With `broken=entry` a program that writes an
 * address to /proc/kmm/explain gets a bit that the processor reserves into an entry on the way to that page.
 */
#include "kmm/layout.h"
#include "kmm/pagetable.h"
#include "lock.h"
#include "start.h"

static uword first_kernel_address(void)
{
	return KMM_PIN_FORMAT.canonical ? ~(uword)0 << (KMM_PIN_FORMAT.va_bits - 1) : (uword)kmm_layout_of(os.k)->user_end;
}

static const struct kmm_walk_step *last_step(const struct kmm_walk *w)
{
	return &w->step[w->nr_steps - 1];
}

static void refuse(const char *what, uword va, const struct kmm_walk *w)
{
	x86_panic("guard: %s: %lx, entry %llx", what, (unsigned long)va, (unsigned long long)last_step(w)->raw);
}

static bool is_executed(const struct kmm_walk *w)
{
	bool exec = true;

	for (unsigned i = 0; i < w->nr_steps; i++)
		exec = exec && (w->step[i].pte.flags & KMM_PTE_EXEC);
	return exec;
}

static bool is_written(const struct kmm_walk *w)
{
	return last_step(w)->pte.flags & KMM_PTE_WRITE;
}

static void check_direct_map(uword va, const struct kmm_walk *w)
{
	const struct kmm_layout *layout = kmm_layout_of(os.k);
	struct kmm_walk alias;

	for (uint64_t pa = w->pa.v; pa < w->pa.v + w->leaf_bytes && pa < layout->lowmem_end; pa += KMM_PAGE_SIZE) {
		kmm_walk(os.k, os.kernel_root, (uword)(layout->page_offset + pa), &alias);
		if (alias.mapped && is_written(&alias))
			refuse("code is written by another address", va, &alias);
	}
}

static void check_leaf(uword va, const struct kmm_walk *w)
{
	if (last_step(w)->pte.flags & KMM_PTE_USER)
		refuse("a page of the kernel is ring 3's", va, w);
	if (!KMM_PIN_FORMAT.has_nx || !x86_cpu_info.nx || !is_executed(w))
		return;
	if (is_written(w))
		refuse("a page is both written and executed", va, w);
	check_direct_map(va, w);
}

static void check_rights(void)
{
	unsigned leaves = 0;
	uword va = first_kernel_address(), step;

	do {
		struct kmm_walk w;

		kmm_walk(os.k, os.kernel_root, va, &w);
		if (w.mapped) {
			check_leaf(va, &w);
			leaves++;
		}
		step = (uword)1 << KMM_PIN_FORMAT.level[last_step(&w)->level].shift;
		va = (va & ~(step - 1)) + step;
	} while (va);
	klog("guard: %u leaves of the kernel's tables have the rights they should", leaves);
}

/* As if somebody had made the first page of code writable. */
static void break_rights(void)
{
	struct kmm_walk w;

	kmm_walk(os.k, os.kernel_root, (uword)x86_image_start, &w);
	*(uint32_t *)x86_phys_ptr(last_step(&w)->entry_at.v) |= 2;
}

static void break_lock_order(void)
{
	static struct spin later = SPIN_OF(SPIN_QUEUE), earlier = SPIN_OF(SPIN_PIPE);

	spin_lock(&later);
	spin_lock(&earlier);
	spin_unlock(&earlier);
	spin_unlock(&later);
}

/* The topmost bit of an address that no processor here has; with PAE the rest of the upper half is reserved too. The
 * lowest bits of va are the entry's level. */
void guard_break_entry(uword va)
{
	const char *broken = os.options.broken;
	unsigned level = va & 7;
	struct kmm_walk w;

	if (KMM_DEBUG < 2 || !broken || !str_eq(broken, "entry"))
		return;
	kmm_walk(os.k, kmm_mm_root(current->proc->mm), va, &w);
	if (!w.mapped || level >= w.nr_steps || KMM_PIN_FORMAT.entry_size != 8)
		return;
	__atomic_fetch_or((uint32_t *)x86_phys_ptr(w.step[w.nr_steps - 1 - level].entry_at.v) + 1, 1u << 19, __ATOMIC_SEQ_CST);
	x86_tlb_flush_page(va);
}

void guard_boot(void)
{
	const char *broken = os.options.broken;

	if (KMM_DEBUG < 2)
		return;
	if (broken && str_eq(broken, "rights"))
		break_rights();
	if (broken && str_eq(broken, "locks"))
		break_lock_order();
	check_rights();
}
