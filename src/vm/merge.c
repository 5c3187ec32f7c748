/* SPDX-License-Identifier: MIT */
/*
 * When adjacent areas become one. Linux 6.1's rules, also where they look odd, because a program sees them in
 * /proc/PID/maps and in which calls fail at max_map_count:
 *
 *   - flags (all but SOFTDIRTY), backing, its opening, who watches, and page offsets must go on;
 *   - private pages: both areas have the same anon object and tag, or one has none yet. In the second case the area
 *     merged into must not be one that came from a parent with private pages (`cloned`);
 *   - areas with DONTEXPAND never merge, nor do those of a backing that counts its areas.
 *
 * A piece is what is to become of a range: a hole, a whole area, or an end of one. Cases by what gives way:
 *
 *	prev |piece| next      both: prev takes over piece and next
 *	prev |piece|           prev grows; an area that was at the piece shrinks or goes
 *	     |piece| next      next grows down; prev shrinks if the piece was its end
 */
#include "vm/lock.h"

static bool is_alike(const struct kmm_vma *vma, const struct kmm_piece *piece)
{
	return !((vma->flags ^ piece->flags) & ~(uint32_t)KMM_VM_SOFTDIRTY) && vma->backing == piece->backing &&
	       vma->opening == piece->opening && vma->userfault == piece->userfault;
}

static bool never_merges(const struct kmm_piece *piece)
{
	return (piece->flags & KMM_VM_SPECIAL) || (piece->backing && piece->backing->areas);
}

static bool same_anon(const struct kmm_anon *x, uint32_t x_tag, const struct kmm_anon *y, uint32_t y_tag)
{
	return x == y && (!x || x_tag == y_tag);
}

/* Can vma take in private pages as the piece has them? */
static bool can_join_anon(const struct kmm_vma *vma, const struct kmm_piece *piece)
{
	if ((!vma->anon || !piece->anon) && vma->anon && !vma->cloned)
		return true;
	return same_anon(vma->anon, vma->tag, piece->anon, piece->tag);
}

static uint64_t piece_pages(const struct kmm_piece *piece)
{
	return (piece->end - piece->start) >> KMM_PAGE_SHIFT;
}

bool kmm_vma_can_follow(const struct kmm_vma *prev, const struct kmm_piece *piece)
{
	return prev->end == piece->start && is_alike(prev, piece) && can_join_anon(prev, piece) &&
	       prev->pgoff + kmm_vma_pages(prev) == piece->pgoff;
}

static bool can_precede(const struct kmm_vma *next, const struct kmm_piece *piece)
{
	return next->start == piece->end && is_alike(next, piece) && can_join_anon(next, piece) &&
	       next->pgoff == piece->pgoff + piece_pages(piece);
}

static bool can_bridge(const struct kmm_vma *prev, const struct kmm_vma *next)
{
	return !prev->anon || !next->anon || same_anon(prev->anon, prev->tag, next->anon, next->tag);
}

/* The private pages of `from` come to lie in vma, so it must be in their object. */
static void adopt(struct kmm_vma *vma, const struct kmm_vma *from)
{
	if (from->anon && !vma->anon)
		kmm_anon_link(vma, from);
}

/* `gone` gives way to vma, which reaches up to it or will be given its range. Its backing is vma's too, so the reference
 * that drops is not the last. */
static void swallow(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_vma *gone)
{
	adopt(vma, gone);
	KMM_CHECK(mm->k, vma->backing == gone->backing && !(gone->anon && gone->anon != vma->anon));
	if (vma->end == gone->start)
		kmm_vma_join(mm, vma, gone);
	else
		kmm_vma_unlink(mm, gone);
	kmm_vma_retire(gone);
}

