/* SPDX-License-Identifier: MIT */
/* exceptions.c - see exceptions.h. */
#include "oracle/exceptions.h"

#include "oracle/compare.h"
#include "oracle/look.h"

#include <errno.h>

/* ---- mremap ---- */

enum { MAYMOVE = 1, FIXED = 2, DONTUNMAP = 4 };

static const struct step *mremap_step(const struct difference *d, uint32_t flags)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MREMAP && (s->flags & flags) == flags ? s : NULL;
}

static bool same_pages(const struct step *s)
{
	return (s->len - 1) / ORACLE_PAGE == (s->new_len - 1) / ORACLE_PAGE;
}

/* What 6.1 may have done before it refuses, or instead: the target is unmapped, and what the old range has more than the new one. */
static bool mremap_arguments_first(const struct difference *d)
{
	const struct step *s = mremap_step(d, 0);
	struct range target = nothing, tail = nothing;

	if (!s || !d->native.err || !(d->machine.err || s->new_len > INT64_MAX))
		return false;
	if (s->flags & FIXED)
		target = range_of_pages(d->to, s->new_len);
	if ((s->flags & FIXED) || !d->machine.err)
		tail = (struct range){ range_of_pages(d->start, s->new_len).end, range_of_pages(d->start, s->len).end };
	return look_same_outside(d, target, tail);
}

/* What the target had counts no longer when 6.1 looks at limits. */
static bool mremap_limits_first(const struct difference *d)
{
	const struct step *s = mremap_step(d, MAYMOVE | FIXED);
	struct range target;

	if (!s || d->machine.err || (d->native.err != EAGAIN && d->native.err != ENOMEM))
		return false;
	target = range_of_pages(d->to, s->new_len);
	return look_rows_over(d->native_text, d->native_len, target) && look_same_outside(d, range_of_pages(d->start, s->len), target);
}

static bool moves_many_areas(const struct difference *d)
{
	const struct step *s = mremap_step(d, MAYMOVE | FIXED);
	struct range from;
	bool goes_on;

	if (!s || !same_pages(s) || d->machine.err != EFAULT)
		return false;
	from = range_of_pages(d->start, s->len);
	return (look_rows_over(d->machine_text, d->machine_len, from) > 1 || look_first_hole(d, from.start, from.end, &goes_on) < from.end) &&
	       look_same_outside(d, from, range_of_pages(d->to, s->new_len));
}

static bool rounds_lengths_first(const struct difference *d)
{
	const struct step *s = mremap_step(d, MAYMOVE | DONTUNMAP);
	struct range to = nothing;

	if (!s || s->len == s->new_len || !same_pages(s) || d->machine.err != EINVAL)
		return false;
	if (s->flags & FIXED)
		to = range_of_pages(d->to, s->new_len);
	else if (!d->native.err)
		to = range_of_pages((uint64_t)d->native.ret, s->new_len);
	return look_same_outside(d, range_of_pages(d->start, s->len), to);
}

static bool locks(const struct step *s)
{
	return s->op == OP_MLOCK || s->op == OP_MLOCKALL || (s->op == OP_MMAP && (s->flags & 0x2000));
}

/* Since 6.17 or so what is moved is counted once more. */
static bool counts_locks_twice(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];
	bool left = false, locked = false, is_lock = s->op == OP_MLOCK || s->op == OP_MLOCKALL;

	for (unsigned i = 0; i < d->at; i++) {
		locked |= locks(&d->steps[i]);
		left |= locked && d->steps[i].op == OP_MREMAP && (d->steps[i].flags & (MAYMOVE | DONTUNMAP)) == (MAYMOVE | DONTUNMAP);
	}
	return left && d->native.err == (is_lock ? ENOMEM : EAGAIN) && (is_lock || s->op == OP_MMAP || s->op == OP_MREMAP || s->op == OP_SHMAT) &&
	       d->machine.err != d->native.err;
}

/* ---- a flag of stacks that only later Linux has ---- */

static bool had_stack(const struct difference *d)
{
	enum { STACK = 0x20000 };
	bool has = false;

	for (unsigned i = 0; i < d->at; i++)
		has |= d->steps[i].op == OP_MMAP && (d->steps[i].flags & STACK);
	return has;
}

