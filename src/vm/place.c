/* SPDX-License-Identifier: MIT */
/*
 * Where a mapping goes when the caller leaves it open: Linux's get_unmapped_area on x86, without cache colouring.
 *
 *	0      TASK_SIZE/3          mmap_base        stack     TASK_SIZE
 *	 ......|---> bottom-up      top-down <--|....[    ]....|
 *
 * Top-down takes the highest hole below mmap_base, which leaves the stack its limit (128 MiB at least) and,
 * randomised, its own offset. When nothing is left there, bottom-up takes the lowest hole from TASK_SIZE/3.
 * A hole below an area that grows down ends at that area's guard gap.
 *
 * Two dialects: 32-bit machines use Linux's generic functions, 64-bit ones x86's own, which differ in hints and
 * know MAP_32BIT and high hints of five-level machines.
 */
#include "vm/mm.h"

enum { MIN_GAP = 128 << 20 };
#define LOW_2GB_START ((kmm_word)0x40000000)
#define LOW_2GB_END ((kmm_word)0x80000000)

struct request {
	kmm_word addr, len;
	unsigned flags;
};

/* The dialect is the machine's, the number of random bits the program's. */
static bool is_wide(const struct kmm_mm *mm) { return kmm_fmt(mm->k)->va_bits > 32; }
static bool is_wide_program(const struct kmm_mm *mm) { return is_wide(mm) && !mm->limits.user_end; }

/* MAP_32BIT is for 64-bit programs. */
static bool wants_low(const struct kmm_mm *mm, const struct request *rq)
{
	return (rq->flags & KMM_MAP_32BIT) && !mm->limits.user_end;
}

static bool is_random(const struct kmm_mm *mm)
{
	return (mm->k->machine.randomise || (mm->limits.layout & KMM_LAYOUT_RANDOM)) && !(mm->limits.layout & KMM_LAYOUT_NOT_RANDOM);
}

static bool is_bottom_up(const struct kmm_mm *mm) { return mm->limits.layout & KMM_LAYOUT_BOTTOM_UP; }

/* ---- bases ---- */

