/* SPDX-License-Identifier: MIT */
/*
 * generate.c - random programs of steps (step.h). Weighted so that areas are split, merged and overlapped all the time and
 * most calls succeed; a few have hostile arguments. Nothing may reach what the native program lives in: calls at low
 * addresses end below ORACLE_LOW_END, or so far up that every kernel refuses them.
 */
#include "oracle/step.h"

enum { PROT_R = 1, PROT_W = 2, PROT_X = 4, PROT_SEM_BIT = 8, PROT_GROWSDOWN_BIT = 0x01000000, PROT_GROWSUP_BIT = 0x02000000 };
enum { MAP_SHARED_BIT = 1, MAP_PRIVATE_BIT = 2, MAP_VALIDATE_BITS = 3, MAP_FIXED_BIT = 0x10, MAP_ANON_BIT = 0x20, MAP_32BIT_BIT = 0x40,
       MAP_GROWSDOWN_BIT = 0x100, MAP_DENYWRITE_BIT = 0x800, MAP_EXECUTABLE_BIT = 0x1000, MAP_LOCKED_BIT = 0x2000, MAP_NORESERVE_BIT = 0x4000,
       MAP_POPULATE_BIT = 0x8000, MAP_NONBLOCK_BIT = 0x10000, MAP_STACK_BIT = 0x20000, MAP_HUGETLB_BIT = 0x40000, MAP_NOREPLACE_BIT = 0x100000 };
#define PICK(list) (list)[dice(g, sizeof(list) / sizeof((list)[0]))]

struct generator {
	uint64_t state;
	struct oracle_width width;
	uint32_t living; /* actors that a step may name; a fork that fails leaves some out */
	uint8_t actor;
};

static uint32_t next(struct generator *g)
{
	g->state ^= g->state << 13;
	g->state ^= g->state >> 7;
	g->state ^= g->state << 17;
	return (uint32_t)(g->state >> 24);
}

static uint32_t dice(struct generator *g, uint32_t n) { return next(g) % n; }
static bool one_in(struct generator *g, uint32_t n) { return dice(g, n) == 0; }

/* ---- operands ---- */

/* Few pages mostly. */
static uint64_t pages(struct generator *g)
{
	return (one_in(g, 4) ? 1 + dice(g, 12) : 1 + dice(g, 4)) * ORACLE_PAGE;
}

static struct place window(struct generator *g)
{
	return (struct place){ dice(g, ORACLE_WINDOW_PAGES) * ORACLE_PAGE, BASE_WINDOW };
}

static struct place slot(struct generator *g)
{
	return (struct place){ dice(g, 4) * ORACLE_PAGE, (uint8_t)(BASE_SLOT + dice(g, ORACLE_SLOTS)) };
}

static struct place far_off(struct generator *g)
{
	return (struct place){ dice(g, ORACLE_FAR_PAGES) * ORACLE_PAGE, BASE_FAR };
}

static struct place heap(struct generator *g)
{
	return (struct place){ (1 + dice(g, ORACLE_HEAP_PAGES)) * ORACLE_PAGE, BASE_HEAP };
}

static struct place somewhere(struct generator *g)
{
	switch (dice(g, 10)) {
	case 0:
	case 1: return slot(g);
	case 2: return one_in(g, 2) ? far_off(g) : heap(g);
	default: return window(g);
	}
}

/* An address for an access: also nowhere, and in the middle of pages. */
static struct place byte_at(struct generator *g)
{
	static const uint16_t within[] = { 0, 0, 8, 7, 2048, 4088, 4095 };
	struct place p = somewhere(g);

	if (one_in(g, 64))
		p = (struct place){ dice(g, 1024) * ORACLE_PAGE, BASE_ABSOLUTE };
	else if (one_in(g, 64))
		p = (struct place){ g->width.user_end - dice(g, 4) * ORACLE_PAGE, BASE_ABSOLUTE };
	else if (one_in(g, 96))
		p = (struct place){ g->width.bits > 32 ? (uint64_t)(0x7fff + dice(g, 3)) << 47 : 0xc0100000 + dice(g, 1 << 20),
				    BASE_ABSOLUTE };
	p.offset += PICK(within);
	return p;
}

