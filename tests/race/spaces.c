/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: all hands in one space, each with areas of its own besides, families of forked spaces, shared files.
 *
 * Each hand has pages of its own in the shared space, of which it knows every byte that it wrote: through faults of others,
 * forks by anybody, and copies on write they must hold. In pages that all hands use, each writes its own bytes only, as
 * a program without races would. In the contended area anything may be mapped or not when an access comes: a signal is a good
 * answer there, a wrong byte is not.
 */
#include "crew.h"

#include "kmm/compact.h"
#include "kmm/mm.h"

#define PAGE ((uint64_t)KMM_PAGE_SIZE)
enum { OWN_PAGES = 12, SCRATCH_PAGES = 40, CONTENDED_PAGES = 24, SHM_PAGES = 8, FILE_PAGES = 20, FORKS = 2 };
enum { R = KMM_PROT_READ, W = KMM_PROT_WRITE, RW = R | W };
enum { ANON = KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, SHARED = KMM_MAP_SHARED | KMM_MAP_ANONYMOUS };

#define OWN(h) (UINT64_C(0x10000000) + (h)->cpu * UINT64_C(0x00100000))
#define SCRATCH(h) (UINT64_C(0x20000000) + (h)->cpu * UINT64_C(0x00400000))
#define CONTENDED UINT64_C(0x30000000)
#define SHM UINT64_C(0x31000000)
#define PRIVATE_FILE UINT64_C(0x32000000)
#define SHARED_FILE UINT64_C(0x33000000)
#define STACK_TOP UINT64_C(0x3f000000)
#define HEAP UINT64_C(0x28000000)

struct town {
	struct kmm_mm *mm;
	struct kmm_file read_only; /* mapped privately */
	struct kmm_file shrinking; /* truncated and grown */
};

/* What a hand knows of its own pages: the byte at its place in each. */
struct own {
	uint8_t value[OWN_PAGES];
};

static struct town *town_of(struct hand *h)
{
	return h->crew->shared;
}

static uint64_t own_at(struct hand *h, unsigned page)
{
	return OWN(h) + page * PAGE + h->cpu * 64;
}

static int peek(struct hand *h, struct kmm_mm *mm, uint64_t va)
{
	uint8_t byte;
	struct hosted_result r = hosted_read_user(h->m, mm, va, &byte, 1);

	return r.ok ? byte : -r.signal;
}

static int poke(struct hand *h, struct kmm_mm *mm, uint64_t va, uint8_t byte)
{
	struct hosted_result r = hosted_write_user(h->m, mm, va, &byte, 1);

	return r.ok ? 0 : -r.signal;
}

static enum kmm_status map(struct hand *h, struct kmm_mm *mm, uint64_t at, uint64_t pages, unsigned prot, unsigned flags,
			   struct kmm_file *file)
{
	struct kmm_uva out;

	(void)h;
	return kmm_mmap(mm, kmm_uva(at), pages * PAGE, prot, flags | KMM_MAP_FIXED, file ? &file->backing : NULL, 0, &out);
}

/* ---- the hand's own pages ---- */

static void touch_own(struct hand *h)
{
	struct own *own = h->own;
	unsigned page = hand_dice(h, OWN_PAGES);
	uint8_t byte = (uint8_t)hand_dice(h, 256);

	HAND_CHECK(h, peek(h, town_of(h)->mm, own_at(h, page)) == own->value[page]);
	HAND_CHECK(h, poke(h, town_of(h)->mm, own_at(h, page), byte) == 0);
	own->value[page] = byte;
}

static void copy_own(struct hand *h)
{
	struct own *own = h->own;
	unsigned page = hand_dice(h, OWN_PAGES);
	struct kmm_uva at = kmm_uva(own_at(h, page));
	uint8_t bytes[16] = { 0 };
	size_t done;

	HAND_CHECK(h, kmm_copy_in(town_of(h)->mm, bytes, at, 16, &done) == KMM_OK && bytes[0] == own->value[page]);
	bytes[0] = own->value[page] = (uint8_t)hand_dice(h, 256);
	HAND_CHECK(h, kmm_copy_out(town_of(h)->mm, at, bytes, 16, NULL) == KMM_OK);
	if (hand_dice(h, 4))
		return;
	HAND_CHECK(h, kmm_clear_user(town_of(h)->mm, at, 16) == KMM_OK);
	own->value[page] = 0;
	HAND_CHECK(h, kmm_copy_in_string(town_of(h)->mm, (char *)bytes, at, 16, &done) == KMM_OK && done == 0);
}

