/* SPDX-License-Identifier: MIT */
/*
 * User address spaces (tier c): VMAs, the mmap family, faults, fork, and accesses on behalf of a space.
 * Numbers of flags are Linux's (asm-generic), so a system call layer passes them through.
 * Locking: each call takes the space's lock itself; callers hold none. All may sleep.
 */
#ifndef KMM_MM_H
#define KMM_MM_H

#include "kmm/backing.h"
#include "kmm/node.h"
#include "kmm/pagetable.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	KMM_MAP_SHARED = 0x01, KMM_MAP_PRIVATE = 0x02, KMM_MAP_SHARED_VALIDATE = 0x03, KMM_MAP_TYPE = 0x0f,
	KMM_MAP_FIXED = 0x10, KMM_MAP_ANONYMOUS = 0x20, KMM_MAP_32BIT = 0x40,
	KMM_MAP_GROWSDOWN = 0x0100, KMM_MAP_DENYWRITE = 0x0800, KMM_MAP_EXECUTABLE = 0x1000,
	KMM_MAP_LOCKED = 0x2000, KMM_MAP_NORESERVE = 0x4000, KMM_MAP_POPULATE = 0x8000,
	KMM_MAP_NONBLOCK = 0x10000, KMM_MAP_STACK = 0x20000, KMM_MAP_HUGETLB = 0x40000,
	KMM_MAP_FIXED_NOREPLACE = 0x100000,
	/* Not Linux's, to be taken out of what a program passes. How the backing was opened: without write access, so a
	 * shared mapping of it never becomes writable (KMM_EACCES); without read access (KMM_EACCES); it cannot be mapped
	 * (KMM_ENODEV). */
	KMM_MAP_RDONLY = 0x2000000, KMM_MAP_WRONLY = 0x1000000, KMM_MAP_NODEV = 0x800000
};
enum { KMM_MREMAP_MAYMOVE = 1, KMM_MREMAP_FIXED = 2, KMM_MREMAP_DONTUNMAP = 4 };
enum {
	KMM_MADV_NORMAL = 0, KMM_MADV_RANDOM = 1, KMM_MADV_SEQUENTIAL = 2, KMM_MADV_WILLNEED = 3, KMM_MADV_DONTNEED = 4,
	KMM_MADV_FREE = 8, KMM_MADV_REMOVE = 9, KMM_MADV_DONTFORK = 10, KMM_MADV_DOFORK = 11, KMM_MADV_MERGEABLE = 12,
	KMM_MADV_UNMERGEABLE = 13, KMM_MADV_HUGEPAGE = 14, KMM_MADV_NOHUGEPAGE = 15, KMM_MADV_DONTDUMP = 16,
	KMM_MADV_DODUMP = 17, KMM_MADV_WIPEONFORK = 18, KMM_MADV_KEEPONFORK = 19, KMM_MADV_COLD = 20,
	KMM_MADV_PAGEOUT = 21, KMM_MADV_POPULATE_READ = 22, KMM_MADV_POPULATE_WRITE = 23, KMM_MADV_DONTNEED_LOCKED = 24,
	KMM_MADV_COLLAPSE = 25, KMM_MADV_HWPOISON = 100, KMM_MADV_SOFT_OFFLINE = 101
};
enum { KMM_MLOCK_ONFAULT = 1 };
enum { KMM_MCL_CURRENT = 1, KMM_MCL_FUTURE = 2, KMM_MCL_ONFAULT = 4 };
enum { KMM_MS_ASYNC = 1, KMM_MS_INVALIDATE = 2, KMM_MS_SYNC = 4 };

/* What Linux grants by capabilities (capabilities(7)): LOCK, as CAP_IPC_LOCK: memlock_bytes does not count; ADMIN, as
 * CAP_SYS_ADMIN: may promise itself what is kept back for who puts things right, and say that hardware is broken; MAP_LOW, as
 * CAP_SYS_RAWIO: may map below mmap_min_addr, at the exact place that it asks for (page 0 is then memory as any other). */
enum { KMM_MAY_LOCK = 1, KMM_MAY_ADMIN = 2, KMM_MAY_MAP_LOW = 4 };