static uint32_t prot(struct generator *g)
{
	static const uint8_t often[] = { 0, PROT_R, PROT_R | PROT_W, PROT_R | PROT_W, PROT_R | PROT_W, PROT_R | PROT_W, PROT_R | PROT_X,
					 PROT_R | PROT_W | PROT_X, PROT_W, PROT_X };

	return PICK(often);
}

/* All but the upper half's lengths are refused wherever they start; the generator gives no others to low addresses. */
static uint64_t odd_length(struct generator *g)
{
	const uint64_t all = g->width.bits > 32 ? UINT64_MAX : UINT32_MAX, half = all / 2 + 1;
	const uint64_t odd[] = { 0, 1, 4095, 4097, all, all - 4095, all - 4096, half, half + 4096, all - ORACLE_WINDOW + 1 };

	return PICK(odd);
}

/* ---- calls ---- */

static void make_mmap_flags(struct generator *g, struct step *s)
{
	static const uint32_t extra[] = { MAP_POPULATE_BIT, MAP_POPULATE_BIT, MAP_POPULATE_BIT | MAP_NONBLOCK_BIT, MAP_NORESERVE_BIT,
					  MAP_STACK_BIT, MAP_DENYWRITE_BIT, MAP_EXECUTABLE_BIT, MAP_32BIT_BIT, 0x80000000, MAP_LOCKED_BIT, MAP_LOCKED_BIT, MAP_GROWSDOWN_BIT };

	s->flags = !one_in(g, 3) ? MAP_PRIVATE_BIT : one_in(g, 6) ? MAP_VALIDATE_BITS : MAP_SHARED_BIT;
	if (one_in(g, 100))
		s->flags = dice(g, 16);
	if (one_in(g, 3))
		s->file = (uint8_t)dice(g, one_in(g, 3) ? ORACLE_FILES : 3);
	else
		s->flags |= MAP_ANON_BIT;
	if (!one_in(g, 4))
		s->flags |= one_in(g, 6) ? MAP_NOREPLACE_BIT : MAP_FIXED_BIT;
	if (one_in(g, 6))
		s->flags |= PICK(extra);
}

static void make_mmap(struct generator *g, struct step *s)
{
	s->at = one_in(g, 8) ? (struct place){ 0, BASE_ABSOLUTE } : somewhere(g);
	s->len = pages(g);
	s->prot = prot(g);
	make_mmap_flags(g, s);
	s->off = one_in(g, 2) ? 0 : dice(g, ORACLE_FILE_PAGES + 2) * ORACLE_PAGE;
	s->slot = (uint8_t)dice(g, ORACLE_SLOTS);
	if (s->at.base == BASE_ABSOLUTE)
		s->flags &= ~(uint32_t)(MAP_FIXED_BIT | MAP_NOREPLACE_BIT);
}

/* Of huge pages there are none in reserve. They are asked for where there is room: places and hints are rounded by rules of
 * their own, and NORESERVE maps what is not there. */
static void make_huge(struct generator *g, struct step *s)
{
	static const uint32_t sizes[] = { 0, 0, UINT32_C(13) << 26, UINT32_C(63) << 26 };

	s->at = (struct place){ 0, BASE_ABSOLUTE };
	s->len = one_in(g, 2) ? pages(g) : dice(g, 4) << 22;
	s->prot = prot(g);
	s->flags = MAP_HUGETLB_BIT | (one_in(g, 3) ? MAP_SHARED_BIT : MAP_PRIVATE_BIT) | PICK(sizes);
	if (one_in(g, 6))
		s->file = (uint8_t)dice(g, ORACLE_FILES);
	else
		s->flags |= MAP_ANON_BIT;
}

/* So much that what all processes promise themselves matters, which is not done for the few pages of the others. */
static void make_big(struct generator *g, struct step *s)
{
	s->at = (struct place){ ORACLE_BIG_AT + dice(g, ORACLE_NR_BIG) * ORACLE_BIG, BASE_ABSOLUTE };
	s->len = (1 + dice(g, 8)) * ORACLE_BIG;
	s->prot = one_in(g, 4) ? prot(g) : PROT_R | PROT_W;
	if (s->op != OP_MMAP)
		return;
	s->flags = MAP_ANON_BIT | (one_in(g, 6) ? MAP_NOREPLACE_BIT : MAP_FIXED_BIT) | (one_in(g, 6) ? MAP_SHARED_BIT : MAP_PRIVATE_BIT) | (one_in(g, 4) ? MAP_NORESERVE_BIT : 0);
	s->slot = (uint8_t)dice(g, ORACLE_SLOTS);
}