/* What is read around a fault ends with its area, and the areas are cut differently. */
static bool maps_stacks_apart(const struct difference *d)
{
	bool access = d->native.sig || d->machine.sig;
	unsigned nr = !access && d->native.err == d->machine.err && d->native.ret == d->machine.ret && had_stack(d) ? look_united_alike(d) : 0;

	return nr && look_only_cut_areas_have_more(d, d->native_text, d->native_len, d->machine_text, d->machine_len, nr) &&
	       look_only_cut_areas_have_more(d, d->machine_text, d->machine_len, d->native_text, d->native_len, nr);
}

/* An area with the flag and one that remap_file_pages() made of it, without. */
static bool remaps_stacks_apart(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];
	struct range range = range_of_pages(d->start, s->len);

	return s->op == OP_REMAP_PAGES && d->native.err == EINVAL && !d->machine.err && had_stack(d) &&
	       look_rows_over(d->native_text, d->native_len, range) > 1 && look_same_outside(d, range, nothing);
}

static bool keeps_stacks_apart(const struct difference *d)
{
	return maps_stacks_apart(d) || remaps_stacks_apart(d);
}

/* ---- options and later calls ---- */

static bool forgets_soft_dirty(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];
	struct range range = range_of_pages(d->start, s->len);
	bool cleared = false;

	for (unsigned i = 0; i < d->at; i++)
		cleared |= d->steps[i].op == OP_CLEAR_REFS && d->steps[i].flags == 4;
	return cleared && s->op == OP_REMAP_PAGES && !d->native.err && d->machine.err == EINVAL && look_rows_over(d->machine_text, d->machine_len, range) > 1 &&
	       look_same_outside(d, range, nothing);
}

static bool is_advice(const struct difference *d, uint32_t least, uint32_t most)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MADVISE && s->flags >= least && s->flags <= most;
}

static bool breaks_hardware(const struct difference *d)
{
	int err = d->steps[d->at].len ? EPERM : 0;

	return is_advice(d, 100, 101) && d->native.err == EINVAL && d->machine.err == err && look_same_outside(d, nothing, nothing);
}

/* Only where there is something behind the hole. Of files, more is mapped around each page. */
static bool populates_beyond_holes(const struct difference *d)
{
	struct range range = range_of_pages(d->start, d->steps[d->at].len);
	const uint64_t around = 16 * ORACLE_PAGE;
	bool goes_on;

	if (!is_advice(d, 22, 23) || d->native.err != ENOMEM || !d->machine.err)
		return false;
	range.start = look_first_hole(d, range.start, range.end, &goes_on);
	range.end += around;
	return goes_on && look_same_outside(d, range, nothing);
}

/* The live kernel has done nothing yet. */
static bool looks_at_seals_first(const struct difference *d)
{
	enum { SHARED = 1, FIXED_PLACE = 0x10, FUTURE_WRITE = 0x10 };
	const struct step *s = &d->steps[d->at];
	bool sealed = false;

	for (unsigned i = 0; i < d->at; i++)
		sealed |= d->steps[i].op == OP_SEAL && d->steps[i].file == FILE_SEALABLE && (d->steps[i].flags & FUTURE_WRITE);
	if (!sealed || d->native.err != EPERM)
		return false;
	if (s->op == OP_REMAP_PAGES)
		return look_same_outside(d, range_of_pages(d->start, s->len), nothing);
	return s->op == OP_MMAP && s->file == FILE_SEALABLE && (s->flags & SHARED) && (s->prot & 2) &&
	       look_same_outside(d, range_of_pages(s->flags & FIXED_PLACE || d->machine.err ? d->start : (uint64_t)d->machine.ret, s->len), nothing);
}

static bool maps_droppable(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MMAP && (s->flags & 15) == 8 && d->machine.err == EINVAL &&
	       look_same_outside(d, d->native.err ? nothing : range_of_pages((uint64_t)d->native.ret, s->len), nothing);
}

