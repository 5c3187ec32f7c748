/* SPDX-License-Identifier: MIT */
/*
 * The core's side of a backing: which areas show it, and for files the index of cached pages.
 *
 * struct kmm_backing is the embedder's memory, so descriptors cannot name it; they name its struct kmm_mapping,
 * which lies in the machine's low memory and is made when the backing is first mapped or cached.
 */
#ifndef KMM_VM_BACKING_H
#define KMM_VM_BACKING_H

#include "phys/desc.h"
#include "vm/guest.h"
#include "vm/vm.h"

struct kmm_mapping {
	struct kmm_guests guests;    /* first; ends under b */
	struct kmm_mutex lock;       /* KMM_LOCK_BACKING; b */
	struct kmm_list vmas;        /* b: by kmm_vma.by_backing */
	struct kmm_backing *backing; /* constant */
	struct kmm_list by_dirty;    /* v: vm->dirty_files while the file has dirty pages */
	struct kmm_list by_swap;     /* v: vm->swapped_files while it has some in swap */
};

/* The mapping of a backing, made if need be. NULL: no memory. */
struct kmm_mapping *kmm_mapping_get(struct kmm_backing *backing);
/* The one it has; NULL: none yet. */
static inline struct kmm_mapping *kmm_mapping_of(const struct kmm_backing *backing) { return backing->mappings; }

/* Unmaps pages [first, end) of the backing from every space, private copies too. b held. */
void kmm_mapping_unmap(struct kmm *k, struct kmm_mapping *mapping, uint64_t first, uint64_t end);
/* The same, but private copies stay. */
void kmm_mapping_unmap_shown(struct kmm *k, struct kmm_mapping *mapping, uint64_t first, uint64_t end);

/* A zero-filled object for shared anonymous memory, one reference. commits: its pages count as promised. NULL: no memory. */
struct kmm_backing *kmm_shm_create(struct kmm *k, uint64_t size, bool commits);
/* A backing over frames of the embedder; takes references. NULL: no memory. */
struct kmm_backing *kmm_special_create(struct kmm *k, struct kmm_page *const *pages, kmm_word nr, const char *name);
bool kmm_backing_is_shm(const struct kmm_backing *backing);
bool kmm_backing_is_special(const struct kmm_backing *backing);

/* Was the page taken from its file meanwhile? t held by the asker. Any kind of page may be asked for. */
bool kmm_page_is_cut_off(const struct kmm_page *page);
/* Takes it: b held. */
void kmm_page_cut_off(struct kmm *k, struct kmm_page *page);
/* Marks like these come from several CPUs under different locks, so they are set by one instruction. */
static inline void kmm_page_set_dirty(struct kmm_page *page)
{
	if (!(__atomic_load_n(&page->flags, __ATOMIC_RELAXED) & KMM_PG_DIRTY))
		__atomic_fetch_or(&page->flags, (uint32_t)KMM_PG_DIRTY, __ATOMIC_RELAXED);
}

/* For who moves pages: is `page` what the file caches at index, and the change of that. false: another one, or no
 * struct kmm_file, whose pages are not the core's to move. b held. */
bool kmm_backing_is_file(const struct kmm_backing *backing);
/* Of a file's seals those against writing it. */
enum { KMM_SEALS_WRITING = KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE };
bool kmm_file_has_page(struct kmm_mapping *mapping, uint64_t index, const struct kmm_page *page);
void kmm_file_move_page(struct kmm_mapping *mapping, uint64_t index, struct kmm_page *to);
/* A clean page leaves the cache, whose reference the caller gets; it will be filled again. */
void kmm_file_drop_page(struct kmm_mapping *mapping, uint64_t index);

/* Does anything but zeros come from behind the cache? */
static inline bool kmm_file_has_source(const struct kmm_file *file) { return file->fill || file->store; }

/* All pages leave the cache and swap. b held. */
void kmm_file_empty(struct kmm_file *file);

/* ---- files with a store (store.c). b held by all callers ---- */
enum { KMM_WRITE_RUN = 32 };
/* The page's content has changed, or is the store's again. */
void kmm_file_mark_dirty(struct kmm_file *file, struct kmm_page *page);
void kmm_file_mark_clean(struct kmm_file *file, struct kmm_page *page);
KMM_MUST_CHECK enum kmm_status kmm_file_read_page(struct kmm_file *file, uint64_t index, struct kmm_page *page);
/* Dirty pages at or after *at and before end: the next of them in a row. *at moves behind those that were tried; if it stays, the
 * first one's entries are on the move. awake: must not sleep. false: there was none. */
