/* SPDX-License-Identifier: MIT */
/*
 * A user address space inside: its VMAs, their rules, and the functions that the files of vm/ and fault/ share.
 *
 *	struct kmm_mm --- tree, list ---> struct kmm_vma ---> backing (content), anon (private pages)
 *	     |                                 ^
 *	     +--- space (page tables)          +--- lists in the backing's mapping and in the anon object (rmap)
 *
 * Locks, in order: m: mm->lock (mutex). l: the area's own (vm/lock.h). b: the backing's mapping (mutex). a: anon->lock
 * (spin). t: the page table's. Fields of an area that m guards are written with l held for writing too, so a fault may read
 * them with l held for reading and without m.
 * start, end and pgoff of a VMA change under m and, as far as it has them, b and a, so that a reverse walk
 * which holds only b or a sees them consistent.
 *
 * Every operation looks first, then reserves what it can need (struct kmm_reserve, page tables), then changes:
 * a lack of memory leaves the space as it was. Where Linux leaves a half-done call after another error
 * (mprotect over a hole, mremap onto a fixed place), so does this.
 */
#ifndef KMM_VM_MM_H
#define KMM_VM_MM_H

#include <stdatomic.h>

#include "base/math.h"
#include "base/shared.h"
#include "group/group.h"
#include "kmm/node.h"
#include "kmm/kmap.h"
#include "kmm/observe.h"
#include "kmm/userfault.h"
#include "pt/fmt_x86.h"
#include "pt/pt.h"
#include "vm/guest.h"
#include "vm/tree.h"

/* Flags of a VMA. The low bits are Linux's VM_ numbers; the low three are also KMM_PROT_ bits. Areas merge only if
 * all flags are equal, which is why those without effect here (ACCOUNT, NORESERVE) are kept truthfully. */
enum {
	KMM_VM_READ = 0x1, KMM_VM_WRITE = 0x2, KMM_VM_EXEC = 0x4, KMM_VM_SHARED = 0x8,
	KMM_VM_MAYREAD = 0x10, KMM_VM_MAYWRITE = 0x20, KMM_VM_MAYEXEC = 0x40, KMM_VM_MAYSHARE = 0x80,
	KMM_VM_GROWSDOWN = 0x100, KMM_VM_WATCH_MISSING = 0x200, /* userfault.c */
	KMM_VM_WATCH_WRITES = 0x1000, /* watch.c */
	KMM_VM_HUGE = 0x400, KMM_VM_NOT_HUGE = 0x800, /* wanted and unwanted huge pages, of which there are none. Linux's: bits 29, 30 */
	KMM_VM_LOCKED = 0x2000, KMM_VM_SEQ_READ = 0x8000, KMM_VM_RAND_READ = 0x10000,
	KMM_VM_DONTCOPY = 0x20000, KMM_VM_DONTEXPAND = 0x40000, KMM_VM_LOCKONFAULT = 0x80000, KMM_VM_ACCOUNT = 0x100000,
	KMM_VM_NORESERVE = 0x200000, KMM_VM_WIPEONFORK = 0x2000000, KMM_VM_DONTDUMP = 0x4000000,
	KMM_VM_SOFTDIRTY = 0x8000000,  /* new since the last kmm_clear_refs(): all of it counts as written */
	KMM_VM_MERGEABLE = 0x10000000, /* Linux's is bit 31, more than an enum's int */
	KMM_VM_WATCH_MINOR = 0x20000000, /* Linux's is bit 37 */
	KMM_VM_WATCHED = KMM_VM_WATCH_MISSING | KMM_VM_WATCH_WRITES | KMM_VM_WATCH_MINOR,
	KMM_VM_SHMEM = 0x40000000,  /* ours: backed by a shared anonymous object */
	KMM_VM_ACCESS = KMM_VM_READ | KMM_VM_WRITE | KMM_VM_EXEC,
	KMM_VM_MAY = KMM_VM_MAYREAD | KMM_VM_MAYWRITE | KMM_VM_MAYEXEC,
	KMM_VM_LOCKS = KMM_VM_LOCKED | KMM_VM_LOCKONFAULT,
	KMM_VM_SPECIAL = KMM_VM_DONTEXPAND, /* never merges */
	KMM_VM_DATA = KMM_VM_READ | KMM_VM_WRITE | KMM_VM_MAY | KMM_VM_ACCOUNT /* heap */
};