/* A child has what its parent had, and keeps it while both write. */
static void check_child(struct hand *h, struct kmm_mm *child)
{
	struct own *own = h->own;
	unsigned page = hand_dice(h, OWN_PAGES), other = hand_dice(h, CREW_HANDS);
	uint64_t others = UINT64_C(0x10000000) + other * UINT64_C(0x00100000) + page * PAGE + other * 64;
	int before = peek(h, child, others);

	HAND_CHECK(h, peek(h, child, own_at(h, page)) == own->value[page]);
	own->value[page]++;
	HAND_CHECK(h, poke(h, town_of(h)->mm, own_at(h, page), own->value[page]) == 0);
	HAND_CHECK(h, peek(h, child, own_at(h, page)) == (uint8_t)(own->value[page] - 1));
	HAND_CHECK(h, poke(h, child, own_at(h, page), 77) == 0);
	HAND_CHECK(h, peek(h, town_of(h)->mm, own_at(h, page)) == own->value[page]);
	HAND_CHECK(h, peek(h, child, others) == (other == h->cpu ? 77 : before));
}

static void fork_all(struct hand *h)
{
	struct kmm_mm *child, *grandchild;

	HAND_CHECK(h, kmm_mm_fork(town_of(h)->mm, &child) == KMM_OK);
	check_child(h, child);
	if (hand_dice(h, 2) && kmm_mm_fork(child, &grandchild) == KMM_OK) {
		poke(h, grandchild, own_at(h, 0), 1);
		hosted_run_space(h->m, NULL);
		kmm_mm_put(grandchild);
	}
	hosted_run_space(h->m, NULL);
	kmm_mm_put(child);
}

/* ---- areas that only this hand uses, in the shared space ---- */

static void map_and_unmap(struct hand *h)
{
	struct kmm_mm *mm = town_of(h)->mm;
	unsigned pages = 1 + hand_dice(h, SCRATCH_PAGES), cut = hand_dice(h, pages);
	struct kmm_uva at;

	HAND_CHECK(h, kmm_mmap(mm, kmm_uva(0), pages * PAGE, RW, ANON, NULL, 0, &at) == KMM_OK);
	for (unsigned i = 0; i < pages; i += 1 + hand_dice(h, 4))
		HAND_CHECK(h, peek(h, mm, at.v + i * PAGE) == 0 && poke(h, mm, at.v + i * PAGE, (uint8_t)(i + 1)) == 0);
	HAND_CHECK(h, kmm_munmap(mm, kmm_uva(at.v + cut * PAGE), PAGE) == KMM_OK);
	HAND_CHECK(h, cut == 0 || peek(h, mm, at.v) == 1);
	HAND_CHECK(h, kmm_munmap(mm, at, pages * PAGE) == KMM_OK);
}

static void protect(struct hand *h)
{
	struct kmm_mm *mm = town_of(h)->mm;
	uint64_t at = SCRATCH(h), page = at + hand_dice(h, SCRATCH_PAGES) * PAGE;

	HAND_CHECK(h, map(h, mm, at, SCRATCH_PAGES, RW, ANON, NULL) == KMM_OK);
	HAND_CHECK(h, poke(h, mm, page, 9) == 0);
	HAND_CHECK(h, kmm_mprotect(mm, kmm_uva(page), PAGE, R) == KMM_OK);
	HAND_CHECK(h, poke(h, mm, page, 1) == -11 && peek(h, mm, page) == 9);
	HAND_CHECK(h, kmm_mprotect(mm, kmm_uva(page), PAGE, 0) == KMM_OK && peek(h, mm, page) == -11);
	HAND_CHECK(h, kmm_mprotect(mm, kmm_uva(at), SCRATCH_PAGES * PAGE, RW) == KMM_OK);
	HAND_CHECK(h, poke(h, mm, page, 2) == 0);
	HAND_CHECK(h, kmm_madvise(mm, kmm_uva(page), PAGE, 4) == KMM_OK && peek(h, mm, page) == 0);
	HAND_CHECK(h, kmm_munmap(mm, kmm_uva(at), SCRATCH_PAGES * PAGE) == KMM_OK && peek(h, mm, page) == -11);
}