/* How places for mappings are found, where that is not from high to low. As personality(2) says it on Linux: BOTTOM_UP, as
 * ADDR_COMPAT_LAYOUT: the lowest hole from a third of the addresses on; NOT_RANDOM, as ADDR_NO_RANDOMIZE: as if
 * kmm_machine.randomise were not set; RANDOM: as if it were, unless NOT_RANDOM. */
enum { KMM_LAYOUT_BOTTOM_UP = 1, KMM_LAYOUT_NOT_RANDOM = 2, KMM_LAYOUT_RANDOM = 4 };

/* Limits and tunables of one space; defaults are Linux's. Inherited by fork. */
struct kmm_mm_limits {
	uint64_t as_bytes, data_bytes, stack_bytes; /* RLIMIT_AS, _DATA (default: unlimited), _STACK (8 MiB) */
	uint64_t data_hard_bytes;                   /* the hard RLIMIT_DATA: what holds for mappings when data_bytes is 0 */
	uint64_t memlock_bytes;                     /* RLIMIT_MEMLOCK (8 MiB) */
	uint32_t rights;                            /* KMM_MAY_... (none): what rules do not hold for */
	uint32_t max_map_count;                     /* 65530 */
	uint64_t mmap_min_addr;                     /* 65536 */
	uint32_t stack_guard_pages;                 /* 256 */
	uint32_t layout;                            /* KMM_LAYOUT_... (0), set before anything is mapped */
	uint64_t user_end;                          /* 0: the machine's. A 32-bit program on a 64-bit machine: where its
	                                               addresses end (Linux: ffffe000); set before anything is mapped */
};

/* A new empty space: kernel half shared, no VMAs. errors: KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_mm_create(struct kmm *k, struct kmm_mm **out);
/* A child with the same VMAs; private writable pages become copy-on-write in both. KMM_ENOMEM: nothing changed
 * for the parent but write-protection that its next write undoes. */
KMM_MUST_CHECK enum kmm_status kmm_mm_fork(struct kmm_mm *parent, struct kmm_mm **out);
/* References; the last put unmaps everything and frees tables. It must not be active on any CPU. */
void kmm_mm_get(struct kmm_mm *mm);
void kmm_mm_put(struct kmm_mm *mm);
struct kmm *kmm_mm_machine(const struct kmm_mm *mm);
struct kmm_paddr kmm_mm_root(const struct kmm_mm *mm);
struct kmm_mm_limits *kmm_mm_limits(struct kmm_mm *mm);
/* Which nodes the space's private pages come from, from now on (kmm/node.h); inherited by fork. errors: as
 * kmm_mempolicy_make(). */
KMM_MUST_CHECK enum kmm_status kmm_mm_set_policy(struct kmm_mm *mm, enum kmm_policy mode, uint32_t nodes);

/* What a space wants to happen when there is no memory for its private pages; inherited by fork.
 *   SWAP    others' pages and its own go to swap and caches are emptied; if nothing can go, the fault is KMM_FAULT_OOM
 *   ENOMEM  calls that ask for memory are refused beyond the commit limit, whatever the machine's rule for promises is, so
 *           that what was promised can be had (from memory or swap)
 *   BLOCK   as SWAP, but if nothing can go the fault waits until something is freed; for ever, if nobody frees anything. A
 *           port without `wait` cannot: then as SWAP */
enum kmm_answer { KMM_ANSWER_SWAP, KMM_ANSWER_ENOMEM, KMM_ANSWER_BLOCK, KMM_NR_ANSWERS };
const char *kmm_answer_name(enum kmm_answer answer); /* "swap", "enomem", "block" */
/* From now on. errors: KMM_EINVAL no such answer. */
KMM_MUST_CHECK enum kmm_status kmm_mm_set_answer(struct kmm_mm *mm, enum kmm_answer answer);
enum kmm_answer kmm_mm_answer(const struct kmm_mm *mm);
/* Of spaces that are created (not forked) from now on; SWAP at first. errors: KMM_EINVAL. */
KMM_MUST_CHECK enum kmm_status kmm_set_answer(struct kmm *k, enum kmm_answer answer);
enum kmm_answer kmm_answer_of(const struct kmm *k);

