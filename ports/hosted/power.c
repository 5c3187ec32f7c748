/* SPDX-License-Identifier: MIT */
/*
 * A machine that is switched off and on again, and what a boot loader of a hibernated one does last: contents moved, the state
 * of the kernel put back, windows shown as its tables say, processors on its tables.
 *
 * What a kernel keeps outside of its memory here is the state that kmm_state_size() counts; on a real machine that is part of
 * its image's data, and so of the frames that are saved.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"
#include "kmm/hibernate.h"
#include "kmm/pagetable.h"

static void flush(struct hosted_machine *m)
{
	for (unsigned cpu = 0; cpu < m->config.machine.nr_cpus; cpu++) {
		softmmu_flush_all(&m->cpu[cpu].mmu);
		hosted_load_root(m, cpu, kmm_kernel_root(m->k).v);
	}
}

void *hosted_state(const struct hosted_machine *m)
{
	return m->state;
}

static bool hide_windows(struct hosted_machine *m)
{
	return mmap(m->window, m->window_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

enum kmm_status hosted_restart(struct hosted_machine *m, const char **why)
{
	enum kmm_status status;

	if (!hide_windows(m) || fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)m->arena_bytes) != 0)
		return KMM_ENOTSUP;
	memset(m->state, 0, kmm_state_size());
	status = hosted_start_core(m, why);
	if (status == KMM_OK)
		flush(m);
	return status;
}

/* ---- going on with an image ---- */

static void move_all(struct hosted_machine *m, uint64_t list)
{
	while (list) {
		const struct kmm_image_moves *moves = hosted_phys(m, list << KMM_PAGE_SHIFT);

		for (uint64_t n = 0; n < moves->nr; n++)
			memcpy(hosted_phys(m, moves->move[n].to << KMM_PAGE_SHIFT),
			       hosted_phys(m, moves->move[n].from << KMM_PAGE_SHIFT), KMM_PAGE_SIZE);
		list = moves->next;
	}
}

/* Bytes around va that one entry speaks for, at the level where the walk ended. */
static uint64_t entry_bytes(const struct hosted_machine *m, const struct kmm_walk *walk)
{
	return UINT64_C(1) << kmm_format_get(m->config.machine.format)->level[walk->step[walk->nr_steps - 1].level].shift;
}

static bool show_page(struct hosted_machine *m, uint64_t va, const struct kmm_walk *walk)
{
	struct kmm_pfn pfn = kmm_paddr_to_pfn(walk->pa);
	unsigned flags = walk->step[walk->nr_steps - 1].pte.flags;

	return m->port.window_changed(&m->port, kmm_kva((kmm_word)va), &pfn, 1,
				      KMM_PROT_READ | (flags & KMM_PTE_WRITE ? KMM_PROT_WRITE : 0)) == 0;
}

static bool show_windows(struct hosted_machine *m)
{
	uint64_t va = m->port.window_start, left = m->window_bytes, step;
	struct kmm_walk walk;

	for (; left; va += step, left = left > step ? left - step : 0) {
		kmm_walk(m->k, kmm_kernel_root(m->k), (kmm_word)va, &walk);
		step = KMM_PAGE_SIZE;
		if (walk.mapped ? !show_page(m, va, &walk) : false)
			return false;
		if (!walk.mapped)
			step = entry_bytes(m, &walk) - va % entry_bytes(m, &walk);
	}
	return true;
}

bool hosted_resume(struct hosted_machine *m, struct kmm_pfn moves, const void *state)
{
	if (!hide_windows(m))
		return false;
	move_all(m, moves.v);
	memcpy(m->state, state, kmm_state_size());
	flush(m);
	return show_windows(m);
}