/* The private pages of a family of areas: those split, moved or forked from one that had some. A page's index is
 * its linear page number in each of them (vma->pgoff + offset). */
struct kmm_anon {
	struct kmm_guests guests; /* first */
	struct kmm_spin lock;    /* KMM_LOCK_RMAP */
	struct kmm_list vmas;    /* a: by kmm_vma.by_anon */
	uint32_t refs;           /* a: length of the list */
	uint32_t next_tag;       /* a */
};

struct kmm_vma {
	kmm_word start, end;     /* m, b, a; looked at without */
	uint32_t flags;          /* m; KMM_VM_ */
	uint32_t tag : 31;       /* m: Linux would give areas of one anon object that differ here objects of their own, and
	                            so would not merge them: each fork makes a new one per area */
	uint32_t cloned : 1;     /* m: came from a parent with private pages; Linux then merges it less */
	uint32_t users;          /* readers, KMM_AREA_ bits: vm/lock.h */
	uint32_t write_seq;      /* m: vm/lock.h */
	uint64_t pgoff;          /* m, b, a: page of the backing, or virtual page number, shown at start */
	struct kmm_mm *mm;       /* constant */
	struct kmm_backing *backing; /* constant, a reference; NULL: anonymous */
	struct kmm_anon *anon;   /* m: NULL until the first private page; that is written without l, and read with acquire */
	struct kmm_opening *opening; /* constant, a reference; NULL: nobody tells openings apart */
	struct kmm_userfault *userfault; /* m: a reference, with KMM_VM_WATCHED flags; NULL: nobody watches */
	union {
		struct kmm_list link;      /* m: mm->vmas, by address */
		struct kmm_vma *next_gone; /* m: mm->gone */
	};
	struct kmm_list by_anon, by_backing; /* a; b */
};

enum { KMM_RSS_ANON, KMM_RSS_FILE, KMM_RSS_SHMEM, KMM_RSS_SWAP, KMM_NR_RSS }; /* SWAP: entries that name a slot */

enum { KMM_SPARE_AREAS = 2 };

/* A group that a space belongs to or did (member.c). */
struct kmm_tie {
	struct kmm_group *group;
	struct kmm_tie *next;
};

struct kmm_mm {
	struct kmm *k;
	struct kmm_mutex lock;   /* m */
	atomic_uint refs;
	struct kmm_space space;
	struct kmm_list link;    /* vm->mms */

	struct kmm_tree tree;    /* m */
	struct kmm_list vmas;    /* m: the same VMAs by address */
	struct kmm_vma *recent;  /* last found, or NULL; linked. m, or l of the area that is put there */
	struct kmm_vma *gone;    /* m: unlinked, freed when m is given back */
	struct kmm_note *notes;  /* m: what watchers are to hear when m is given back (notes.c) */
	bool tells;              /* m: there may be some */
	struct kmm_vma *spare[KMM_SPARE_AREAS]; /* m: memory of areas, kept for the next call that needs some */
	unsigned nr_spare;
	uint32_t write_seq;      /* m: vm/lock.h */
	uint32_t map_count;      /* m */