/* How much spaces may promise themselves beyond what there is (/proc/sys/vm/overcommit_memory and _ratio; GUESS and 50 at
 * first). ratio: per cent of memory, to which swap is added. errors: KMM_EINVAL. */
enum { KMM_OVERCOMMIT_GUESS, KMM_OVERCOMMIT_ALWAYS, KMM_OVERCOMMIT_NEVER };
KMM_MUST_CHECK enum kmm_status kmm_set_overcommit(struct kmm *k, unsigned mode, unsigned ratio);
/* The limit of NEVER as an amount instead of a ratio (/proc/sys/vm/overcommit_kbytes): in pages, to which swap is added. The one
 * that is set last counts, and the other is 0. 0: nothing but swap, unless a ratio is set. */
void kmm_set_overcommit_pages(struct kmm *k, kmm_word pages);
/* What NEVER keeps back (/proc/sys/vm/admin_reserve_kbytes and user_reserve_kbytes), in pages: from all without KMM_MAY_ADMIN; and
 * from each space, which keeps back a 32nd of its size at most. At first 3 % of memory, at most 8 MiB; a 32nd, at most 128 MiB. */
void kmm_set_overcommit_reserves(struct kmm *k, kmm_word admin, kmm_word user);
struct kmm_overcommit {
	unsigned mode, ratio;
	kmm_word admin_reserve, user_reserve; /* pages */
	kmm_word pages; /* kmm_set_overcommit_pages(); 0: the ratio counts */
	kmm_word limit_pages, committed_pages;
};
void kmm_overcommit(struct kmm *k, struct kmm_overcommit *out);

/* mmap(2). addr: hint, or the place with FIXED. backing: NULL for anonymous; otherwise a reference is taken.
 * pgoff in pages. errors as Linux 6.1 by kmm_status_errno(): KMM_EINVAL (length 0, unaligned FIXED, bad
 * type), KMM_ENOMEM (no room, limits), KMM_EEXIST, KMM_EPERM (below mmap_min_addr), KMM_EOVERFLOW. */
KMM_MUST_CHECK enum kmm_status kmm_mmap(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned prot,
					unsigned flags, struct kmm_backing *backing, uint64_t pgoff,
					struct kmm_uva *out);
/* One opening of something that is mapped: what a struct file is to Linux. Areas of different openings never become one, and it
 * knows the name that maps and smaps show. Each area has a reference. */
struct kmm_opening {
	uint32_t refs; /* atomic; begins as 1, the embedder's */
	/* The last reference is gone; NULL: there is nothing to do. Called with the space locked: it must not sleep. */
	void (*release)(struct kmm_opening *opening);
	/* The name as it is now, with " (deleted)" if it is gone. Called with the space locked and no spin lock; must not call the
	 * core. NULL: the backing's name. */
	void (*put_name)(struct kmm_opening *opening, struct kmm_sink *out);
	uint32_t dev_major, dev_minor; /* of a mapping without a backing, for /proc/PID/maps */
	uint64_t ino;
};
void kmm_opening_get(struct kmm_opening *opening);
void kmm_opening_put(struct kmm_opening *opening);

/* The same for a file that was opened more than once. opening: NULL of all that nobody tells apart, as kmm_mmap() says. With an
 * opening but neither backing nor ANONYMOUS it is Linux's /dev/zero: private memory like any other, but for its name, that it
 * keeps its pgoff, and that it is a file to WIPEONFORK, REMOVE and GROWSDOWN; SHARED: new shared memory. */
struct kmm_mmap_args {
	struct kmm_uva addr;
	uint64_t len;
	unsigned prot, flags;
	struct kmm_backing *backing;
	uint64_t pgoff;
	struct kmm_opening *opening;
};
KMM_MUST_CHECK enum kmm_status kmm_mmap_opened(struct kmm_mm *mm, const struct kmm_mmap_args *args, struct kmm_uva *out);
KMM_MUST_CHECK enum kmm_status kmm_munmap(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len);
/* shmdt(2): unmaps what is left of one mapping from its first page at addr, of a backing that counts its areas by ops; of several
 * that would fit, the lowest area's. errors: KMM_EINVAL (none; not aligned). */
