/* SPDX-License-Identifier: MIT */
/*
 * The port: everything the core asks of its ground. One struct of function pointers and values,
 * filled by the embedder before kmm_init_*() and constant afterwards.
 *
 * Rules for every hook:
 *   - `port` is the pointer that was handed to kmm_init_frames(); put your own state around it.
 *   - no hook calls back into kmm unless its text says so;
 *   - 0 is success for hooks that return int;
 *   - unless said otherwise a hook may be called with core spin locks held and interrupts off,
 *     so it must not sleep;
 *   - an optional hook may be NULL and then means the stated default.
 *
 * Tiers: (a) page frames need 3 hooks; (b) kernel memory adds 1 value and 2 hooks;
 * (c) spaces and reclaim add 2. All others are optional.
 */
#ifndef KMM_PORT_H
#define KMM_PORT_H

#include "kmm/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A range of virtual addresses whose translations have changed. space: the page-table root of a
 * user address space, or root.v == 0 for the kernel half (all spaces). */
struct kmm_flush {
	struct kmm_paddr root;
	kmm_word start, end; /* bytes, page aligned, end exclusive; all of it when end <= start */
	bool tables;         /* page-table pages themselves were freed: drop walk caches too */
};

enum kmm_stall { KMM_STALL_BEGINS, KMM_STALL_ENDS, KMM_STALL_GOES_ON };

struct kmm_port {
	/* ---- tier a, mandatory ---- */
	/* Hold off interrupts on this CPU; the return value goes to irq_restore. Nests. */
	unsigned long (*irq_save)(struct kmm_port *port);
	void (*irq_restore)(struct kmm_port *port, unsigned long flags);
	/* Number of the running CPU, 0 .. nr_cpus-1. */
	unsigned (*cpu_id)(struct kmm_port *port);
	/* A broken invariant of the core. Must not return. */
	void (*fatal)(struct kmm_port *port, const char *file, int line, const char *what);

	/* ---- tier a, optional ---- */
	/* One line of log text without line end. Default: dropped. */
	void (*log)(struct kmm_port *port, const char *line);
	/* Spin-wait hint. Default: nothing. */
	void (*relax)(struct kmm_port *port);
	/* Monotonic time in ns. Default: always 0. */
	uint64_t (*time_ns)(struct kmm_port *port);
	/* Who runs on this CPU now (a process number, say), for the page owner report. Default: always 0. */
	uint32_t (*owner_id)(struct kmm_port *port);

	/* ---- tier a/b, values ---- */
	/* Where physical address 0 is visible to C code: low memory at physical p is at
	 * (char *)direct_map + p. Bare metal: PAGE_OFFSET. Hosted: the arena. Tier (a) needs it
	 * for page descriptors only. */
	void *direct_map;
	/* Bytes of RAM from physical 0 on that are there; 0: all low memory. A hosted machine may be larger than the
	 * addresses of its host. What boot takes lies within; frames beyond are handed out last, and only as
	 * descriptors: their content must not be touched. */
	uint64_t direct_map_reach;
	/* true: every frame, high ones too, is visible at direct_map + p (hosted fast mode), so
	 * windows need not really be mapped. Entries are written to the page tables all the same. */
	bool direct_map_all;
	/* Where the machine's kernel virtual windows (vmalloc, kmap, fixmap, vmemmap) are visible to
	 * C code: an address va is at (char *)window_base + (va - window_start). Bare metal:
	 * window_base == (void *)window_start == direct addresses, leave both 0. Hosted: a reservation
	 * that window_changed() fills. window_size 0 means no limit. */
	void *window_base;
	kmm_word window_start;
	kmm_word window_size;

	/* ---- tier a, optional: memory that is added while the machine runs (kmm/node.h) ---- */
	/* Where the descriptors of all memory that may ever be there are visible to C code in one row: a reservation that
	 * descriptors_changed() fills. NULL: descriptors of memory that may be added are set aside at the start, with
	 * those of what is there. Used only on machines that have hotplug ranges above their memory. */
	void *descriptors;
	/* Bytes [offset, offset + nr_pages pages) of that row are now in frames first, first + 1 ..., or nowhere when
	 * first.v is 0. May sleep. */
	int (*descriptors_changed)(struct kmm_port *port, uint64_t offset, struct kmm_pfn first, kmm_word nr_pages);