/* A stack, with space to grow. */
static void make_stack(struct generator *g, struct step *s)
{
	s->at = (struct place){ (300 + dice(g, 600)) * ORACLE_PAGE, BASE_FAR };
	s->len = pages(g);
	s->prot = PROT_R | PROT_W;
	s->flags = MAP_PRIVATE_BIT | MAP_ANON_BIT | MAP_GROWSDOWN_BIT | (one_in(g, 6) ? 0 : MAP_FIXED_BIT);
	s->slot = (uint8_t)dice(g, ORACLE_SLOTS);
}

static void make_mapping(struct generator *g, struct step *s)
{
	if (one_in(g, 30))
		make_big(g, s);
	else if (one_in(g, 16))
		make_stack(g, s);
	else if (one_in(g, 60))
		make_huge(g, s);
	else
		make_mmap(g, s);
}

static void make_mremap(struct generator *g, struct step *s)
{
	static const uint32_t often[] = { 0, 0, 1, 1, 1, 3, 3, 3, 3, 5, 5, 7, 7, 2, 4, 8 };

	s->at = somewhere(g);
	s->len = pages(g);
	s->flags = PICK(often);
	s->new_len = one_in(g, 3) || ((s->flags & 4) && !one_in(g, 8)) ? s->len : pages(g);
	s->to = somewhere(g);
	s->slot = (uint8_t)dice(g, ORACLE_SLOTS);
	if (one_in(g, 10))
		s->len -= dice(g, 4096);
	if (one_in(g, 24))
		s->len = 0; /* a second view of a shared mapping */
}

static void make_madvise(struct generator *g, struct step *s)
{
	static const uint32_t often[] = { 4, 4, 4, 0, 1, 2, 3, 3, 5, 8, 8, 9, 9, 10, 11, 16, 17, 18, 18, 19, 20, 20, 21, 21, 22, 22, 23, 23,
					  24, 77 };

	s->flags = one_in(g, 100) ? (one_in(g, 4) ? 100 + dice(g, 2) : dice(g, 26)) : PICK(often); /* some seldom */
	if (s->flags == 14 || s->flags == 15 || s->flags == 25)
		s->flags = 12; /* huge pages are an option of Linux, and on wherever it is compared with */
}

static void make_mlockall(struct generator *g, struct step *s)
{
	s->flags = one_in(g, 4) ? dice(g, 9) : 1 + dice(g, 3);
}

static void make_remap_pages(struct generator *g, struct step *s)
{
	s->prot = one_in(g, 12) ? prot(g) : 0;
	s->flags = one_in(g, 4) ? MAP_NONBLOCK_BIT : 0;
	s->off = dice(g, ORACLE_FILE_PAGES + 2) * ORACLE_PAGE;
}

static void make_msync(struct generator *g, struct step *s)
{
	s->flags = one_in(g, 4) ? dice(g, 9) : 4;
}

/* What a call about a range is made with: mostly aligned, and mapped. */
static void range(struct generator *g, struct step *s)
{
	s->at = somewhere(g);
	s->len = pages(g);
	if (one_in(g, 12))
		s->len -= dice(g, 4096);
	if (one_in(g, 40))
		s->at.offset += 1 + dice(g, 4095);
}

static void make_protect(struct generator *g, struct step *s)
{
	static const uint32_t more[] = { PROT_SEM_BIT, PROT_GROWSDOWN_BIT, PROT_GROWSDOWN_BIT, PROT_GROWSUP_BIT,
					 PROT_GROWSDOWN_BIT | PROT_GROWSUP_BIT, 16 };

	s->prot = prot(g) | (one_in(g, 24) ? PICK(more) : 0);
	range(g, s);
}

/* Hostile lengths, for any call that has one; those at low addresses must be refused, or be small. */
static void spoil(struct generator *g, struct step *s)
{
	if (one_in(g, 2)) {
		s->len = odd_length(g);
	} else {
		s->at = (struct place){ dice(g, 8) * 65536 * (1 + dice(g, 3)), BASE_ABSOLUTE };
		s->len = pages(g);
		s->slot = ORACLE_SLOTS;
	}
	if (one_in(g, 3))
		s->new_len = odd_length(g);
}