KMM_MUST_CHECK enum kmm_status kmm_munmap_attached(struct kmm_mm *mm, struct kmm_uva addr, const struct kmm_area_ops *ops);
KMM_MUST_CHECK enum kmm_status kmm_mprotect(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned prot);
KMM_MUST_CHECK enum kmm_status kmm_mremap(struct kmm_mm *mm, struct kmm_uva old_addr, uint64_t old_len,
					  uint64_t new_len, unsigned flags, struct kmm_uva new_addr,
					  struct kmm_uva *out);
/* madvise(2): every advice of Linux 6.1, done or refused as where huge pages are never used (HUGEPAGE and NOHUGEPAGE mark areas;
 * COLLAPSE: KMM_EINVAL of what could not be collapsed, KMM_ENOMEM of what could). PAGEOUT writes private pages to swap and those of files to their files, as
 * far as nobody else maps them and there is somewhere to go; those of files leave the tables in any case, and what FREE gave up
 * is dropped. MERGEABLE marks areas, and nothing merges pages, as where ksmd was not started. errors: KMM_EINVAL (advice,
 * alignment, an area that cannot be
 * advised so), KMM_ENOMEM (a hole; the rest is done), KMM_EAGAIN (no memory to cut areas), KMM_EACCES and KMM_ENOTSUP
 * (REMOVE of what is not shared or could never be writable, of a backing without holes), KMM_EFAULT (POPULATE_ beyond the end),
 * KMM_EPERM (HWPOISON and SOFT_OFFLINE without KMM_MAY_ADMIN; else KMM_EINVAL: no frame can be given up here). */
KMM_MUST_CHECK enum kmm_status kmm_madvise(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, int advice);
/* mlock(2), mlock2(2) (flags: KMM_MLOCK_ONFAULT), munlock(2), mlockall(2) (flags: KMM_MCL_), munlockall(2). Locked memory is
 * resident at once but with ONFAULT. errors: KMM_EINVAL, KMM_EPERM (the limit is 0), KMM_ENOMEM (the limit; a hole, and what
 * came before it is locked; a page that cannot be had), KMM_EAGAIN (no frames). */
KMM_MUST_CHECK enum kmm_status kmm_mlock(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned flags);
KMM_MUST_CHECK enum kmm_status kmm_munlock(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len);
KMM_MUST_CHECK enum kmm_status kmm_mlockall(struct kmm_mm *mm, unsigned flags);
void kmm_munlockall(struct kmm_mm *mm);
/* mincore(2): a byte for each page of [addr, addr + len) to vec in the space: 1 resident, that is in an entry or in the
 * cache of the backing. errors: KMM_EINVAL, KMM_ENOMEM (a hole), KMM_EFAULT (vec). */
KMM_MUST_CHECK enum kmm_status kmm_mincore(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, struct kmm_uva vec);
/* msync(2): shared mappings of the range, by their backings' write_back. errors: KMM_EINVAL, KMM_ENOMEM (a hole, what is
 * mapped is done), KMM_EBUSY (INVALIDATE of locked memory), what write_back says. */
KMM_MUST_CHECK enum kmm_status kmm_msync(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned flags);
/* remap_file_pages(2): another part of a shared mapping's backing at its place. errors: KMM_EINVAL, and those of mmap. */
KMM_MUST_CHECK enum kmm_status kmm_remap_file_pages(struct kmm_mm *mm, struct kmm_uva addr, uint64_t len, unsigned prot,
						    uint64_t pgoff, unsigned flags);
/* The heap: set_brk once by exec; kmm_brk returns the break after the call (the old one on failure), as Linux. */
void kmm_mm_set_brk(struct kmm_mm *mm, struct kmm_uva start);
struct kmm_uva kmm_brk(struct kmm_mm *mm, struct kmm_uva want);
/* The stack VMA of exec: initial_bytes below top, grows down to the stack limit, shown as [stack]. */
KMM_MUST_CHECK enum kmm_status kmm_mm_map_stack(struct kmm_mm *mm, struct kmm_uva top, uint64_t initial_bytes,
						bool executable);
