/* SPDX-License-Identifier: MIT */
/*
 * What a mapping shows: the content behind it (tier c). Anonymous memory has none (NULL).
 * struct kmm_file is the core's own page cache over a fill function, enough for ramfs, initrd and
 * simple file systems; an embedder with other needs writes kmm_backing_ops.
 */
#ifndef KMM_BACKING_H
#define KMM_BACKING_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kmm_backing_ops {
	/* The frame at page `index`, with a reference for the caller, content valid.
	 * May sleep; called with the area, not the space, locked for reading and no spin lock: what locks the
	 * area for writing waits until it returns.
	 * errors: KMM_ERANGE beyond the end (SIGBUS), KMM_EIO, KMM_ENOMEM. */
	enum kmm_status (*get_page)(struct kmm_backing *backing, uint64_t index, struct kmm_page **out);
	/* A shared writable mapping is about to let `page` be written. NULL: nothing to do. */
	enum kmm_status (*make_writable)(struct kmm_backing *backing, uint64_t index, struct kmm_page *page);
	/* The last reference is gone. */
	void (*release)(struct kmm_backing *backing);
	/* Text for /proc/PID/maps. Never NULL. */
	const char *(*name)(struct kmm_backing *backing);
	/* Those of the nr frames from page `first` on that are at hand at once, each with a reference, NULL for the
	 * others: a fault maps its neighbours too. Must not sleep for I/O. NULL: none ever. */
	void (*cached_pages)(struct kmm_backing *backing, uint64_t first, unsigned nr, struct kmm_page **out);
	/* Pages [first, first + nr) were perhaps written through mappings and are to reach what lies behind. May sleep; no
	 * locks held. NULL: nothing lies behind. */
	enum kmm_status (*write_back)(struct kmm_backing *backing, uint64_t first, uint64_t nr);
	/* Pages [first, first + nr) become zeros and take no memory, as far as that can be. May sleep; no locks held. NULL:
	 * cannot. */
	enum kmm_status (*punch_hole)(struct kmm_backing *backing, uint64_t first, uint64_t nr);
};

/* For a backing that wants to know how many areas show it. Such areas never become one, as on Linux those of files that are
 * told of closings, and a fault maps one page of it. Both are called with the space locked, and from several processors at once; they must not sleep, and of
 * the core call kmm_backing_put() alone. */
struct kmm_area_ops {
	void (*opened)(struct kmm_backing *backing); /* one more, also by fork or because one was cut in two */
	void (*closed)(struct kmm_backing *backing); /* one less; its reference goes after that */
};

struct kmm_backing {
	const struct kmm_backing_ops *ops;
	const struct kmm_area_ops *areas; /* NULL: nobody counts; set before it is mapped */
	struct kmm *k;
	uint32_t refs;
	uint32_t dev_major, dev_minor; /* for /proc/PID/maps */
	uint64_t ino;
	void *mappings;                /* core: VMAs that show it (rmap); starts as NULL */
};

void kmm_backing_init(struct kmm_backing *backing, struct kmm *k, const struct kmm_backing_ops *ops);
void kmm_backing_get(struct kmm_backing *backing);
void kmm_backing_put(struct kmm_backing *backing);

struct kmm_file;

/* Where the pages of a file are kept besides memory. All are called with the file locked and no spin lock held, may sleep, and
 * return when the transfer is over. They run when memory is short: what they need must have been set aside before. */
struct kmm_file_store {
	/* The contents of file pages first, first + 1 ... into pages[0 .. nr-1], which may be high. What lies behind the end of the
	 * store is zeros. errors: KMM_EIO. */
	enum kmm_status (*read)(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages);
	/* And back; nobody changes the pages meanwhile. file->size says how much of the last one is the file's. awake: this time it
	 * must not sleep (memory is taken back for who must not). Any error: none of them counts as written. errors: KMM_EIO. */
	enum kmm_status (*write)(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages, bool awake);
	/* The file is about to have `size` bytes; what is cut off is zeros should it grow again. NULL: its size is fixed.
	 * errors: KMM_EIO. */
	enum kmm_status (*resize)(struct kmm_file *file, uint64_t size);
};

/* A file whose pages live in the core's page cache (high memory first). Embed it in an inode. */
struct kmm_file {
	struct kmm_backing backing; /* first */
	uint64_t size;              /* bytes */
	/* Content of page `index` into 4 KiB at `to` (already zeroed). NULL: a hole reads as zeros. May sleep. */
	enum kmm_status (*fill)(struct kmm_file *file, uint64_t index, void *to);
	void (*destroy)(struct kmm_file *file); /* after the last page was freed; may be NULL */
	const char *name;           /* for maps; must outlive the file */
	void *pages;                /* core: index -> page */
	uint64_t nr_pages;          /* cached */
	uint32_t seals;             /* KMM_SEAL_: what nobody may do with it any more; begins as SEAL, so no others are added */
	bool removed;               /* it has no name left: reports say so behind the one it had */
	bool is_shared_memory;      /* no file system's: its resident pages count as shared memory */
	bool keeps_pages;           /* may change at any time: what is cached stays in memory, mapped or not */
	uint64_t committed;         /* core: pages promised by kmm_file_commit() */
	uint64_t fill_end;          /* core: from this byte on the content is zeros, fill is not asked: the file once ended here */
	const struct kmm_file_store *store; /* kmm_file_set_store() */
	uint64_t nr_dirty;          /* core: cached pages that the store has not got yet */
	uint64_t dirty_since;       /* core: time at which the first of them became so, or earlier */
	uint64_t pass_since, pass_at; /* core: background writing of all of them: when it began, and page where it goes on */
	uint64_t nr_swapped;        /* core: pages in swap, where those of a file without a store go when memory is short */
	uint32_t nr_errors;         /* core: writes to the store that failed; wraps */
	uint32_t seen_errors;       /* core: of those, reported by msync */
};
/* Numbers of fcntl(F_ADD_SEALS). WRITE: no writing and no shared mapping of who opened it for writing; FUTURE_WRITE: the
 * same but for mappings there are. */