/* splitmix64, one stream per machine. */
static uint64_t next_random(struct kmm *k)
{
	unsigned long flags;
	uint64_t z;

	if (k->port->random && k->machine.seed == 0)
		return k->port->random(k->port);
	flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	z = k->vm->random += 0x9e3779b97f4a7c15;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* The task size for placement is that without a high hint. Linux offsets the base by 28 or 8 random bits of pages,
 * and pads the gap by what the stack's own offset can be: 16 GiB, or 8 MiB on 32-bit machines. */
static void choose_bases(struct kmm_mm *mm)
{
	uint64_t task_size = kmm_mm_window(mm), gap = mm->limits.stack_bytes, pad, random = 0;
	uint64_t most = kmm_div_u64(task_size, 6, NULL) * 5;

	pad = (uint64_t)mm->limits.stack_guard_pages << KMM_PAGE_SHIFT;
	if (is_random(mm)) {
		pad += (uint64_t)(is_wide_program(mm) ? 0x3fffff : 0x7ff) << KMM_PAGE_SHIFT;
		random = (next_random(mm->k) & (is_wide_program(mm) ? 0xfffffff : 0xff)) << KMM_PAGE_SHIFT;
	}
	if (gap + pad > gap)
		gap += pad;
	gap = kmm_min_u64(kmm_max_u64(gap, MIN_GAP), most);
	mm->mmap_base = (kmm_word)kmm_align_up(task_size - gap - random, KMM_PAGE_SIZE);
	mm->legacy_base = (kmm_word)(kmm_align_up(kmm_div_u64(task_size, 3, NULL), KMM_PAGE_SIZE) + random);
}

/* ---- holes with guard gaps ---- */

/* Would len bytes at `at` come into the guard gap of the area above? */
static struct kmm_vma *guarded_above(struct kmm_mm *mm, kmm_word at)
{
	struct kmm_vma *next = kmm_mm_find(mm, at);

	return next && (next->flags & KMM_VM_GROWSDOWN) ? next : NULL;
}

static bool hole_down(struct kmm_mm *mm, kmm_word len, kmm_word low, kmm_word high, kmm_word *out)
{
	while (low < high && kmm_tree_hole_down(&mm->tree, len, low, high, out)) {
		struct kmm_vma *next = guarded_above(mm, *out);

		if (!next || kmm_vma_start_gap(next) >= *out + len)
			return true;
		high = kmm_vma_start_gap(next);
	}
	return false;
}

static bool hole_up(struct kmm_mm *mm, kmm_word len, kmm_word low, kmm_word high, kmm_word *out)
{
	while (low < high && kmm_tree_hole_up(&mm->tree, len, low, high, out)) {
		struct kmm_vma *next = guarded_above(mm, *out);

		if (!next || kmm_vma_start_gap(next) >= *out + len)
			return true;
		low = next->end;
	}
	return false;
}

/* Is [addr, addr + len) free, guard gaps included? */
static bool hint_is_free(struct kmm_mm *mm, kmm_word addr, kmm_word len)
{
	struct kmm_vma *vma = kmm_mm_find(mm, addr);

	return !vma || addr + len <= kmm_vma_start_gap(vma);
}

static kmm_word lowest(const struct kmm_mm *mm)
{
	return (kmm_word)kmm_max_u64(KMM_PAGE_SIZE, kmm_align_up(mm->limits.mmap_min_addr, KMM_PAGE_SIZE));
}

/* ---- the two dialects ---- */

static enum kmm_status place_32(struct kmm_mm *mm, const struct request *rq, kmm_word *out)
{
	kmm_word task_size = kmm_mm_task_size(mm), addr = rq->addr;

	if (rq->len > task_size - mm->limits.mmap_min_addr)
		return KMM_ENOMEM;
	*out = addr;
	if (rq->flags & KMM_MAP_FIXED)
		return KMM_OK;
	if (addr) {
		*out = (kmm_word)kmm_mm_page_align(mm, addr);
		if (task_size - rq->len >= *out && *out >= mm->limits.mmap_min_addr && hint_is_free(mm, *out, rq->len))
			return KMM_OK;
	}
	if (!is_bottom_up(mm) && hole_down(mm, rq->len, lowest(mm), mm->mmap_base, out))
		return KMM_OK;
	return hole_up(mm, rq->len, (kmm_word)kmm_max_u64(mm->legacy_base, lowest(mm)), task_size, out) ? KMM_OK : KMM_ENOMEM;
}

/* x86's bottom-up, also for MAP_32BIT. It looks at the hint again, rounded up. */
static enum kmm_status place_64_up(struct kmm_mm *mm, const struct request *rq, kmm_word *out)
{
	kmm_word window = kmm_mm_window(mm), begin = mm->legacy_base;
	kmm_word end = rq->addr > window ? kmm_mm_task_size(mm) : window;

	if (wants_low(mm, rq)) {
		begin = LOW_2GB_START;
		end = LOW_2GB_END;
	}
	if (rq->len > end)
		return KMM_ENOMEM;
	if (rq->addr) {
		*out = (kmm_word)kmm_mm_page_align(mm, rq->addr);
		if (end - rq->len >= *out && hint_is_free(mm, *out, rq->len))
			return KMM_OK;
	}
	return hole_up(mm, rq->len, (kmm_word)kmm_max_u64(begin, lowest(mm)), end, out) ? KMM_OK : KMM_ENOMEM;
}

/* A hint may not reach from below the default window to above it. */
static bool hint_is_valid(const struct kmm_mm *mm, kmm_word addr, kmm_word len)
{
	kmm_word window = kmm_mm_window(mm);

	if (kmm_mm_task_size(mm) - len < addr)
		return false;
	return (addr > window) == (addr + len > window);
}

static enum kmm_status place_64(struct kmm_mm *mm, const struct request *rq, kmm_word *out)
{
	kmm_word window = kmm_mm_window(mm), high = mm->mmap_base;

	if (rq->len > kmm_mm_task_size(mm))
		return KMM_ENOMEM;
	*out = rq->addr;
	if (rq->flags & KMM_MAP_FIXED)
		return KMM_OK;
	if (wants_low(mm, rq) || is_bottom_up(mm))
		return place_64_up(mm, rq, out);
	if (rq->addr) {
		*out = rq->addr & ~(kmm_word)(KMM_PAGE_SIZE - 1);
		if (hint_is_valid(mm, *out, rq->len) && hint_is_free(mm, *out, rq->len))
			return KMM_OK;
	}
	if (rq->addr > window)
		high += kmm_mm_task_size(mm) - window;
	if (hole_down(mm, rq->len, lowest(mm), high, out))
		return KMM_OK;
	return place_64_up(mm, rq, out);
}

enum kmm_status kmm_place(struct kmm_mm *mm, kmm_word addr, uint64_t len, unsigned flags, kmm_word *out)
{
	kmm_word task_size = kmm_mm_task_size(mm), at;
	struct request rq = { addr, (kmm_word)len, flags };
	enum kmm_status status;

	if (len > task_size)
		return KMM_ENOMEM;
	if (!mm->mmap_base)
		choose_bases(mm);
	status = is_wide(mm) ? place_64(mm, &rq, &at) : place_32(mm, &rq, &at);
	if (status)
		return status;
	if (at > task_size - rq.len)
		return KMM_ENOMEM;
	if (at & (KMM_PAGE_SIZE - 1))
		return KMM_EINVAL;
	if (at < mm->limits.mmap_min_addr && !(mm->limits.rights & KMM_MAY_MAP_LOW))
		return KMM_EPERM;
	*out = at;
	return KMM_OK;
}