/* prev grows to the piece's end, or to next's if given. mid: the area that overlaps the piece, or NULL. */
static struct kmm_vma *grow_prev(struct kmm_mm *mm, struct kmm_vma *prev, struct kmm_vma *mid, struct kmm_vma *next,
				 const struct kmm_piece *piece)
{
	kmm_word end = next ? next->end : piece->end;

	if (mid && mid->end == piece->end) {
		swallow(mm, prev, mid);
	} else if (mid) {
		adopt(prev, mid);
		kmm_vma_set_range(mid, piece->end, mid->end);
	}
	if (next)
		swallow(mm, prev, next);
	if (prev->end != end)
		kmm_vma_set_range(prev, prev->start, end);
	return prev;
}

static struct kmm_vma *grow_next(struct kmm_mm *mm, struct kmm_vma *prev, struct kmm_vma *mid, struct kmm_vma *next,
				 const struct kmm_piece *piece)
{
	if (prev && piece->start < prev->end) {
		adopt(next, prev);
		kmm_vma_set_range(prev, prev->start, piece->start);
	} else if (mid) {
		swallow(mm, next, mid);
	}
	kmm_vma_set_range(next, piece->start, next->end);
	return next;
}

/* Those that change, before the backing's lock. */
static void write_lock(struct kmm_vma *prev, struct kmm_vma *mid, struct kmm_vma *next)
{
	if (prev)
		kmm_vma_write(prev);
	if (mid)
		kmm_vma_write(mid);
	if (next)
		kmm_vma_write(next);
}

struct kmm_vma *kmm_vma_merge(struct kmm_mm *mm, struct kmm_vma *prev, const struct kmm_piece *piece)
{
	struct kmm_vma *mid = NULL, *next, *merged = NULL;
	bool with_prev, with_next;

	KMM_ASSERT(mm->k, piece->start < piece->end);
	KMM_CHECK(mm->k, !prev || prev->start <= piece->start);
	if (never_merges(piece))
		return NULL;
	next = prev ? kmm_vma_next(prev) : kmm_mm_first(mm);
	if (next && next->start < piece->end) {
		mid = next;
		next = mid->end == piece->end ? kmm_vma_next(mid) : NULL;
	}
	with_prev = prev && kmm_vma_can_follow(prev, piece);
	with_next = next && can_precede(next, piece);
	if (!with_prev && !with_next)
		return NULL;
	write_lock(with_prev || (prev && piece->start < prev->end) ? prev : NULL, mid, with_next ? next : NULL);
	kmm_edit_begin(mm->k, piece->backing);
	if (with_prev)
		merged = grow_prev(mm, prev, mid, with_next && can_bridge(prev, next) ? next : NULL, piece);
	else
		merged = grow_next(mm, prev, mid, next, piece);
	KMM_CHECK(mm->k, merged->start <= piece->start && piece->end <= merged->end);
	kmm_edit_end(mm->k, piece->backing);
	return merged;
}

/* mmap asks in another order: it extends next first and then looks whether prev, too, fits what next is. So a piece
 * between two areas of which only next has private pages joins next alone. */
struct kmm_vma *kmm_vma_merge_new(struct kmm_mm *mm, const struct kmm_piece *piece)
{
	struct kmm_vma *prev, *next = kmm_mm_find_prev(mm, piece->end, &prev), *merged;
	struct kmm_piece joined = *piece;
	bool with_next, with_prev;

	KMM_ASSERT(mm->k, piece->start < piece->end && (!next || next->start >= piece->end));
	if (never_merges(piece))
		return NULL;
	with_next = next && can_precede(next, piece);
	if (with_next) {
		joined.anon = next->anon;
		joined.tag = next->tag;
	}
	with_prev = prev && kmm_vma_can_follow(prev, &joined);
	if (!with_prev && !with_next)
		return NULL;
	write_lock(with_prev ? prev : NULL, NULL, with_next ? next : NULL);
	kmm_edit_begin(mm->k, piece->backing);
	merged = with_prev ? grow_prev(mm, prev, NULL, with_next ? next : NULL, piece) :
			     grow_next(mm, prev, NULL, next, piece);
	KMM_CHECK(mm->k, merged->start <= piece->start && piece->end <= merged->end);
	kmm_edit_end(mm->k, piece->backing);
	return merged;
}