static void make_access(struct generator *g, struct step *s)
{
	s->at = byte_at(g);
	s->len = one_in(g, 3) && s->at.base != BASE_ABSOLUTE ? 8 : 1; /* not across the end of all addresses */
	if (s->op == OP_WRITE) {
		s->len = 1;
		s->flags = one_in(g, 4) ? 0xc3 : 1 + dice(g, 255);
	}
}

static void make_file_call(struct generator *g, struct step *s)
{
	s->file = (uint8_t)dice(g, one_in(g, 5) ? ORACLE_FILES : 2);
	s->at = byte_at(g);
	s->len = one_in(g, 2) ? 1 + dice(g, 8) : 1;
	s->flags = 1 + dice(g, 255);
	s->off = dice(g, (ORACLE_FILE_PAGES + 2) * 4096);
	if (s->op == OP_FTRUNCATE)
		s->off = one_in(g, 2) ? dice(g, ORACLE_FILE_PAGES + 3) * ORACLE_PAGE : s->off;
}

/* Whose: anyone's, and of those that do not live. */
static void make_other(struct generator *g, struct step *s)
{
	s->slot = (uint8_t)dice(g, ORACLE_ACTORS);
	if (!(g->living >> s->slot & 1) && !one_in(g, 4))
		s->slot = s->actor;
	s->at = byte_at(g);
	s->len = one_in(g, 2) ? 8 : 1 + dice(g, 8);
	s->flags = s->op == OP_POKE ? 1 + dice(g, 255) : 0;
}

static void make_seal(struct generator *g, struct step *s)
{
	s->file = one_in(g, 4) ? (uint8_t)dice(g, ORACLE_FILES) : FILE_SEALABLE;
	s->flags = one_in(g, 12) ? 64 : one_in(g, 12) ? 1 : dice(g, 16) * 2;
}

static void make_attach(struct generator *g, struct step *s)
{
	static const uint32_t often[] = { 0, 0, 040000, 040000, 040000, 050000, 020000, 010000, 0100000, 060000, 0140000 };

	s->file = one_in(g, 40) ? FILE_NONE : (uint8_t)dice(g, ORACLE_SEGMENTS);
	s->at = one_in(g, 6) ? (struct place){ 0, BASE_ABSOLUTE } : somewhere(g);
	if (one_in(g, 8))
		s->at.offset += dice(g, 4096);
	s->flags = PICK(often);
	s->slot = (uint8_t)dice(g, ORACLE_SLOTS);
}

static void make_limit(struct generator *g, struct step *s)
{
	s->flags = dice(g, LIMIT_NR);
	if (s->flags == LIMIT_MEMLOCK) { /* its hard limit is 8 MiB */
		s->new_len = one_in(g, 3) ? 8 << 20 : dice(g, 64) * ORACLE_PAGE;
		return;
	}
	s->new_len = one_in(g, 2) ? UINT64_MAX : (one_in(g, 2) ? dice(g, 64) : 512 + dice(g, 4096)) * ORACLE_PAGE;
}

static void make_brk(struct generator *g, struct step *s)
{
	s->at = heap(g);
	if (one_in(g, 3))
		s->at.offset += dice(g, 4096);
	if (one_in(g, 12))
		s->at = (struct place){ one_in(g, 2) ? 0 : dice(g, 1 << 20), BASE_ABSOLUTE };
}

/* ---- who ---- */

static void make_fork(struct generator *g, struct step *s)
{
	for (uint8_t child = 0; child < ORACLE_ACTORS; child++)
		if (!(g->living >> child & 1)) {
			s->slot = child;
			g->living |= 1u << child;
			return;
		}
	s->op = OP_EXIT;
	g->living &= ~(1u << s->actor);
	(void)g;
}

static void choose_actor(struct generator *g)
{
	if ((g->living >> g->actor & 1) && !one_in(g, 4))
		return;
	do
		g->actor = (uint8_t)dice(g, ORACLE_ACTORS);
	while (!(g->living >> g->actor & 1));
}

/* ---- a step ---- */