static void move(struct hand *h)
{
	struct kmm_mm *mm = town_of(h)->mm;
	uint64_t old = 3 * PAGE, new = (1 + hand_dice(h, 6)) * PAGE;
	struct kmm_uva at;

	HAND_CHECK(h, kmm_mmap(mm, kmm_uva(0), old, RW, ANON, NULL, 0, &at) == KMM_OK);
	HAND_CHECK(h, poke(h, mm, at.v, 42) == 0);
	HAND_CHECK(h, kmm_mremap(mm, at, old, new, KMM_MREMAP_MAYMOVE, kmm_uva(0), &at) == KMM_OK);
	HAND_CHECK(h, peek(h, mm, at.v) == 42);
	HAND_CHECK(h, kmm_mremap(mm, at, new, new, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED, kmm_uva(SCRATCH(h)), &at) == KMM_OK);
	HAND_CHECK(h, peek(h, mm, SCRATCH(h)) == 42);
	HAND_CHECK(h, kmm_munmap(mm, at, new) == KMM_OK);
}

/* ---- what all hands use ---- */

static void contend(struct hand *h)
{
	struct kmm_mm *mm = town_of(h)->mm;
	unsigned page = hand_dice(h, CONTENDED_PAGES), pages = 1 + hand_dice(h, CONTENDED_PAGES - page);
	uint64_t at = CONTENDED + page * PAGE;
	enum kmm_status status = KMM_OK;
	int got;

	switch (hand_dice(h, 8)) {
	case 0:
		HAND_CHECK(h, map(h, mm, at, pages, RW, ANON, NULL) == KMM_OK);
		break;
	case 1:
		HAND_CHECK(h, kmm_munmap(mm, kmm_uva(at), pages * PAGE) == KMM_OK);
		break;
	case 2:
		status = kmm_mprotect(mm, kmm_uva(at), pages * PAGE, hand_dice(h, 2) ? R : RW);
		HAND_CHECK(h, status == KMM_OK || status == KMM_ENOMEM);
		break;
	case 3:
		status = kmm_madvise(mm, kmm_uva(at), pages * PAGE, 4);
		HAND_CHECK(h, status == KMM_OK || status == KMM_ENOMEM);
		break;
	case 4:
		status = map(h, mm, at, pages, RW, KMM_MAP_PRIVATE, &town_of(h)->read_only);
		HAND_CHECK(h, status == KMM_OK);
		break;
	default:
		got = poke(h, mm, at + h->cpu * 64, (uint8_t)(h->cpu + 1));
		HAND_CHECK(h, got == 0 || got == -11 || got == -7);
		got = peek(h, mm, at + h->cpu * 64);
		HAND_CHECK(h, got == 0 || got == (int)h->cpu + 1 || got == -11 || got == -7 || got == 0x40 + (int)page % FILE_PAGES ||
				      got > 0x3f);
	}
}

static void share(struct hand *h)
{
	struct kmm_mm *mm = town_of(h)->mm;
	uint64_t at = SHM + hand_dice(h, SHM_PAGES) * PAGE + h->cpu * 64;

	HAND_CHECK(h, poke(h, mm, at, (uint8_t)h->cpu) == 0 && peek(h, mm, at) == (int)h->cpu);
}

static void use_files(struct hand *h)
{
	struct town *t = town_of(h);
	unsigned page = hand_dice(h, FILE_PAGES);
	uint64_t at = PRIVATE_FILE + page * PAGE + h->cpu * 64;
	struct kmm_page *cached;
	uint8_t byte;
	size_t done;
	int got = peek(h, t->mm, at);

	HAND_CHECK(h, got == 0x40 + (int)page || got == 0x80 + (int)h->cpu);
	HAND_CHECK(h, poke(h, t->mm, at, (uint8_t)(0x80 + h->cpu)) == 0);
	HAND_CHECK(h, kmm_file_read(&t->read_only, page * PAGE, &byte, 1, &done) == KMM_OK && byte == 0x40 + page);
	HAND_CHECK(h, kmm_file_page(&t->read_only, page, &cached) == KMM_OK);
	HAND_CHECK(h, kmm_rmap_walk(h->k, cached, NULL, NULL) <= 64);
	kmm_put_page(h->k, cached);
}