bool kmm_file_write_next(struct kmm_file *file, uint64_t *at, uint64_t end, bool awake);
/* ---- and without it (writeback.c) ---- */
/* The last reference is gone: what is dirty to the store (what cannot be written is lost, and said so), and all pages go. */
void kmm_file_settle(struct kmm_file *file);
/* Time of the port, by which pages are dirty too long. */
static inline uint64_t kmm_writeback_clock(struct kmm *k) { return k->port->time_ns ? k->port->time_ns(k->port) : 0; }
/* Before a page becomes dirty: waits while there are too many. context: no b, may sleep. */
void kmm_throttle_writer(struct kmm *k);
/* Somebody with a reference wrote to the page by another way than an entry. context: no b. */
void kmm_page_note_written(struct kmm *k, struct kmm_page *page);
static inline bool kmm_page_is_stored_clean(const struct kmm_page *page)
{
	return (kmm_page_flags(page) & (15 | KMM_PG_STORED | KMM_PG_DIRTY)) == ((uint32_t)KMM_KIND_FILE | KMM_PG_STORED);
}

/* ---- files in swap (fileswap.c). b held by all callers ---- */
/* Those of nr pages in the order of their places, with which nobody can do anything now, leave the cache: clean ones, and dirty ones
 * that could be written to the store or to swap (raw: room for as many). Who left is cut off, and its cache's reference is the
 * caller's. no_io: clean ones alone. Returns how many are still on their way to swap. */
unsigned kmm_file_evict(struct kmm_mapping *mapping, struct kmm_page *const *pages, unsigned nr, uint32_t *raw, bool no_io);
/* The content of page `index`, which is in swap, into a new page. errors: KMM_EIO. */
KMM_MUST_CHECK enum kmm_status kmm_file_swap_in(struct kmm_file *file, uint64_t index, struct kmm_page *page);
/* It is not there any more: in memory again, or cut off. */
void kmm_file_drop_slot(struct kmm_file *file, uint64_t index, uint32_t raw);
/* Makes sure that page `index` is in memory. errors: as kmm_file_page(). */
KMM_MUST_CHECK enum kmm_status kmm_file_bring_back(struct kmm_file *file, uint64_t index);
/* How many of [first, end) are in swap. */
uint64_t kmm_file_count_swapped(struct kmm_file *file, uint64_t first, uint64_t end);
/* ---- and without it ---- */
/* All files' pages in that area of swap come back. errors: KMM_ENOMEM, KMM_EIO. */
KMM_MUST_CHECK enum kmm_status kmm_files_leave_area(struct kmm *k, unsigned place);

/* What a file has at a page, for who waits for it; the page is put there by who provides it: with content (a page), or zeros
 * (NULL). errors: KMM_EEXIST, KMM_EFAULT beyond its end, KMM_ENOMEM. No b. */
enum kmm_file_state { KMM_FILE_END, KMM_FILE_HOLE, KMM_FILE_PAGE };
enum kmm_file_state kmm_file_state(struct kmm_file *file, uint64_t index);
KMM_MUST_CHECK enum kmm_status kmm_file_provide(struct kmm_file *file, uint64_t index, const void *content);

/* ---- page index: page number to descriptor (radix.c). b held by all callers ---- */
struct kmm_page *kmm_radix_get(struct kmm *k, void *root, uint64_t index);
/* errors: KMM_ENOMEM. The index must be free. */
KMM_MUST_CHECK enum kmm_status kmm_radix_insert(struct kmm *k, void **root, uint64_t index, struct kmm_page *page);
/* The index must be used. */
void kmm_radix_replace(struct kmm *k, void *root, uint64_t index, struct kmm_page *page);
void kmm_radix_remove(struct kmm *k, void **root, uint64_t index);
/* The first page at or above *index; *index becomes its number. NULL: none. */
struct kmm_page *kmm_radix_next(struct kmm *k, void *root, uint64_t *index);
/* A place may instead name what its page became in swap: 0: it does not. The place must be used to become one. */
uint32_t kmm_radix_swapped(const void *root, uint64_t index);
void kmm_radix_replace_swapped(struct kmm *k, void *root, uint64_t index, uint32_t raw);
/* The first place of either sort. false: none. */
bool kmm_radix_next_used(void *root, uint64_t *index);

#endif
