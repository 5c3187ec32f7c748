/* SPDX-License-Identifier: MIT */
/*
 * The table walk of the software MMU. Section and table numbers are those of the Intel SDM, volume 3A.
 *
 * A walk reads one entry per level, gathers the rights, and only if the access is allowed sets the
 * accessed bits on the way and the dirty bit of the leaf, each by compare-and-swap against what was read:
 * if another processor changed an entry meanwhile, the walk starts again.
 */
#include "softmmu.h"

#include <string.h>

/* Bits of an entry; the low half is the same in all modes (tables 4-4 to 4-20). */
enum { E_P = 1, E_RW = 2, E_US = 4, E_A = 0x20, E_D = 0x40, E_PS = 0x80, E_G = 0x100 };
#define E_XD (UINT64_C(1) << 63)

struct walk {
	bool write, user, exec, global; /* rights gathered so far */
	unsigned shift;                 /* of the leaf */
	uint64_t base;                  /* of the leaf's page */
	unsigned nr;                    /* entries used, leaf last */
	unsigned reads;                 /* entries read, a failing one included */
	struct { uint64_t at, raw; } used[5];
};

enum outcome { WALK_OK, WALK_ABSENT, WALK_RESERVED };

/* Bits lo..hi, both included; none when hi < lo. */
static uint64_t bits(unsigned hi, unsigned lo)
{
	if (hi < lo)
		return 0;
	return (hi == 63 ? ~UINT64_C(0) : (UINT64_C(1) << (hi + 1)) - 1) & ~((UINT64_C(1) << lo) - 1);
}

struct softmmu_control softmmu_control_for(enum kmm_format_id format, uint8_t maxphyaddr, bool no_nx)
{
	struct softmmu_control c = { .wp = true, .pse = true, .pge = true, .maxphyaddr = maxphyaddr };

	c.pae = format != KMM_I386;
	c.lme = format == KMM_X86_64 || format == KMM_X86_64_LA57;
	c.la57 = format == KMM_X86_64_LA57;
	c.nxe = c.pae && !no_nx;
	c.page_1g = c.lme;
	return c;
}

void softmmu_init(struct softmmu *mmu, struct softmmu_memory *memory, const struct softmmu_control *control)
{
	memset(mmu, 0, sizeof(*mmu));
	mmu->memory = memory;
	mmu->control = *control;
}

static unsigned entry_bytes(const struct softmmu *mmu)
{
	return mmu->control.pae ? 8 : 4;
}

static uint64_t read_entry(const struct softmmu *mmu, uint64_t at)
{
	const void *p = mmu->memory->at(mmu->memory, at);

	if (!p)
		return entry_bytes(mmu) == 8 ? UINT64_MAX : UINT32_MAX;
	if (entry_bytes(mmu) == 8)
		return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE);
	return __atomic_load_n((const uint32_t *)p, __ATOMIC_ACQUIRE);
}