static void truncate(struct hand *h)
{
	struct town *t = town_of(h);
	uint64_t at = SHARED_FILE + hand_dice(h, FILE_PAGES) * PAGE + h->cpu * 64;
	int got;

	if (hand_dice(h, 4) == 0)
		HAND_CHECK(h, kmm_file_truncate(&t->shrinking, hand_dice(h, FILE_PAGES) * PAGE) == KMM_OK);
	if (hand_dice(h, 4) == 0)
		HAND_CHECK(h, kmm_file_truncate(&t->shrinking, FILE_PAGES * PAGE) == KMM_OK);
	got = poke(h, t->mm, at, (uint8_t)h->cpu);
	HAND_CHECK(h, got == 0 || got == -7);
	got = peek(h, t->mm, at);
	HAND_CHECK(h, got == 0 || got == (int)h->cpu || got == -7);
}

static void grow(struct hand *h)
{
	struct kmm_mm *mm = town_of(h)->mm;
	struct kmm_uva want = kmm_uva(HEAP + hand_dice(h, 30) * PAGE);

	HAND_CHECK(h, poke(h, mm, STACK_TOP - (1 + hand_dice(h, 300)) * PAGE + h->cpu * 64, 3) == 0);
	kmm_brk(mm, want);
	poke(h, mm, HEAP + h->cpu * 64, 5);
}

static void look(struct hand *h)
{
	struct kmm_mm *mm = town_of(h)->mm;
	struct kmm_vma_info vma;
	struct kmm_mm_stats stats;
	struct kmm_explain *explain = malloc(sizeof(*explain));

	kmm_mm_stats(mm, &stats);
	HAND_CHECK(h, stats.map_count > 0);
	HAND_CHECK(h, kmm_vma_find(mm, kmm_uva(OWN(h)), &vma) && vma.start.v <= OWN(h));
	kmm_report_maps(mm, &h->sink);
	kmm_report_smaps(mm, &h->sink);
	kmm_report_mm_status(mm, &h->sink);
	kmm_report_statm(mm, &h->sink);
	kmm_explain(h->k, mm, own_at(h, 0), explain);
	kmm_explain_print(h->k, mm, CONTENDED + hand_dice(h, CONTENDED_PAGES) * PAGE, &h->sink);
	kmm_report_meminfo(h->k, &h->sink);
	kmm_report_vmstat(h->k, &h->sink);
	kmm_report_kpageflags(h->k, kmm_pfn(256), 2048, &h->sink);
	kmm_report_kpagecount(h->k, kmm_pfn(256), 2048, &h->sink);
	free(explain);
}

/* ---- a space of its own ---- */

static void live_alone(struct hand *h)
{
	struct kmm_mm *mm, *child;

	HAND_CHECK(h, kmm_mm_create(h->k, &mm) == KMM_OK);
	HAND_CHECK(h, map(h, mm, 0x10000000, 30, RW, ANON, NULL) == KMM_OK);
	HAND_CHECK(h, map(h, mm, 0x20000000, FILE_PAGES, R, KMM_MAP_PRIVATE, &town_of(h)->read_only) == KMM_OK);
	for (unsigned i = 0; i < 30; i += 3)
		HAND_CHECK(h, poke(h, mm, 0x10000000 + i * PAGE, (uint8_t)i) == 0);
	HAND_CHECK(h, peek(h, mm, 0x20000000 + 5 * PAGE) == 0x45);
	HAND_CHECK(h, kmm_mm_fork(mm, &child) == KMM_OK);
	HAND_CHECK(h, poke(h, mm, 0x10000000, 99) == 0 && peek(h, child, 0x10000000) == 0);
	kmm_mm_get(child);
	hosted_run_space(h->m, NULL);
	kmm_mm_put(mm);
	HAND_CHECK(h, poke(h, child, 0x10000000 + 3 * PAGE, 1) == 0);
	hosted_run_space(h->m, NULL);
	kmm_mm_put(child);
	kmm_mm_put(child);
}

