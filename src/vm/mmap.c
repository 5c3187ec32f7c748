/* SPDX-License-Identifier: MIT */
/*
 * mmap(2) up to the new area, in Linux's order of checks, so that a call with several mistakes gets the same errno.
 * Populating is the fault layer's (fault/populate.c), where the public kmm_mmap() is.
 *
 * Flags: what Linux ignores is ignored (EXECUTABLE, DENYWRITE, STACK, unknown ones unless SHARED_VALIDATE);
 * huge pages are refused as by a kernel that has none in reserve.
 */
#include "vm/backing.h"
#include "vm/mm.h"

enum { MAP_HUGE_SHIFT = 26 };

/* What MAP_SHARED lets pass and MAP_SHARED_VALIDATE knows. Bits 26 up: MAP_HUGE_2MB and MAP_HUGE_1GB. */
#define LEGACY_FLAGS \
	(KMM_MAP_SHARED | KMM_MAP_PRIVATE | KMM_MAP_FIXED | KMM_MAP_ANONYMOUS | KMM_MAP_DENYWRITE | \
	 KMM_MAP_EXECUTABLE | KMM_MAP_GROWSDOWN | KMM_MAP_LOCKED | KMM_MAP_NORESERVE | KMM_MAP_POPULATE | \
	 KMM_MAP_NONBLOCK | KMM_MAP_STACK | KMM_MAP_HUGETLB | KMM_MAP_32BIT | KMM_MAP_RDONLY | KMM_MAP_WRONLY | \
	 KMM_MAP_NODEV | 21u << 26 | 30u << 26)

/* Page numbers that a descriptor can hold: 32 bits on 32-bit machines, 48 on wide ones. */
static uint64_t max_index(const struct kmm *k)
{
	return kmm_fmt(k)->va_bits > 32 ? (UINT64_C(1) << 48) - 1 : UINT32_MAX;
}

static uint32_t area_flags(const struct kmm_mm *mm, unsigned prot, unsigned flags)
{
	uint32_t vm_flags = (prot & KMM_VM_ACCESS) | KMM_VM_MAY | mm->def_flags;

	if (flags & KMM_MAP_GROWSDOWN)
		vm_flags |= KMM_VM_GROWSDOWN;
	if (flags & KMM_MAP_LOCKED)
		vm_flags |= KMM_VM_LOCKED;
	if ((flags & KMM_MAP_NORESERVE) && mm->k->vm->overcommit_mode != KMM_OVERCOMMIT_NEVER)
		vm_flags |= KMM_VM_NORESERVE;
	return vm_flags;
}

/* The seals against writing that a mapping with these flags must respect. b is not needed: who seals looks at mappings. */
static uint32_t write_seals(const struct kmm_backing *backing, uint32_t vm_flags)
{
	if (!backing || !kmm_backing_is_file(backing) || !(vm_flags & KMM_VM_SHARED))
		return 0;
	return __atomic_load_n(&((const struct kmm_file *)backing)->seals, __ATOMIC_RELAXED) & KMM_SEALS_WRITING;
}

/*
 * A file that must not be written can still be read, by mappings that stay so (as Linux 6.1 since its 6.1.149). The seal
 * against future writing alone is looked at later, for mappings that write: see put_sealed().
 */
static enum kmm_status apply_write_seal(const struct kmm_backing *backing, uint32_t *vm_flags)
{
	uint32_t seals = write_seals(backing, *vm_flags);

	if (!seals)
		return KMM_OK;
	if (*vm_flags & KMM_VM_WRITE)
		return seals & KMM_SEAL_WRITE ? KMM_EPERM : KMM_OK;
	*vm_flags &= ~(uint32_t)KMM_VM_MAYWRITE;
	return KMM_OK;
}

static enum kmm_status file_flags(const struct kmm_map_request *rq, uint32_t *vm_flags)
{
	bool writable = !(rq->flags & KMM_MAP_RDONLY);

	if (rq->backing && kmm_backing_is_shm(rq->backing)) /* shown again by remap_file_pages() */
		*vm_flags |= KMM_VM_SHMEM;
	switch (rq->flags & KMM_MAP_TYPE) {
	case KMM_MAP_SHARED_VALIDATE:
		if (rq->flags & ~(unsigned)LEGACY_FLAGS)
			return KMM_ENOTSUP;
		/* fall through */
	case KMM_MAP_SHARED:
		if ((rq->prot & KMM_PROT_WRITE) && !writable)
			return KMM_EACCES;
		*vm_flags |= KMM_VM_MAYSHARE | KMM_VM_SHARED;
		if (!writable)
			*vm_flags &= ~(uint32_t)(KMM_VM_MAYWRITE | KMM_VM_SHARED);
		break;
	case KMM_MAP_PRIVATE:
		break;
	default:
		return KMM_EINVAL;
	}
	if (rq->flags & KMM_MAP_WRONLY)
		return KMM_EACCES;
	if (rq->flags & KMM_MAP_NODEV)
		return KMM_ENODEV;
	if (!rq->backing && (*vm_flags & KMM_VM_SHARED))
		*vm_flags |= KMM_VM_SHMEM;
	return *vm_flags & KMM_VM_GROWSDOWN ? KMM_EINVAL : apply_write_seal(rq->backing, vm_flags);
}