enum {
	KMM_SEAL_SEAL = 1, KMM_SEAL_SHRINK = 2, KMM_SEAL_GROW = 4, KMM_SEAL_WRITE = 8, KMM_SEAL_FUTURE_WRITE = 16,
	KMM_SEAL_ALL = 31
};
/* errors: KMM_EINVAL (unknown ones), KMM_EPERM (sealed against that), KMM_EBUSY (WRITE: there is a mapping by which it
 * could be written), KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_file_add_seals(struct kmm_file *file, uint32_t seals);
void kmm_file_init(struct kmm_file *file, struct kmm *k, uint64_t size, const char *name);
/* Its pages, by its size now, are promised to mm's program (kmm_set_overcommit()) until the file goes. Once.
 * errors: KMM_ENOMEM more than may be promised. */
struct kmm_mm;
KMM_MUST_CHECK enum kmm_status kmm_file_commit(struct kmm_mm *mm, struct kmm_file *file);
/* Content comes from the store, and what is written reaches it: when it is asked for (kmm_file_sync(), msync), when the
 * writer or kmm_writeback_step() (kmm/writeback.h) finds too much of it, before a page is taken back, and at the end of the file.
 * Before the first page is cached, and instead of fill. */
void kmm_file_set_store(struct kmm_file *file, const struct kmm_file_store *store);
/* Reads or writes through the cache; short at the end of file for reads, grows it for writes.
 * done gets the number of bytes. errors: KMM_ENOMEM, KMM_EIO, KMM_EPERM sealed, KMM_ERANGE the store's size is fixed (bytes
 * before it are done). May sleep. */
KMM_MUST_CHECK enum kmm_status kmm_file_read(struct kmm_file *file, uint64_t pos, void *to, size_t len, size_t *done);
KMM_MUST_CHECK enum kmm_status kmm_file_write(struct kmm_file *file, uint64_t pos, const void *from, size_t len,
					      size_t *done);
/* New size; pages beyond it leave the cache and every mapping (later access: SIGBUS). errors: KMM_EINVAL (also: the store's
 * size is fixed), KMM_ENOMEM, KMM_EIO, KMM_EPERM sealed. */
KMM_MUST_CHECK enum kmm_status kmm_file_truncate(struct kmm_file *file, uint64_t size);
/* Pages [first, first + nr) become zeros and, where fill has nothing to say, leave the cache and every mapping; the size
 * stays. errors: KMM_ENOMEM, KMM_EIO (some pages before that are zeros). May sleep. */
KMM_MUST_CHECK enum kmm_status kmm_file_punch(struct kmm_file *file, uint64_t first, uint64_t nr);
/* A page for `index`, as zeros where fill has nothing to say, unless there is one (fallocate). Until somebody writes to it, maps it or
 * allocates it once more, kmm_file_seek() calls it a hole and mincore not resident, as Linux 6.1 does. errors: KMM_ENOMEM, KMM_EIO, KMM_ERANGE. May sleep. */
KMM_MUST_CHECK enum kmm_status kmm_file_allocate(struct kmm_file *file, uint64_t index);
/* Where data, or a hole, begins from byte `at` on (lseek, SEEK_DATA and SEEK_HOLE), by whole pages; the end of the file begins a hole.
 * errors: KMM_ERANGE at or behind the end, or no data before it; KMM_ENOMEM. */
KMM_MUST_CHECK enum kmm_status kmm_file_seek(struct kmm_file *file, uint64_t at, bool data, uint64_t *out);
/* Dirty pages among [first, first + nr) to the store, in order, and waits. *seen: kmm_file_errors() when the caller opened the
 * file, or at its last sync; brought up to date. errors: KMM_EIO: a write failed since then, by whoever's wish; such pages stay
 * dirty, and the next sync tries again. */
KMM_MUST_CHECK enum kmm_status kmm_file_sync(struct kmm_file *file, uint64_t first, uint64_t nr, uint32_t *seen);
uint32_t kmm_file_errors(const struct kmm_file *file);
/* Pages [first, first + nr) that are clean, can be had again and are not in use leave the cache (posix_fadvise DONTNEED). */
void kmm_file_forget(struct kmm_file *file, uint64_t first, uint64_t nr);
/* The cached or filled page with a reference (what get_page does). */
KMM_MUST_CHECK enum kmm_status kmm_file_page(struct kmm_file *file, uint64_t index, struct kmm_page **out);

#ifdef __cplusplus
}
#endif
#endif