/* The size of the program's initialised data, which RLIMIT_DATA counts with the heap. */
void kmm_mm_set_data(struct kmm_mm *mm, kmm_word bytes);
/* Where the program's code lies, for VmExe and statm. */
void kmm_mm_set_code(struct kmm_mm *mm, struct kmm_uva start, struct kmm_uva end);
/* Frames of the embedder shown to a space (a vdso page). name: constant text such as "[vdso]". Page references are
 * taken. Not inherited writable. */
KMM_MUST_CHECK enum kmm_status kmm_mm_map_special(struct kmm_mm *mm, struct kmm_uva addr, struct kmm_page *const *pages,
						  kmm_word nr_pages, unsigned prot, const char *name);

/* ---- faults ---- */
enum kmm_fault_kind {
	KMM_FAULT_OK,          /* retry the access */
	KMM_FAULT_SEGV_MAPERR, /* SIGSEGV code 1: nothing mapped */
	KMM_FAULT_SEGV_ACCERR, /* SIGSEGV code 2: not that way */
	KMM_FAULT_BUS_ADRERR,  /* SIGBUS code 2: beyond the end of the file */
	KMM_FAULT_BUS_EIO,     /* SIGBUS code 2 after an I/O error */
	KMM_FAULT_OOM          /* no frame: the embedder decides */
};
struct kmm_fault_info {
	struct kmm_uva addr;
	enum kmm_access access;
	struct kmm_uva stack_pointer; /* of the user context, for the trace; 0: unknown. As in Linux since 5.0 a stack
	                                 grows wherever below it the access is. */
};
/* Handles a fault at a user address. Bad addresses (kernel half, non-canonical) give MAPERR; the trap code gives
 * SI_KERNEL for general protection by itself. context: process, may sleep. */
enum kmm_fault_kind kmm_handle_fault(struct kmm_mm *mm, const struct kmm_fault_info *info);

/* ---- accesses on behalf of a space: the only way for system call code to touch user memory ----
 * done (may be NULL) gets the bytes copied. errors: KMM_EFAULT at the first byte that cannot be reached, also because a page
 * table entry on the way was damaged (an address that no memory of the machine has); the tables are left as they are. */
KMM_MUST_CHECK enum kmm_status kmm_copy_in(struct kmm_mm *mm, void *to, struct kmm_uva from, size_t len, size_t *done);
KMM_MUST_CHECK enum kmm_status kmm_copy_out(struct kmm_mm *mm, struct kmm_uva to, const void *from, size_t len,
					    size_t *done);
/* Zero-terminated string, size including the 0. errors: KMM_EFAULT, KMM_EOVERFLOW does not end within size. */
KMM_MUST_CHECK enum kmm_status kmm_copy_in_string(struct kmm_mm *mm, char *to, struct kmm_uva from, size_t size,
						  size_t *len);
/* An atomic compare and exchange of an aligned word, among the program's own: *expected gets what the word held. errors:
 * KMM_EFAULT also when it is not aligned. */
KMM_MUST_CHECK enum kmm_status kmm_compare_swap_user(struct kmm_mm *mm, struct kmm_uva at, uint32_t *expected,
						     uint32_t desired, bool *swapped);
/* The same for another process's memory, as process_vm_readv(2) and ptrace reach it: by the rights of its areas. What may
 * only be written cannot be read, though the processor would read it, and stacks do not grow. done gets the bytes moved. */
KMM_MUST_CHECK enum kmm_status kmm_peek(struct kmm_mm *mm, void *to, struct kmm_uva from, size_t len, size_t *done);
KMM_MUST_CHECK enum kmm_status kmm_poke(struct kmm_mm *mm, struct kmm_uva to, const void *from, size_t len, size_t *done);
/* Pages of a space for who goes on using them: a device that reads or writes them, a copy for another process. Each of the nr
 * pages from addr on gets a reference of its own kind: until kmm_unpin_user() it is not moved, swapped out or copied away by a
 * fork (the child gets the copy, at once), so what is written to it and what the program sees stay the same page. A private
 * page that is shared with a relative is copied first, also for reading. An unmapped page lives until it is unpinned.
 * flags: WRITE: the pages will be written (unpin with dirty); FORCE: as a debugger, also against the rights of an area that
 * could have them, of private memory alone for writing; LONGTERM: perhaps for ever, so pages in places that are to be kept free
 * (Movable zones, contiguous areas) are moved out of there first.
 * *done: pages pinned, also on failure. errors: KMM_EFAULT, KMM_ENOMEM. context: no locks, may sleep. */