static enum kmm_status anonymous_flags(const struct kmm_map_request *rq, uint32_t *vm_flags)
{
	switch (rq->flags & KMM_MAP_TYPE) {
	case KMM_MAP_SHARED:
		if (*vm_flags & KMM_VM_GROWSDOWN)
			return KMM_EINVAL;
		*vm_flags |= KMM_VM_SHARED | KMM_VM_MAYSHARE | KMM_VM_SHMEM;
		return KMM_OK;
	case KMM_MAP_PRIVATE:
		return KMM_OK;
	default:
		return KMM_EINVAL;
	}
}

/* Huge pages are those of a file of Linux's own, so this has a file's types. */
static enum kmm_status huge_flags(const struct kmm_map_request *rq, uint32_t vm_flags)
{
	unsigned type = rq->flags & KMM_MAP_TYPE;

	if (type == KMM_MAP_SHARED_VALIDATE && (rq->flags & ~(unsigned)LEGACY_FLAGS))
		return KMM_ENOTSUP;
	return type < KMM_MAP_SHARED || type > KMM_MAP_SHARED_VALIDATE || (vm_flags & KMM_VM_GROWSDOWN) ? KMM_EINVAL : KMM_OK;
}

static enum kmm_status type_flags(const struct kmm_map_request *rq, uint32_t *vm_flags)
{
	if (rq->flags & KMM_MAP_HUGETLB)
		return huge_flags(rq, *vm_flags);
	return rq->backing || rq->opening ? file_flags(rq, vm_flags) : anonymous_flags(rq, vm_flags);
}

/* Is that the logarithm of the size of this machine's huge pages, or 0, which means any? */
static bool has_huge_size(const struct kmm *k, unsigned size_log)
{
	return size_log == 0 || size_log == kmm_fmt(k)->level[1].shift;
}

static uint64_t huge_size(const struct kmm_mm *mm)
{
	return UINT64_C(1) << kmm_fmt(mm->k)->level[1].shift;
}

/* Checks before a place is looked for. Aligns rq->len. */
static enum kmm_status check_request(struct kmm_mm *mm, struct kmm_map_request *rq)
{
	bool anonymous = (rq->flags & KMM_MAP_ANONYMOUS) != 0;

	if (!anonymous && !rq->backing && !rq->opening)
		return KMM_EINVAL;
	if (anonymous) {
		rq->backing = NULL;
		rq->opening = NULL;
	}
	if ((rq->flags & KMM_MAP_HUGETLB) && (!anonymous || !has_huge_size(mm->k, rq->flags >> MAP_HUGE_SHIFT)))
		return KMM_EINVAL;
	if (rq->flags & KMM_MAP_HUGETLB)
		rq->len = kmm_mm_page_align(mm, kmm_align_up(rq->len, huge_size(mm)));
	if (!rq->len)
		return KMM_EINVAL;
	if (rq->len > kmm_mm_task_size(mm))
		return KMM_ENOMEM;
	rq->len = kmm_mm_page_align(mm, rq->len);
	if (!rq->len)
		return KMM_ENOMEM;
	if (rq->pgoff > max_index(mm->k) || (rq->len >> KMM_PAGE_SHIFT) > max_index(mm->k) - rq->pgoff)
		return KMM_EOVERFLOW;
	return mm->map_count > mm->limits.max_map_count ? KMM_ENOMEM : KMM_OK;
}

/* Hints below the least address are rounded up to it, other than 0. */
static kmm_word round_hint(const struct kmm_mm *mm, kmm_word hint)
{
	hint &= ~(kmm_word)(KMM_PAGE_SIZE - 1);
	if (hint && hint < mm->limits.mmap_min_addr)
		return (kmm_word)kmm_align_up(mm->limits.mmap_min_addr, KMM_PAGE_SIZE);
	return hint;
}

static enum kmm_status find_place(struct kmm_mm *mm, const struct kmm_map_request *rq, kmm_word *at)
{
	unsigned flags = rq->flags;
	kmm_word addr = rq->addr;
	enum kmm_status status;
	struct kmm_vma *vma;