/* Frames change under everything; nobody can tell. */
static void move_frames(struct hand *h)
{
	unsigned frames = (unsigned)(kmm_layout_of(h->k)->lowmem_end >> KMM_PAGE_SHIFT), nr = 1 + hand_dice(h, 100);
	enum kmm_status status = kmm_migrate_range(h->k, kmm_pfn(hand_dice(h, frames - nr)), nr, NULL);

	HAND_CHECK(h, status == KMM_OK || status == KMM_EBUSY || status == KMM_ENOMEM);
	if (hand_dice(h, 4) == 0)
		(void)kmm_compact_step(h->k, 64);
}

static void step(struct hand *h)
{
	static void (*const often[])(struct hand *h) = { touch_own, touch_own, touch_own, copy_own, contend, contend, contend,
							 map_and_unmap, protect, move, share, use_files, truncate, grow };
	static void (*const seldom[])(struct hand *h) = { fork_all, fork_all, fork_all, live_alone, look, move_frames, move_frames };

	if (hand_dice(h, 12) == 0)
		seldom[hand_dice(h, sizeof(seldom) / sizeof(seldom[0]))](h);
	else
		often[hand_dice(h, sizeof(often) / sizeof(often[0]))](h);
}

/* ---- start and end ---- */

static enum kmm_status fill(struct kmm_file *file, uint64_t index, void *to)
{
	(void)file;
	memset(to, (int)(0x40 + index), KMM_PAGE_SIZE);
	return KMM_OK;
}

static void settle(struct crew *c, struct town *t, struct own own[CREW_HANDS])
{
	struct hand *h = &c->hand[0];

	CHECK_OK(kmm_mm_create(c->k, &t->mm));
	kmm_file_init(&t->read_only, c->k, FILE_PAGES * PAGE, "read-only");
	t->read_only.fill = fill;
	kmm_file_init(&t->shrinking, c->k, FILE_PAGES * PAGE, "shrinking");
	CHECK_OK(kmm_mm_map_stack(t->mm, kmm_uva(STACK_TOP), 4 * PAGE, false));
	kmm_mm_set_brk(t->mm, kmm_uva(HEAP));
	CHECK_OK(map(h, t->mm, SHM, SHM_PAGES, RW, SHARED, NULL));
	CHECK_OK(map(h, t->mm, PRIVATE_FILE, FILE_PAGES, RW, KMM_MAP_PRIVATE, &t->read_only));
	CHECK_OK(map(h, t->mm, SHARED_FILE, FILE_PAGES, RW, KMM_MAP_SHARED, &t->shrinking));
	for (unsigned i = 0; i < CREW_HANDS; i++) {
		c->hand[i].own = &own[i];
		CHECK_OK(map(h, t->mm, OWN(&c->hand[i]), OWN_PAGES, RW, ANON, NULL));
	}
	c->shared = t;
}

static void leave(struct crew *c, struct town *t)
{
	hosted_put_space(c->m, t->mm);
	kmm_backing_put(&t->read_only.backing);
	kmm_backing_put(&t->shrinking.backing);
	CALL(crew_clear(c));
	crew_end(c);
}

static void hammer(enum kmm_format_id format, uint64_t ram)
{
	static struct crew c;
	static struct town t;
	struct own own[CREW_HANDS] = { 0 };

	CALL(crew_boot(&c, format, ram, HOSTED_SPACES));
	CALL(settle(&c, &t, own));
	c.step = step;
	CALL(crew_work(&c));
	CALL(leave(&c, &t));
}

KMM_TEST(race_spaces_i386)
{
	hammer(KMM_I386, CREW_MIB(1200));
}

KMM_TEST(race_spaces_pae)
{
	hammer(KMM_I386_PAE, CREW_MIB(1200));
}

KMM_TEST(race_spaces_x86_64)
{
	hammer(KMM_X86_64, CREW_MIB(256));
}