/* raw -> raw | set, if the entry still is raw. */
static bool set_bits(const struct softmmu *mmu, uint64_t at, uint64_t raw, uint64_t set)
{
	void *p = mmu->memory->at(mmu->memory, at);
	uint32_t raw32 = (uint32_t)raw;

	if (!p || (raw & set) == set)
		return true;
	if (entry_bytes(mmu) == 8)
		return __atomic_compare_exchange_n((uint64_t *)p, &raw, raw | set, false, __ATOMIC_ACQ_REL,
						   __ATOMIC_ACQUIRE);
	return __atomic_compare_exchange_n((uint32_t *)p, &raw32, raw32 | (uint32_t)set, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/* Bits that must be 0 in a present entry (tables 4-4, 4-9 to 4-11, 4-14 to 4-20; PSE-36: 4.3). */
static uint64_t reserved_bits(const struct softmmu *mmu, unsigned shift, bool leaf)
{
	const struct softmmu_control *c = &mmu->control;
	uint64_t mask;

	if (!c->pae) {
		unsigned width = c->maxphyaddr > 40 ? 40 : c->maxphyaddr;

		return leaf && shift == 22 ? bits(21, width - 19) : 0;
	}
	mask = bits(c->lme ? 51 : 62, c->maxphyaddr);
	if (!c->nxe)
		mask |= E_XD;
	if (shift >= 39 || (shift == 30 && !c->page_1g))
		mask |= E_PS;
	if (leaf && shift > 12)
		mask |= bits(shift - 1, 13); /* bit 12 of a large page is PAT */
	return mask;
}

/* Does an entry with shift map a page itself? */
static bool is_leaf(const struct softmmu *mmu, unsigned shift, uint64_t raw)
{
	if (shift == 12)
		return true;
	if (!(raw & E_PS))
		return false;
	return shift == 21 || (shift == 30 && mmu->control.page_1g) || (shift == 22 && mmu->control.pse);
}

static uint64_t leaf_base(const struct softmmu *mmu, unsigned shift, uint64_t raw)
{
	if (mmu->control.pae)
		return raw & bits(51, shift);
	if (shift == 22) /* PSE-36: entry bits 20:13 are address bits 39:32 */
		return (raw & 0xffc00000) | (raw >> 13 & 0xff) << 32;
	return raw & 0xfffff000;
}

static void start_rights(struct walk *w)
{
	memset(w, 0, sizeof(*w));
	w->write = w->user = w->exec = true;
}

static void gather(struct walk *w, uint64_t raw, bool nxe)
{
	w->write &= !!(raw & E_RW);
	w->user &= !!(raw & E_US);
	w->exec &= !(nxe && (raw & E_XD));
}

/* One level: reads the entry of va in `table`. Sets *table to the next table unless it ends here. */
static enum outcome step(const struct softmmu *mmu, struct walk *w, uint64_t va, unsigned shift, uint64_t *table,
			 bool *done)
{
	unsigned index_bits = mmu->control.pae ? 9 : 10;
	uint64_t at = *table + ((va >> shift) & ((1u << index_bits) - 1)) * entry_bytes(mmu);
	uint64_t raw = read_entry(mmu, at);
	bool leaf = is_leaf(mmu, shift, raw);

	w->reads++;
	if (!(raw & E_P))
		return WALK_ABSENT;
	if (raw & reserved_bits(mmu, shift, leaf))
		return WALK_RESERVED;
	w->used[w->nr].at = at;
	w->used[w->nr++].raw = raw;
	gather(w, raw, mmu->control.nxe);
	*done = leaf;
	if (leaf) {
		w->shift = shift;
		w->base = leaf_base(mmu, shift, raw);
		w->global = mmu->control.pge && (raw & E_G);
	} else {
		*table = raw & (mmu->control.pae ? bits(51, 12) : 0xfffff000);
	}
	return WALK_OK;
}

/* First table and its shift. PAE: through the register loaded with CR3 (4.4.1), which has no rights. */
static enum outcome first_table(const struct softmmu *mmu, uint64_t cr3, const uint64_t *pdpte, uint64_t va,
				uint64_t *table, unsigned *shift)
{
	const struct softmmu_control *c = &mmu->control;

	if (c->lme) {
		*table = cr3 & bits(51, 12);
		*shift = c->la57 ? 48 : 39;
		return WALK_OK;
	}
	if (!c->pae) {
		*table = cr3 & 0xfffff000;
		*shift = 22;
		return WALK_OK;
	}
	if (!(pdpte[va >> 30 & 3] & E_P))
		return WALK_ABSENT;
	*table = pdpte[va >> 30 & 3] & bits(51, 12);
	*shift = 21;
	return WALK_OK;
}

static enum outcome walk_from(const struct softmmu *mmu, struct walk *w, uint64_t va, uint64_t table, unsigned shift)
{
	bool done = false;
	enum outcome outcome = WALK_OK;

	while (!done && outcome == WALK_OK) {
		outcome = step(mmu, w, va, shift, &table, &done);
		shift -= mmu->control.pae ? 9 : 10;
	}
	return outcome;
}

/* ---- the cache of entries that point to last-level tables (4.10.3) ---- */

static unsigned upper_shift(const struct softmmu *mmu)
{
	return mmu->control.pae ? 21 : 22;
}

static const struct softmmu_upper *upper_find(const struct softmmu *mmu, uint64_t va)
{
	uint64_t tag = va >> upper_shift(mmu);
	const struct softmmu_upper *u = &mmu->upper[tag % SOFTMMU_UPPERS];

	return u->valid && u->tag == tag ? u : NULL;
}

static void upper_insert(struct softmmu *mmu, const struct walk *w, uint64_t va)
{
	uint64_t tag = va >> upper_shift(mmu);
	struct softmmu_upper *u = &mmu->upper[tag % SOFTMMU_UPPERS];
	struct walk rights;

	if (w->shift != 12 || w->nr < 2)
		return;
	start_rights(&rights);
	for (unsigned i = 0; i + 1 < w->nr; i++)
		gather(&rights, w->used[i].raw, mmu->control.nxe);
	*u = (struct softmmu_upper){ tag, w->used[w->nr - 2].raw & (mmu->control.pae ? bits(51, 12) : 0xfffff000),
				     true, rights.write, rights.user, rights.exec };
}

static enum outcome walk(struct softmmu *mmu, struct walk *w, uint64_t va)
{
	const struct softmmu_upper *u = upper_find(mmu, va);
	enum outcome outcome;
	uint64_t table;
	unsigned shift;

	start_rights(w);
	mmu->stats.walks++;
	if (u) {
		mmu->stats.upper_hits++;
		w->write = u->write;
		w->user = u->user;
		w->exec = u->exec;
		outcome = walk_from(mmu, w, va, u->table, 12);
	} else {
		outcome = first_table(mmu, mmu->cr3, mmu->pdpte, va, &table, &shift);
		if (outcome == WALK_OK)
			outcome = walk_from(mmu, w, va, table, shift);
	}
	mmu->stats.entry_reads += w->reads;
	return outcome;
}

/* ---- rights, faults ---- */

static bool canonical(const struct softmmu *mmu, uint64_t va)
{
	unsigned unused = mmu->control.la57 ? 7 : 16;

	return (uint64_t)((int64_t)(va << unused) >> unused) == va;
}

/* 4.6.1: may this access use a translation with these rights? */
static bool allowed(const struct softmmu *mmu, bool write, bool user_ok, bool exec, enum kmm_access access, bool user)
{
	if (user && !user_ok)
		return false;
	if (access == KMM_EXEC)
		return exec;
	return access == KMM_READ || write || (!user && !mmu->control.wp);
}

/* 4.7. A page fault also drops what the TLB holds for the address (4.10.4.1). */
static bool page_fault(struct softmmu *mmu, uint64_t va, enum kmm_access access, bool user, uint32_t cause,
		       struct softmmu_fault *fault)
{
	fault->vector = SOFTMMU_PF;
	fault->cr2 = va;
	fault->error = cause | (access == KMM_WRITE ? SOFTMMU_W : 0) | (user ? SOFTMMU_U : 0);
	if (access == KMM_EXEC && mmu->control.nxe)
		fault->error |= SOFTMMU_ID;
	mmu->stats.faults++;
	softmmu_tlb_drop(mmu, va);
	return false;
}

static bool general_protection(struct softmmu *mmu, struct softmmu_fault *fault)
{
	*fault = (struct softmmu_fault){ SOFTMMU_GP, 0, 0 };
	mmu->stats.faults++;
	return false;
}

static bool set_accessed_dirty(const struct softmmu *mmu, struct walk *w, bool dirty)
{
	for (unsigned i = 0; i < w->nr; i++) {
		uint64_t set = E_A | (dirty && i + 1 == w->nr ? E_D : 0);

		if (!set_bits(mmu, w->used[i].at, w->used[i].raw, set))
			return false;
	}
	return true;
}

static void remember(struct softmmu *mmu, const struct walk *w, uint64_t va, bool dirty)
{
	struct softmmu_tlb_entry e = { .base = w->base, .shift = (uint8_t)w->shift, .write = w->write,
				       .user = w->user, .exec = w->exec, .global = w->global };

	e.dirty = dirty || (w->used[w->nr - 1].raw & E_D);
	softmmu_tlb_insert(mmu, va, &e);
	upper_insert(mmu, w, va);
}

static bool translate_by_walk(struct softmmu *mmu, uint64_t va, enum kmm_access access, bool user, uint64_t *pa,
			      struct softmmu_fault *fault)
{
	struct walk w;

	do {
		enum outcome outcome = walk(mmu, &w, va);

		if (outcome == WALK_ABSENT)
			return page_fault(mmu, va, access, user, 0, fault);
		if (outcome == WALK_RESERVED)
			return page_fault(mmu, va, access, user, SOFTMMU_P | SOFTMMU_RSVD, fault);
		if (!allowed(mmu, w.write, w.user, w.exec, access, user))
			return page_fault(mmu, va, access, user, SOFTMMU_P, fault);
	} while (!set_accessed_dirty(mmu, &w, access == KMM_WRITE));
	remember(mmu, &w, va, access == KMM_WRITE);
	*pa = w.base + (va & bits(w.shift - 1, 0));
	return true;
}

bool softmmu_translate(struct softmmu *mmu, uint64_t va, enum kmm_access access, bool user, uint64_t *pa,
		       struct softmmu_fault *fault)
{
	const struct softmmu_tlb_entry *e;

	if (!mmu->control.lme)
		va &= UINT32_MAX;
	else if (!canonical(mmu, va))
		return general_protection(mmu, fault);
	e = softmmu_tlb_find(mmu, va);
	if (!e) {
		mmu->stats.misses++;
		return translate_by_walk(mmu, va, access, user, pa, fault);
	}
	mmu->stats.hits++;
	if (!allowed(mmu, e->write, e->user, e->exec, access, user))
		return page_fault(mmu, va, access, user, SOFTMMU_P, fault);
	if (access == KMM_WRITE && !e->dirty) { /* the dirty bit must reach memory first (4.8) */
		mmu->stats.dirty_walks++;
		return translate_by_walk(mmu, va, access, user, pa, fault);
	}
	*pa = e->base + (va & bits(e->shift - 1u, 0));
	return true;
}

/* ---- CR3, invalidation ---- */

/* Reads the four PDPTEs; false: a present one has a reserved bit (table 4-8). */
static bool read_pdptes(const struct softmmu *mmu, uint64_t cr3, uint64_t pdpte[4])
{
	uint64_t reserved = bits(2, 1) | bits(8, 5) | bits(63, mmu->control.maxphyaddr);

	for (unsigned i = 0; i < 4; i++) {
		pdpte[i] = read_entry(mmu, (cr3 & bits(31, 5)) + 8 * i);
		if ((pdpte[i] & E_P) && (pdpte[i] & reserved))
			return false;
	}
	return true;
}

bool softmmu_load_cr3(struct softmmu *mmu, uint64_t cr3, struct softmmu_fault *fault)
{
	uint64_t pdpte[4] = { 0, 0, 0, 0 };

	if (mmu->control.lme && (cr3 & bits(63, mmu->control.maxphyaddr)))
		return general_protection(mmu, fault);
	if (!mmu->control.lme && mmu->control.pae && !read_pdptes(mmu, cr3, pdpte))
		return general_protection(mmu, fault);
	mmu->cr3 = cr3;
	memcpy(mmu->pdpte, pdpte, sizeof(pdpte));
	softmmu_tlb_drop_all(mmu, true);
	mmu->stats.cr3_loads++;
	return true;
}

void softmmu_invlpg(struct softmmu *mmu, uint64_t va)
{
	mmu->stats.invlpgs++;
	softmmu_tlb_drop(mmu, mmu->control.lme ? va : va & UINT32_MAX);
}

void softmmu_flush_all(struct softmmu *mmu)
{
	mmu->stats.full_flushes++;
	softmmu_tlb_drop_all(mmu, false);
}

bool softmmu_probe(const struct softmmu *mmu, uint64_t root, uint64_t va, uint64_t *pa, uint64_t *page_bytes)
{
	uint64_t pdpte[4], table;
	struct walk w;
	unsigned shift;

	if (mmu->control.lme && !canonical(mmu, va))
		return false;
	if (!mmu->control.lme) {
		va &= UINT32_MAX;
		if (mmu->control.pae && !read_pdptes(mmu, root, pdpte))
			return false;
	}
	start_rights(&w);
	if (first_table(mmu, root, pdpte, va, &table, &shift) != WALK_OK ||
	    walk_from(mmu, &w, va, table, shift) != WALK_OK)
		return false;
	*pa = w.base + (va & bits(w.shift - 1, 0));
	if (page_bytes)
		*page_bytes = UINT64_C(1) << w.shift;
	return true;
}