	if (flags & KMM_MAP_FIXED_NOREPLACE)
		flags |= KMM_MAP_FIXED;
	if (!(flags & KMM_MAP_FIXED))
		addr = round_hint(mm, addr);
	else if ((flags & KMM_MAP_HUGETLB) && (addr & (huge_size(mm) - 1)))
		return KMM_EINVAL;
	status = kmm_place(mm, addr, rq->len, flags, at);
	if (status || !(flags & KMM_MAP_FIXED_NOREPLACE))
		return status;
	vma = kmm_mm_find(mm, *at);
	return vma && vma->start < *at + rq->len ? KMM_EEXIST : KMM_OK;
}

static enum kmm_status check_locks(const struct kmm_mm *mm, const struct kmm_map_request *rq, uint32_t vm_flags)
{
	if ((rq->flags & KMM_MAP_LOCKED) && !kmm_mm_may_lock(mm))
		return KMM_EPERM;
	return kmm_mm_lock_fits(mm, vm_flags, (kmm_word)(rq->len >> KMM_PAGE_SHIFT)) ? KMM_OK : KMM_EAGAIN;
}

/* Pages of existing areas in [start, end): a fixed mapping takes them out of the count. */
static kmm_word mapped_pages(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	kmm_word pages = 0;

	for (struct kmm_vma *vma = kmm_mm_find(mm, start); vma && vma->start < end; vma = kmm_vma_next(vma)) {
		kmm_word from = vma->start > start ? vma->start : start, to = vma->end < end ? vma->end : end;

		pages += (to - from) >> KMM_PAGE_SHIFT;
	}
	return pages;
}

static kmm_word piece_pages(const struct kmm_piece *piece)
{
	return (piece->end - piece->start) >> KMM_PAGE_SHIFT;
}

/* One by one, as in kmm_vma_copy(): the locks and the links in lists are set when it is linked. */
static void fill_area(struct kmm_mm *mm, struct kmm_vma *vma, const struct kmm_piece *piece)
{
	vma->start = piece->start;
	vma->end = piece->end;
	vma->flags = piece->flags | KMM_VM_SOFTDIRTY;
	vma->tag = 0;
	vma->cloned = false;
	vma->pgoff = piece->pgoff;
	vma->mm = mm;
	vma->backing = piece->backing;
	vma->opening = piece->opening;
	vma->userfault = NULL;
	vma->anon = NULL;
	kmm_vma_hold_backing(vma);
}

static void link_new(struct kmm_mm *mm, struct kmm_reserve *r, const struct kmm_piece *piece)
{
	struct kmm_vma *vma = kmm_reserve_take(mm, r);

	fill_area(mm, vma, piece);
	kmm_edit_begin(mm->k, vma->backing);
	kmm_vma_link(mm, vma);
	kmm_edit_end(mm->k, vma->backing);
}

enum kmm_status kmm_map_alone(struct kmm_mm *mm, const struct kmm_piece *piece)
{
	struct kmm_reserve r;

	if (piece->backing && !kmm_mapping_get(piece->backing))
		return KMM_ENOMEM;
	if (kmm_reserve(mm, &r, 1, 1, piece->end, piece->end) != KMM_OK)
		return KMM_ENOMEM;
	link_new(mm, &r, piece);
	kmm_reserve_drop(mm, &r);
	kmm_mm_account(mm, piece->flags, (piece->end - piece->start) >> KMM_PAGE_SHIFT);
	return KMM_OK;
}

/* Replaces whatever is there by the piece: all that can fail comes first. */
static enum kmm_status put_area(struct kmm_mm *mm, const struct kmm_piece *piece)
{
	const struct kmm_vma *there = kmm_mm_find(mm, piece->start);
	bool is_hole = !there || there->start >= piece->end;
	bool splits = !is_hole && kmm_unmap_splits(mm, piece->start, piece->end);
	struct kmm_vma *merged;
	struct kmm_reserve r;

	if (splits && mm->map_count >= mm->limits.max_map_count)
		return KMM_ENOMEM;
	if (piece->backing && !kmm_mapping_get(piece->backing))
		return KMM_ENOMEM;
	if (kmm_reserve(mm, &r, 1u + splits, 1u + splits, piece->end, piece->end) != KMM_OK)
		return KMM_ENOMEM;
	if (!is_hole && kmm_note_unmap(mm, piece->start, piece->end) != KMM_OK) {
		kmm_reserve_drop(mm, &r);
		return KMM_ENOMEM;
	}
	if (!is_hole)
		kmm_unmap(mm, piece->start, piece->end, &r, KMM_UNMAP_ALL);
	merged = kmm_vma_merge_new(mm, piece);
	if (merged)
		merged->flags |= KMM_VM_SOFTDIRTY;
	else
		link_new(mm, &r, piece);
	kmm_reserve_drop(mm, &r);
	kmm_mm_account(mm, piece->flags, (piece->end - piece->start) >> KMM_PAGE_SHIFT);
	return KMM_OK;
}