	/* ---- tier b, mandatory ---- */
	void (*tlb_flush_local)(struct kmm_port *port, const struct kmm_flush *flush);
	/* Bit n of cpus: CPU n must have flushed before this returns. Never includes this CPU. */
	void (*tlb_flush_others)(struct kmm_port *port, uint64_t cpus, const struct kmm_flush *flush);

	/* ---- tier b, optional ---- */
	/* Kernel entries of [va, va + nr pages) changed: now `pfns[i]` with `prot` (KMM_PROT_ bits), or
	 * absent when pfns is NULL. The hosted port mirrors it in host mappings. Return non-zero when
	 * it cannot (host out of maps): the operation fails with KMM_ENOMEM. Default: nothing to do. */
	int (*window_changed)(struct kmm_port *port, struct kmm_kva va, const struct kmm_pfn *pfns,
			      kmm_word nr_pages, unsigned prot);
	/* Clear or copy one frame by a faster way than through a mapping (4 KiB at `ptr`).
	 * Default: memset/memcpy. */
	void (*zero_frame)(struct kmm_port *port, void *ptr);
	void (*copy_frame)(struct kmm_port *port, void *to, const void *from);

	/* ---- tier c, mandatory when a caller may sleep ---- */
	/* Sleep until done(arg) is true. The port re-checks done() after each wake on `key`, under
	 * whatever excludes wake(); it returns when done() was true. Called without spin locks.
	 * NULL: the core never sleeps; calls that would return KMM_EAGAIN. */
	void (*wait)(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg);
	/* Wake all sleepers on `key`. May be called with spin locks held. */
	void (*wake)(struct kmm_port *port, const void *key);

	/* ---- tier c, optional ---- */
	/* 64 random bits for address randomisation when the machine asks for it without a seed.
	 * Default: a fixed sequence derived from the machine's seed. */
	uint64_t (*random)(struct kmm_port *port);
	/* The running thread begins to wait for memory (in reclaim, or for a page that comes from swap), or it has ended, or
	 * nobody did either but some threads wait. Returns how many threads run or are ready to that do not wait for memory;
	 * 0 means that all of the machine waits. No spin locks are held. Default: as many as there are other CPUs. */
	unsigned (*stall)(struct kmm_port *port, enum kmm_stall what);
	/* Of the threads whose space belongs to that memory group or to one below it (kmm/group.h), does one run, or is it ready to, that does not
	 * wait for memory? Called with spin locks of the core held, also from kmm_pressure_tick(); the group stays meanwhile. Default: yes
	 * if there is more than one CPU. */
	bool (*group_busy)(struct kmm_port *port, struct kmm_group *group);
	/* The space that the running thread belongs to, NULL: none. The pages that a file keeps in memory because of it are charged to its
	 * memory group (kmm/group.h), and its waits for memory count there. Asked only when there are groups. Default: such pages are
	 * charged to nobody. */
	struct kmm_mm *(*running_space)(struct kmm_port *port);
	/* An event of a memory group was counted (enum kmm_group_event). Spin locks may be held. Default: nothing. */
	void (*group_event)(struct kmm_port *port);
	/* The running thread has charged so many pages to a memory group that is above its HIGH, or below one that is, although it
	 * reclaimed: it should wait where it holds nothing, for as long as kmm_group_delay_ns() says. May be called with locks
	 * held, so it only takes note. Default: nobody is slowed down. */
	void (*above_high)(struct kmm_port *port, unsigned pages);
	/* This CPU now runs `root`. Default: nothing (the embedder switches by itself). */
	void (*activate_space)(struct kmm_port *port, struct kmm_paddr root);
	/* A request found every zone that may serve it below its low mark: whoever calls kmm_reclaim_step() has something to do.
	 * Where somebody does, requests go down to the min marks before they reclaim for themselves. Default: nobody does, and
	 * they do so at the low marks. */
	void (*memory_low)(struct kmm_port *port);
	/* There are dirty pages of files where there were none, or more than the background limit: whoever calls kmm_writeback_step()
	 * now and then has something to do. Spin locks may be held. Default: only writers above the limit write, and who syncs. */
	void (*files_dirty)(struct kmm_port *port);
	/* A word of the running thread's own, 0 when the thread starts and not touched otherwise: which sleeping locks it
	 * holds. Asked only by builds that check the order of locks (KMM_LOCK_ORDER). Default: that of sleeping locks
	 * is not checked. */
	uint32_t *(*thread_locks)(struct kmm_port *port);
};

#ifdef __cplusplus
}
#endif
#endif