/* The machine has the host's vm.mmap_min_addr, which fixed places keep to. */
static bool grows_below_what_is_built_in(const struct difference *d)
{
	enum { SEGV = 11, NO_AREA = 1, BUILT_IN = 65536 };
	const struct step *s = &d->steps[d->at];
	bool is_call = s->op == OP_COPYIN || s->op == OP_PREAD;

	if (is_call)
		return d->native.err == EFAULT && !d->machine.err && s->at.base == BASE_ABSOLUTE && s->at.offset < BUILT_IN;
	return d->native.sig == SEGV && d->native.code == NO_AREA && d->native.addr < BUILT_IN &&
	       (!d->machine.sig || (d->machine.sig == SEGV && d->machine.code != NO_AREA && d->machine.addr == d->native.addr));
}

/* ---- the list ---- */

struct exception oracle_exceptions[] = {
	{ "heap-name", "Linux up to 6.5 also calls an area [heap] that begins where the heap ends", look_differs_by_heap_name, true, 0 },
	{ "mremap-order", "6.1's mremap unmaps the target before all is checked, and shrinks by 0 whatever the length; later the checks "
			  "come first, in another order", mremap_arguments_first, false, 0 },
	{ "mremap-limits", "later ones look at limits before they unmap the target, too, which then counts", mremap_limits_first, false, 0 },
	{ "mremap-many", "Linux from 6.17 on moves several areas, and the holes between them, in one call", moves_many_areas, false, 0 },
	{ "mremap-rounds", "6.1 compares the lengths of MREMAP_DONTUNMAP as they are given, later ones what they are rounded to",
	  rounds_lengths_first, false, 0 },
	{ "dontunmap-locks", "the host's Linux counts locked pages that MREMAP_DONTUNMAP moves once more; 6.1 leaves the count as it was",
	  counts_locks_twice, false, 0 },
	{ "soft-dirty", "the host's Linux is built without MEM_SOFT_DIRTY; with it, remap_file_pages() over areas is refused when one of "
			"them is new since clear_refs and another is not", forgets_soft_dirty, false, 0 },
	{ "droppable", "Linux from 6.11 on has a type of mapping with the number 8, MAP_DROPPABLE", maps_droppable, false, 0 },
	{ "seals-first", "later ones look at a seal against future writing before limits, before they unmap, and where an area only becomes "
			 "longer", looks_at_seals_first, false, 0 },
	{ "low-stack", "a stack grows down to the least address built into the host's Linux, even if vm.mmap_min_addr is less; Debian's "
		       "6.1 has the same number in both", grows_below_what_is_built_in, false, 0 },
	{ "hwpoison", "the host's Linux is built without MEMORY_FAILURE", breaks_hardware, false, 0 },
	{ "populate-hole", "6.1 goes on behind a hole when it populates; later ones stop there", populates_beyond_holes, false, 0 },
	{ "merge-6.1", "Linux from 6.2 on merges areas that 6.1 leaves apart, and the other way round; what a refused mapping "
		       "would have replaced stays cut off there", look_differs_by_merging, false, 0 },
	{ "stack-apart", "Linux from 6.7 on keeps MAP_STACK in mind, as no huge pages, so such areas do not merge with others, less is "
			 "read around a fault in them, and they are not remapped in one with others", keeps_stacks_apart, false, 0 },
};
const unsigned oracle_nr_exceptions = sizeof(oracle_exceptions) / sizeof(oracle_exceptions[0]);

const struct guest_exception oracle_guest_exceptions[] = {
	{ "pae-nx", "i386-pae", "qemu64,-nx", "6.1 keeps 32 bits of the 64 that protect a page (vm_get_page_prot()), so with PAE all that can be "
	  "read can be fetched; kmm forbids it where the processor can, so both run on one that cannot" },
};
const unsigned oracle_nr_guest_exceptions = sizeof(oracle_guest_exceptions) / sizeof(oracle_guest_exceptions[0]);

/* What is behind the hole may have got private pages on one side, which only a fork shows. */
const struct exception *oracle_hidden(const struct difference *d)
{
	for (unsigned i = 0; i < oracle_nr_exceptions; i++)
		if (oracle_exceptions[i].covers == populates_beyond_holes && populates_beyond_holes(d)) {
			oracle_exceptions[i].fired++;
			return &oracle_exceptions[i];
		}
	return NULL;
}

const struct exception *oracle_excuse(const struct difference *d)
{
	for (unsigned i = 0; i < oracle_nr_exceptions; i++)
		if (oracle_exceptions[i].covers(d)) {
			oracle_exceptions[i].fired++;
			return &oracle_exceptions[i];
		}
	return NULL;
}