	struct kmm_mm_limits limits;
	enum kmm_answer answer;  /* looked at without a lock */
	struct kmm_mempolicy policy; /* of private pages; read without a lock, which may see half a change once */
	kmm_word mmap_base;      /* m: 0 until the first placement, as exec fixes it */
	kmm_word legacy_base;    /* m: where bottom-up placement starts */
	kmm_word start_brk, brk, start_stack, start_code, end_code, data_bytes; /* m */
	uint32_t def_flags;      /* m: flags of each new area: KMM_VM_LOCKS after mlockall(MCL_FUTURE) */

	kmm_word total_pages, data_pages, stack_pages, exec_pages, locked_pages, peak_total; /* m */
	kmm_word committed_pages; /* m; looked at without: pages of areas with ACCOUNT */
	_Atomic(kmm_word) rss[KMM_NR_RSS];  /* pages in entries, counted under t of any table */
	_Atomic(kmm_word) peak_rss;         /* up to the last time that rss sank: see kmm_mm_peak_rss() */
	kmm_word swap_last;                 /* address of the last page that came from swap; these three: hints, atomic */
	unsigned swap_window, swap_hits;    /* pages to read at once; pages read ahead and used since: fault/ahead.c */
	kmm_word faults, cow_copies, cow_reuses, zero_maps, file_maps, major_faults; /* kmm_mm_count() */
	struct kmm_group *group;            /* m; looked at without a lock: whom its pages are charged to, NULL: nobody */
	struct kmm_tie tie;                 /* m: the first of its groups, NULL: none, and the others */
	uint32_t oom_group;                 /* atomic: number of the group that refused a page last, 0: the machine did */
	kmm_word faults_before, major_before; /* m: faults before it joined its group */
};

static inline void kmm_mm_lock(struct kmm_mm *mm) { kmm_mutex_lock_class(mm->k, &mm->lock, KMM_LOCK_MM); }
/* A reference to a space found in the list of all, whose lock is held. false: it is being emptied. */
bool kmm_mm_try_get(struct kmm_mm *mm);
/* Unlocks all areas that were locked for writing, and frees those that were unlinked. */
void kmm_mm_unlock(struct kmm_mm *mm);