static bool is_within_limits(struct kmm_mm *mm, const struct kmm_piece *piece)
{
	kmm_word pages = piece_pages(piece);

	return kmm_mm_may_expand(mm, piece->flags, pages) ||
	       kmm_mm_may_expand(mm, piece->flags, pages - mapped_pages(mm, piece->start, piece->end));
}

/* Linux finds out after it has unmapped what was at a fixed place. */
static enum kmm_status refuse_area(struct kmm_mm *mm, const struct kmm_piece *piece, enum kmm_status why)
{
	enum kmm_status status = kmm_munmap_locked(mm, piece->start, piece->end - piece->start);

	return status == KMM_OK ? why : status;
}

/* To be written, of a file sealed against future writing. */
static bool is_sealed(const struct kmm_piece *piece)
{
	return (piece->flags & KMM_VM_WRITE) && write_seals(piece->backing, piece->flags);
}

/* Linux asks the file when it makes an area for it, thus after it has unmapped what was there, and not at all where an area from
 * before the seal only becomes longer. */
static enum kmm_status put_sealed(struct kmm_mm *mm, const struct kmm_piece *piece)
{
	enum kmm_status status = refuse_area(mm, piece, KMM_EPERM);
	struct kmm_vma *merged = status == KMM_EPERM ? kmm_vma_merge_new(mm, piece) : NULL;

	if (!merged)
		return status;
	merged->flags |= KMM_VM_SOFTDIRTY;
	kmm_mm_account(mm, piece->flags, piece_pages(piece));
	return KMM_OK;
}

static enum kmm_status map_area(struct kmm_mm *mm, const struct kmm_piece *piece)
{
	if (!is_within_limits(mm, piece))
		return KMM_ENOMEM;
	if (is_sealed(piece))
		return put_sealed(mm, piece);
	if ((piece->flags & KMM_VM_ACCOUNT) && !kmm_vm_enough(mm, piece_pages(piece)))
		return refuse_area(mm, piece, KMM_ENOMEM);
	return put_area(mm, piece);
}

/* Shared anonymous memory counts towards overcommit when it is made. The object's own reference goes to the area. */
static enum kmm_status map_shared_anonymous(struct kmm_mm *mm, struct kmm_piece *piece)
{
	enum kmm_status status;

	if (!is_within_limits(mm, piece))
		return KMM_ENOMEM;
	if (!(piece->flags & KMM_VM_NORESERVE) && !kmm_vm_enough(mm, piece_pages(piece)))
		return refuse_area(mm, piece, KMM_ENOMEM);
	piece->backing = kmm_shm_create(mm->k, piece->end - piece->start, !(piece->flags & KMM_VM_NORESERVE));
	if (!piece->backing)
		return KMM_ENOMEM;
	status = map_area(mm, piece);
	kmm_backing_put(piece->backing);
	return status;
}

enum kmm_status kmm_map(struct kmm_mm *mm, struct kmm_map_request *rq, kmm_word *out, kmm_word *populate)
{
	struct kmm_piece piece = { .flags = area_flags(mm, rq->prot, rq->flags) };
	enum kmm_status status = check_request(mm, rq);
	kmm_word at;

	if (status == KMM_OK)
		status = find_place(mm, rq, &at);
	if (status == KMM_OK)
		status = check_locks(mm, rq, piece.flags);
	if (status == KMM_OK)
		status = type_flags(rq, &piece.flags);
	if (status)
		return status;
	piece.start = at;
	piece.end = at + (kmm_word)rq->len;
	piece.backing = rq->backing;
	piece.opening = rq->opening;
	piece.pgoff = rq->backing || rq->opening ? rq->pgoff : at >> KMM_PAGE_SHIFT;
	if (kmm_vm_accountable(piece.flags))
		piece.flags |= KMM_VM_ACCOUNT;
	if (rq->flags & KMM_MAP_HUGETLB) {
		status = is_within_limits(mm, &piece) ? refuse_area(mm, &piece, KMM_ENOMEM) : KMM_ENOMEM; /* none in reserve */
	} else if ((piece.flags & KMM_VM_SHMEM) && !rq->backing) {
		piece.pgoff = rq->opening ? rq->pgoff : 0;
		piece.opening = NULL; /* it is another file now */
		status = map_shared_anonymous(mm, &piece);
	} else {
		status = map_area(mm, &piece);
	}
	if (status)
		return status;
	kmm_trace(mm->k, KMM_EV_MMAP, at, piece.end, piece.flags, 0);
	*out = at;
	if ((piece.flags & KMM_VM_LOCKED) || (rq->flags & (KMM_MAP_POPULATE | KMM_MAP_NONBLOCK)) == KMM_MAP_POPULATE)
		*populate = (kmm_word)rq->len;
	return KMM_OK;
}