enum { KMM_PIN_WRITE = 1, KMM_PIN_FORCE = 2, KMM_PIN_LONGTERM = 4 };
KMM_MUST_CHECK enum kmm_status kmm_pin_user(struct kmm_mm *mm, struct kmm_uva addr, kmm_word nr, unsigned flags,
					    struct kmm_page **pages, kmm_word *done);
/* dirty: they were written. context: no spin locks. */
void kmm_unpin_user(struct kmm *k, struct kmm_page *const *pages, kmm_word nr, bool dirty);
/* Pins that there are, of all spaces. */
kmm_word kmm_nr_pins(struct kmm *k);
/* Sets len bytes to zero. */
KMM_MUST_CHECK enum kmm_status kmm_clear_user(struct kmm_mm *mm, struct kmm_uva to, size_t len);

/* ---- looking ---- */
struct kmm_vma_info {
	struct kmm_uva start, end;
	unsigned prot;
	bool shared, grows_down, anonymous;
	uint64_t pgoff;
	struct kmm_backing *backing; /* valid while the VMA is */
	const char *name;            /* file name, "[heap]", "[stack]", "[vdso]" or "" */
};
/* The VMA that contains addr, or the first above it. false: none. */
bool kmm_vma_find(struct kmm_mm *mm, struct kmm_uva addr, struct kmm_vma_info *out);

struct kmm_mm_stats {
	uint64_t faults, cow_copies, cow_reuses, zero_maps, file_maps; /* events */
	uint64_t major_faults;             /* of faults: had to read from swap */
	kmm_word total_pages;              /* VmSize */
	kmm_word rss_anon, rss_file, rss_shmem; /* resident */
	kmm_word swapped;                  /* entries that name a page in swap (VmSwap) */
	kmm_word table_pages, data_pages, stack_pages, exec_pages, locked_pages;
	kmm_word peak_total, peak_rss;
	uint32_t map_count;
	struct kmm_uva start_brk, brk, start_stack;
};
void kmm_mm_stats(struct kmm_mm *mm, struct kmm_mm_stats *out);

/* What /proc/PID/clear_refs does: forgets that pages were used (ALL, those of areas with a backing, those without), that
 * they were written (SOFT_DIRTY, 64-bit machines alone, as Linux: pages' next write is seen in pagemap), or how much was
 * resident at most. errors: KMM_EINVAL. */
enum { KMM_REFS_ALL = 1, KMM_REFS_ANON = 2, KMM_REFS_MAPPED = 3, KMM_REFS_SOFT_DIRTY = 4, KMM_REFS_PEAK = 5 };
KMM_MUST_CHECK enum kmm_status kmm_clear_refs(struct kmm_mm *mm, int what);

/* Every user mapping of a frame, by the reverse map. visit (may be NULL: only count) returns false to stop. Returns the
 * number visited.
 * visit runs with the list of the frame's areas locked, for a private frame with interrupts off: it must not sleep, and
 * of the functions that take a machine or a space it may call only kmm_mm_get(), kmm_mm_root() and kmm_mm_machine().
 * The list keeps mm alive during the visit; the mapping itself may be gone when visit is called. To act on what was
 * found, take references, return, act, and put them afterwards.
 * context: the frame must not be freed meanwhile: the caller has a reference or the machine stands still. */
unsigned kmm_rmap_walk(struct kmm *k, struct kmm_page *page,
		       bool (*visit)(void *arg, struct kmm_mm *mm, struct kmm_uva addr), void *arg);

#ifdef __cplusplus
}
#endif
#endif