/* One more of the events that a space counts for itself. */
static inline void kmm_mm_count(const struct kmm_mm *mm, kmm_word *counter)
{
	if (mm->k->machine.nr_cpus == 1)
		__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* ---- neighbours ---- */

static inline struct kmm_vma *kmm_vma_next(const struct kmm_vma *vma)
{
	return vma->link.next == &vma->mm->vmas ? NULL : kmm_container(vma->link.next, struct kmm_vma, link);
}

static inline struct kmm_vma *kmm_vma_prev(const struct kmm_vma *vma)
{
	return vma->link.prev == &vma->mm->vmas ? NULL : kmm_container(vma->link.prev, struct kmm_vma, link);
}

static inline struct kmm_vma *kmm_mm_first(const struct kmm_mm *mm)
{
	return kmm_list_empty(&mm->vmas) ? NULL : kmm_container(mm->vmas.next, struct kmm_vma, link);
}

/* First VMA ending above addr, and the last one that ends at or below addr (NULL where none). */
struct kmm_vma *kmm_mm_find(struct kmm_mm *mm, kmm_word addr);
struct kmm_vma *kmm_mm_find_prev(struct kmm_mm *mm, kmm_word addr, struct kmm_vma **prev);

/* Does an area reach over addr, from below it to above? */
bool kmm_mm_is_inside(struct kmm_mm *mm, kmm_word addr);

/* ---- addresses of this machine ---- */

/* Where the space ends, and where it ends for who does not ask for high addresses. */
static inline kmm_word kmm_mm_task_size(const struct kmm_mm *mm)
{
	return (kmm_word)(mm->limits.user_end ? mm->limits.user_end : mm->k->layout.user_end_max);
}
static inline kmm_word kmm_mm_window(const struct kmm_mm *mm)
{
	return (kmm_word)(mm->limits.user_end ? mm->limits.user_end : mm->k->layout.user_end);
}
/* Page-aligns a length upwards in the machine's own word size: it can wrap to 0 as it would there. */
static inline uint64_t kmm_mm_page_align(const struct kmm_mm *mm, uint64_t len)
{
	uint64_t mask = kmm_pt_fmt(mm->k)->va_bits > 32 ? UINT64_MAX : UINT32_MAX;

	return kmm_align_up(len, KMM_PAGE_SIZE) & mask;
}
/* Start of an area with the guard gap that a growing one keeps below it. */
kmm_word kmm_vma_start_gap(const struct kmm_vma *vma);

static inline kmm_word kmm_vma_pages(const struct kmm_vma *vma)
{
	return (vma->end - vma->start) >> KMM_PAGE_SHIFT;
}

/* Linear page number of an address in an area. */
static inline uint64_t kmm_vma_index(const struct kmm_vma *vma, kmm_word addr)
{
	return vma->pgoff + ((addr - vma->start) >> KMM_PAGE_SHIFT);
}

/* ---- entries ---- */

/* Leaf flags for an area with these VMA flags, without WRITE: that depends on the page. An area without access has
 * present entries without USER, so the frame stays known and every access of ring 3 faults. */
static inline uint32_t kmm_vma_leaf(const struct kmm *k, uint32_t vm_flags)
{
	uint32_t leaf = KMM_PTE_PRESENT;

	if (vm_flags & KMM_VM_ACCESS)
		leaf |= KMM_PTE_USER | KMM_PTE_ACCESSED;
	if ((vm_flags & KMM_VM_EXEC) || !kmm_fmt(k)->has_nx || k->machine.no_nx)
		leaf |= KMM_PTE_EXEC;
	return leaf;
}

/* The same as an entry's bits, to which a frame is added (kmm_pt_leaf()) and perhaps KMM_X86_RW. */
static inline uint64_t kmm_vma_rights(const struct kmm *k, uint32_t vm_flags)
{
	uint64_t raw = KMM_X86_P;

	if (vm_flags & KMM_VM_ACCESS)
		raw |= KMM_X86_US | KMM_X86_A;
	if (!(vm_flags & KMM_VM_EXEC) && kmm_pt_fmt(k)->has_nx && !k->machine.no_nx)
		raw |= KMM_X86_NX;
	return raw;
}

static inline bool kmm_vma_is_private(const struct kmm_vma *vma) { return !(vma->flags & KMM_VM_SHARED); }

/* The entry n places behind ref, in the same table. */
static inline struct kmm_ptref kmm_ptref_at(const struct kmm *k, const struct kmm_ptref *ref, unsigned n)
{
	struct kmm_ptref at = *ref;

	at.entry = (char *)ref->entry + n * kmm_fmt(k)->entry_size;
	return at;
}

/* A pin (kmm_pin_user()) is that many references at once, so pages that have some stand out: of single references there are
 * never half as many that are no mappings. Who has a private page's entry locked, or no pin can be new, gets an exact answer,
 * for pages are pinned with their entry locked. */
#define KMM_PIN_REFS 1024u

static inline bool kmm_page_is_pinned(const struct kmm_page *page)
{
	uint32_t refs = atomic_load_explicit(&page->refcount, memory_order_acquire);

	return refs >= KMM_PIN_REFS && refs - atomic_load_explicit(&page->count, memory_order_relaxed) >= KMM_PIN_REFS / 2;
}

static inline kmm_word kmm_mm_rss(const struct kmm_mm *mm, unsigned sort)
{
	return atomic_load_explicit(&mm->rss[sort], memory_order_relaxed);
}

/* Resident pages, and the most there ever were. The peak is brought up to date before rss sinks, not at each fault. */
kmm_word kmm_mm_resident(const struct kmm_mm *mm);
kmm_word kmm_mm_peak_rss(const struct kmm_mm *mm);
/* Before pages go: what is resident now may be the peak. Any lock. */
void kmm_mm_note_peak(struct kmm_mm *mm);

static inline void kmm_mm_count_rss(struct kmm_mm *mm, unsigned sort, kmm_word more)
{
	if (more)
		atomic_fetch_add_explicit(&mm->rss[sort], more, memory_order_relaxed);
}

/* The frame of an entry is mapped once more, or less. t: held. The zero page is not counted. */
static inline void kmm_vma_count_page(struct kmm_vma *vma, struct kmm_page *page, bool mapped)
{
	enum kmm_kind kind = kmm_page_kind(page);
	unsigned sort = kind == KMM_KIND_ANON ? KMM_RSS_ANON : vma->flags & KMM_VM_SHMEM ? KMM_RSS_SHMEM : KMM_RSS_FILE;

	if (kind == KMM_KIND_ZERO)
		return;
	atomic_fetch_add_explicit(&page->count, mapped ? 1u : -1u, memory_order_relaxed);
	kmm_mm_count_rss(vma->mm, sort, mapped ? 1 : -(kmm_word)1);
}

/* Every present entry in [start, end) of vma goes; frames are dropped through tlb, which may be flushed on the way.
 * false: no table of the range can have fallen empty. Lock held: m, or b of the area's backing. No spin locks. */
bool kmm_zap(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_tlb *tlb);
/* The same while the area stays: in one with a backing, watched writes stay watched. */
void kmm_zap_pages(struct kmm_vma *vma, kmm_word start, kmm_word end, struct kmm_tlb *tlb);

/* Each area of a guest's owner that would show the guest's page at va and has a table there, which is locked; ref is the
 * entry, whatever it shows. visit returns false to stop. context: no spin locks; for pages of files b is held. */
void kmm_guest_walk(struct kmm *k, const struct kmm_guest *guest,
		    bool (*visit)(void *arg, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va), void *arg);

/* ---- limits (Linux's rules) ---- */

/* Would `pages` more of an area with these flags pass RLIMIT_AS and RLIMIT_DATA? */
bool kmm_mm_may_expand(const struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages);
/* May the space promise itself so many pages more (commit.c)? */
bool kmm_vm_enough(const struct kmm_mm *mm, kmm_word pages);
/* RLIMIT_MEMLOCK: may the program lock at all, and that many more pages of an area with these flags? */
bool kmm_mm_may_lock(const struct kmm_mm *mm);
bool kmm_mm_lock_fits(const struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages);
/* Adds to VmSize and its parts (negative by wrap-around: account(-n)). */
void kmm_mm_account(struct kmm_mm *mm, uint32_t vm_flags, kmm_word pages);
/* Pages that stay get other rights. */
void kmm_mm_account_change(struct kmm_mm *mm, uint32_t old_flags, uint32_t new_flags, kmm_word pages);
/* Would a mapping with these properties count towards overcommit? */
static inline bool kmm_vm_accountable(uint32_t vm_flags)
{
	return (vm_flags & (KMM_VM_NORESERVE | KMM_VM_SHARED | KMM_VM_WRITE)) == KMM_VM_WRITE;
}

/* ---- reserving, then changing ---- */

struct kmm_reserve {
	struct kmm_vma *vma[4];
	unsigned nr;
};
/* What is not used, kmm_reserve_drop() and kmm_mm_unlock() give back.
 * VMAs, and nodes for `inserts` insertions around each of up to two places. errors: KMM_ENOMEM, nothing is held. */
KMM_MUST_CHECK enum kmm_status kmm_reserve(struct kmm_mm *mm, struct kmm_reserve *r, unsigned nr_vmas, unsigned inserts,
					   kmm_word at, kmm_word at2);
struct kmm_vma *kmm_reserve_take(struct kmm_mm *mm, struct kmm_reserve *r);
void kmm_reserve_drop(struct kmm_mm *mm, struct kmm_reserve *r);

/* Edits hold b of the one backing involved, if any. */
void kmm_edit_begin(struct kmm *k, struct kmm_backing *backing);
void kmm_edit_end(struct kmm *k, struct kmm_backing *backing);
/* Inside an edit. link: into index, list and reverse maps (vma->anon is set by kmm_anon_link). */
void kmm_vma_link(struct kmm_mm *mm, struct kmm_vma *vma);
void kmm_vma_unlink(struct kmm_mm *mm, struct kmm_vma *vma);
/* Out of the reverse maps alone, before the area's tables and the area itself go; takes b. */
void kmm_vma_leave_maps(struct kmm_vma *vma);
void kmm_vma_set_range(struct kmm_vma *vma, kmm_word start, kmm_word end);
/* vma takes over the range of gone, which follows it; gone is unlinked. */
void kmm_vma_join(struct kmm_mm *mm, struct kmm_vma *vma, struct kmm_vma *gone);
/* The memory of an area that is linked nowhere and seen by nobody. */
void kmm_vma_free(struct kmm_mm *mm, struct kmm_vma *vma);
/* Outside: drops the backing's reference. The VMA was unlinked; it goes when m is given back. */
void kmm_vma_retire(struct kmm_vma *vma);
/* An area's reference to its backing, with the backing's count of areas. No spin locks. */
void kmm_vma_hold_backing(struct kmm_vma *vma);
void kmm_vma_drop_backing(struct kmm_vma *vma);
/* Who watches it; u and flags (KMM_VM_WATCHED) or neither. Locked for writing, or not linked yet. */
void kmm_vma_watch(struct kmm_vma *vma, struct kmm_userfault *u, uint32_t flags);
static inline void kmm_vma_unwatch(struct kmm_vma *vma)
{
	if (vma->userfault)
		kmm_vma_watch(vma, NULL, 0);
}
/* Entries of a range in mm: writes to them are the watcher's, or nobody's, to allow (watch.c). m held and the area locked for
 * writing, or not found yet. */
void kmm_watch_writes(struct kmm_mm *mm, kmm_word start, kmm_word end, bool watched);
/* The same, on, also for what no entry shows yet in an area with a backing. errors: KMM_ENOMEM, nothing was done. */
KMM_MUST_CHECK enum kmm_status kmm_vma_watch_writes(struct kmm_vma *vma, kmm_word start, kmm_word end);
/* What watchers are told (notes.c); m held. A note before the change that it is about; told when m is given back. errors: KMM_ENOMEM. */
static inline bool kmm_vma_tells(const struct kmm_vma *vma, unsigned what)
{
	return vma->userfault && (vma->userfault->events & what);
}
KMM_MUST_CHECK enum kmm_status kmm_note(struct kmm_mm *mm, struct kmm_userfault *u, const struct kmm_userfault_event *event);
KMM_MUST_CHECK enum kmm_status kmm_note_unmap_slow(struct kmm_mm *mm, kmm_word start, kmm_word end);
static inline enum kmm_status kmm_note_unmap(struct kmm_mm *mm, kmm_word start, kmm_word end)
{
	return __builtin_expect(mm->tells, 0) ? kmm_note_unmap_slow(mm, start, end) : KMM_OK;
}
/* copy, not linked yet, of vma, whose watcher wants to hear of that, is watched by the child's. */
KMM_MUST_CHECK enum kmm_status kmm_note_fork(struct kmm_vma *copy, const struct kmm_vma *vma);
/* All of them are not to be told after all. */
void kmm_notes_drop(struct kmm_mm *mm);
/* Without m, which the caller had when they were noted. */
void kmm_notes_tell(struct kmm_mm *mm, struct kmm_note *notes);
/* A copy of an area's properties for space mm, without links, locks and anon object; with a reference to the backing. */
void kmm_vma_copy(struct kmm_vma *to, const struct kmm_vma *from, struct kmm_mm *mm);

/* Cuts vma at addr inside it; `tail` (from a reserve) becomes [addr, end) and is returned. */
struct kmm_vma *kmm_vma_split(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word addr, struct kmm_vma *tail);

/* What is to become of [start, end): an area with these properties. */
struct kmm_piece {
	kmm_word start, end;
	uint32_t flags;
	struct kmm_backing *backing;
	uint64_t pgoff;
	struct kmm_anon *anon;
	uint32_t tag;
	struct kmm_opening *opening;
	struct kmm_userfault *userfault; /* with KMM_VM_WATCHED flags */
};
/* Linux's merge rules (merge.c). prev: the area before start, or the one that contains it. Returns the area that now
 * covers the piece, or NULL: nothing changed. Flags of areas merged into are the piece's already. */
struct kmm_vma *kmm_vma_merge(struct kmm_mm *mm, struct kmm_vma *prev, const struct kmm_piece *piece);
/* As mmap does for a new area in a hole. */
struct kmm_vma *kmm_vma_merge_new(struct kmm_mm *mm, const struct kmm_piece *piece);
bool kmm_vma_can_follow(const struct kmm_vma *prev, const struct kmm_piece *piece);

/* Gives [start, end) of vma other flags by merging or splitting. *out: the area that has them (its flags still the old
 * ones). r: two VMAs. errors: KMM_ENOMEM max_map_count. */
KMM_MUST_CHECK enum kmm_status kmm_vma_carve(struct kmm_mm *mm, struct kmm_vma *prev, struct kmm_vma *vma, kmm_word start,
					     kmm_word end, uint32_t flags, struct kmm_reserve *r, struct kmm_vma **out);
/* What kmm_vma_carve can need for the range. vma: what kmm_mm_find() says of its start. */
KMM_MUST_CHECK enum kmm_status kmm_reserve_carve(struct kmm_mm *mm, struct kmm_reserve *r, const struct kmm_vma *vma,
						 kmm_word start, kmm_word end);

/* Removes all areas and entries of [start, end). r: a VMA if kmm_unmap_splits(). */
enum kmm_unmap_how {
	KMM_UNMAP_ALL,
	KMM_UNMAP_KEEP_TABLES, /* empty tables stay */
	KMM_UNMAP_NO_ENTRIES   /* there are none: they were moved away */
};
bool kmm_unmap_splits(struct kmm_mm *mm, kmm_word start, kmm_word end);
void kmm_unmap(struct kmm_mm *mm, kmm_word start, kmm_word end, struct kmm_reserve *r, enum kmm_unmap_how how);
/* munmap(2) with m held. */
KMM_MUST_CHECK enum kmm_status kmm_munmap_locked(struct kmm_mm *mm, kmm_word start, uint64_t len);
/* Frees empty tables of a hole, as far as no area around it needs them. */
void kmm_free_hole_tables(struct kmm_mm *mm, kmm_word start, kmm_word end);

/* ---- calls, as far as they do not touch memory ----
 * The fault layer has the public functions, which fault in what a call leaves in a struct kmm_populate. */

/* Bytes to fault in; len 0: none. */
struct kmm_populate {
	kmm_word at, len;
};
KMM_MUST_CHECK enum kmm_status kmm_mm_protect(struct kmm_mm *mm, kmm_word addr, uint64_t len, unsigned prot,
					      struct kmm_populate *populate);
KMM_MUST_CHECK enum kmm_status kmm_mm_remap(struct kmm_mm *mm, kmm_word old_addr, uint64_t old_len, uint64_t new_len,
					    unsigned flags, struct kmm_uva *place, struct kmm_populate *populate);
kmm_word kmm_mm_brk(struct kmm_mm *mm, kmm_word want, struct kmm_populate *populate);
/* Advice that is no populating. */
KMM_MUST_CHECK enum kmm_status kmm_mm_advise(struct kmm_mm *mm, kmm_word start, kmm_word end, int advice);
/* locks: KMM_VM_ bits that [addr, addr + len) gets, 0: none. Of all areas: kmm_mm_lock_all(). */
KMM_MUST_CHECK enum kmm_status kmm_mm_lock_range(struct kmm_mm *mm, kmm_word addr, uint64_t len, uint32_t locks,
						 struct kmm_populate *populate);
KMM_MUST_CHECK enum kmm_status kmm_mm_lock_all(struct kmm_mm *mm, unsigned flags);
/* As mincore says it, of nr pages, to vec; of *done at least. errors: KMM_ENOMEM a hole. */
KMM_MUST_CHECK enum kmm_status kmm_mm_resident_pages(struct kmm_mm *mm, kmm_word addr, unsigned nr, uint8_t *vec,
						     unsigned *done);

/* ---- mmap, as far as it does not touch memory ---- */

struct kmm_map_request {
	kmm_word addr;
	uint64_t len;
	unsigned prot, flags;
	struct kmm_backing *backing;
	uint64_t pgoff;
	struct kmm_opening *opening;
};
/* mmap(2) without populating; m held. *populate: bytes to fault in. */
KMM_MUST_CHECK enum kmm_status kmm_map(struct kmm_mm *mm, struct kmm_map_request *rq, kmm_word *out, kmm_word *populate);
/* A new area where it is free, not merged, limits not asked; m held. errors: KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_map_alone(struct kmm_mm *mm, const struct kmm_piece *piece);
/* Where to map len bytes (get_unmapped_area). pgoff: unused but by FIXED rules; flags: KMM_MAP_. */
KMM_MUST_CHECK enum kmm_status kmm_place(struct kmm_mm *mm, kmm_word addr, uint64_t len, unsigned flags, kmm_word *out);

/* Grows a stack-like area down to the page of addr. errors: KMM_EFAULT limits or the guard gap refuse; KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_vma_grow_down(struct kmm_vma *vma, kmm_word addr);

/* ---- groups (member.c) ---- */

/* Fork: the child, which nobody knows yet, belongs where its parent does, whose m is held. */
void kmm_mm_inherit_group(struct kmm_mm *child, const struct kmm_mm *parent);
/* The space is gone: nothing will be charged because of it. */
void kmm_mm_leave_groups(struct kmm_mm *mm);
/* Charges a page, of kind ANON or FILE and just allocated, to the space's group, if it has one. errors: as kmm_group_charge(). */
KMM_MUST_CHECK enum kmm_status kmm_mm_charge(struct kmm_mm *mm, struct kmm_page *page, enum kmm_charge_how how);
/* The same for a page that comes back from a slot of that group (may be NULL): there if there is room. May reclaim. */
KMM_MUST_CHECK enum kmm_status kmm_mm_charge_back(struct kmm_mm *mm, struct kmm_page *page, struct kmm_group *group);
/* The same for a page of a file, to the group of whoever runs. */
KMM_MUST_CHECK enum kmm_status kmm_charge_running(struct kmm *k, struct kmm_page *page, enum kmm_charge_how how);

/* ---- private pages ---- */

/* Gives vma an anon object if it has none: a neighbour's where they could merge, else a new one. errors: KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_anon_prepare(struct kmm_vma *vma);
/* vma joins the object of `from` with the same tag; nothing if from has none. vma has none. */
void kmm_anon_link(struct kmm_vma *vma, const struct kmm_vma *from);
/* The same with the lock of that object held; it has one. */
void kmm_anon_join(struct kmm_vma *vma, const struct kmm_vma *from);
/* The same for fork: a tag of its own. */
void kmm_anon_link_child(struct kmm_vma *vma, const struct kmm_vma *parent);
/* Leaves the object; the last one frees it. */
void kmm_anon_unlink(struct kmm_vma *vma);

/* Name as in /proc/PID/maps; "" when it has none. */
const char *kmm_vma_name(const struct kmm_vma *vma);

#endif