static enum op random_op(struct generator *g)
{
	static const uint8_t often[] = {
		OP_MMAP, OP_MMAP, OP_MMAP, OP_MMAP, OP_MMAP, OP_MMAP, OP_MMAP, OP_MMAP, OP_MUNMAP, OP_MUNMAP, OP_MUNMAP, OP_MPROTECT, OP_MPROTECT,
		OP_MPROTECT, OP_MPROTECT, OP_MREMAP, OP_MREMAP, OP_MREMAP, OP_BRK, OP_MADVISE, OP_MADVISE, OP_MADVISE, OP_MADVISE, OP_MLOCK, OP_MUNLOCK,
		OP_MINCORE, OP_MINCORE, OP_REMAP_PAGES, OP_MSYNC, OP_READ,
		OP_READ, OP_READ, OP_READ, OP_READ, OP_WRITE, OP_WRITE, OP_WRITE, OP_WRITE, OP_WRITE, OP_WRITE, OP_WRITE, OP_EXEC, OP_PREAD,
		OP_PREAD, OP_COPYIN, OP_COPYIN, OP_PWRITE, OP_PWRITE, OP_FTRUNCATE, OP_PEEK, OP_POKE, OP_SHMAT, OP_SHMDT,
	};

	if (one_in(g, 50))
		return OP_FORK;
	if (one_in(g, 80))
		return OP_RLIMIT;
	if (one_in(g, 100))
		return OP_SEAL;
	if (one_in(g, 80))
		return OP_CLEAR_REFS;
	if (one_in(g, 120))
		return one_in(g, 2) ? OP_MLOCKALL : OP_MUNLOCKALL;
	return (enum op)PICK(often);
}

static void random_step(struct generator *g, struct step *s)
{
	choose_actor(g);
	*s = (struct step){ .op = (uint8_t)random_op(g), .actor = g->actor, .file = FILE_NONE, .slot = ORACLE_SLOTS };
	switch ((enum op)s->op) {
	case OP_MMAP: make_mapping(g, s); break;
	case OP_MREMAP: make_mremap(g, s); break;
	case OP_MUNMAP: one_in(g, 40) ? make_big(g, s) : range(g, s); break;
	case OP_MPROTECT: one_in(g, 40) ? make_big(g, s) : make_protect(g, s); break;
	case OP_MADVISE: make_madvise(g, s); range(g, s); break;
	case OP_MLOCK: s->flags = one_in(g, 8) ? dice(g, 3) : one_in(g, 4); range(g, s); break;
	case OP_MUNLOCK:
	case OP_MINCORE: range(g, s); break;
	case OP_REMAP_PAGES: range(g, s); make_remap_pages(g, s); break;
	case OP_MLOCKALL: make_mlockall(g, s); break;
	case OP_MSYNC: make_msync(g, s); range(g, s); break;
	case OP_BRK: make_brk(g, s); break;
	case OP_READ:
	case OP_WRITE:
	case OP_EXEC: make_access(g, s); break;
	case OP_PREAD:
	case OP_COPYIN:
	case OP_PWRITE:
	case OP_FTRUNCATE: make_file_call(g, s); break;
	case OP_PEEK:
	case OP_POKE: make_other(g, s); break;
	case OP_SEAL: make_seal(g, s); break;
	case OP_SHMAT: make_attach(g, s); break;
	case OP_SHMDT: s->at = somewhere(g); break;
	case OP_FORK: make_fork(g, s); break;
	case OP_RLIMIT: make_limit(g, s); break;
	case OP_CLEAR_REFS: s->flags = one_in(g, 3) ? dice(g, 7) : 4; break;
	case OP_MUNLOCKALL:
	case OP_EXIT:
	case OP_NR: break;
	}
	if (s->op <= OP_MSYNC && s->op != OP_BRK && !(s->op == OP_MMAP && (s->flags & MAP_HUGETLB_BIT)) && one_in(g, 24))
		spoil(g, s);
}

/* Seeds that differ by one give unlike programs. */
static uint64_t scramble(uint64_t z)
{
	z = (z + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) | 1;
}

void oracle_generate(uint64_t seed, const struct oracle_width *width, struct step *steps, unsigned nr)
{
	struct generator g = { scramble(seed), *width, 1, 0 };

	for (unsigned i = 0; i < nr; i++)
		random_step(&g, &steps[i]);
}
