/* SPDX-License-Identifier: MIT */
/*
 * The x86 port's process-context identifiers against a model of processors whose TLBs keep what no rule drops: loads of
 * roots, accesses, changes of entries with the port's flush, roots that end and are used again. Every access must see the
 * entry as it is. No emulator at hand has identifiers, so this is where their rules are run.
 */
#include <string.h>

#include "../../ports/x86/common/pcid.c"

#include "harness/test.h"

enum { CPUS = 3, ROOTS = 10, PAGES = 8, STEPS = 200000, IDENTIFIERS = X86_PCIDS + 1 };

struct model {
	unsigned entry[ROOTS][PAGES];            /* the tables: 0: not present */
	unsigned tlb[CPUS][IDENTIFIERS][PAGES];  /* 0: nothing kept */
	unsigned loaded[CPUS], identifier[CPUS];
	unsigned loads, kept;                    /* loads; those that dropped nothing */
	unsigned last_value;
};

static uint64_t root_of(unsigned i) { return (uint64_t)(i + 1) << 12; }

/* MOV to CR3 with CR4.PCIDE: without bit 63 the identifier's translations go. */
static void load(struct model *m, unsigned cpu, unsigned root)
{
	uint64_t cr3 = x86_pcid_cr3(cpu, root_of(root));

	m->identifier[cpu] = cr3 & 0xfff;
	CHECK(m->identifier[cpu] >= 1 && m->identifier[cpu] < IDENTIFIERS);
	CHECK_EQ(cr3 & ~(X86_CR3_NOFLUSH | 0xfff), root_of(root));
	if (!(cr3 & X86_CR3_NOFLUSH))
		memset(m->tlb[cpu][m->identifier[cpu]], 0, sizeof(m->tlb[cpu][0]));
	m->loaded[cpu] = root;
	m->loads++;
	m->kept += (cr3 & X86_CR3_NOFLUSH) != 0;
}

static void access_page(struct model *m, unsigned cpu, unsigned page)
{
	unsigned *kept = &m->tlb[cpu][m->identifier[cpu]][page];

	if (!*kept)
		*kept = m->entry[m->loaded[cpu]][page];
	CHECK_EQ(*kept, m->entry[m->loaded[cpu]][page]);
}

/* As x86_tlb_do() and x86_tlb_others(): marks first, then those that have the root loaded drop what they have. */
static void flush(struct model *m, unsigned root)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		x86_pcid_mark(cpu, root_of(root));
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		if (m->loaded[cpu] == root)
			memset(m->tlb[cpu][m->identifier[cpu]], 0, sizeof(m->tlb[cpu][0]));
}

static void change(struct model *m, unsigned root, unsigned page, bool there)
{
	m->entry[root][page] = there ? ++m->last_value : 0;
	flush(m, root);
}

/* A space ends and another begins with the same frame for its root. */
static void end(struct model *m, unsigned root)
{
	for (unsigned page = 0; page < PAGES; page++)
		m->entry[root][page] = 0;
	flush(m, root);
	m->entry[root][0] = ++m->last_value; /* the first one was not there: nothing to flush */
}

static void step(struct model *m, uint64_t r)
{
	unsigned cpu = r % CPUS, page = r >> 8 & (PAGES - 1), root = (unsigned)(r >> 16) % ROOTS;

	switch (r >> 32 & 15) {
	case 0: case 1: load(m, cpu, root); break;
	case 2: load(m, cpu, root % 3); break; /* few that come back often */
	case 3: change(m, root, page, r >> 40 & 1); break;
	case 4: if (!(r >> 41 & 7)) end(m, root); break;
	default: access_page(m, cpu, page);
	}
}

KMM_TEST(pcid_no_access_by_what_was_flushed)
{
	static struct model m;
	uint64_t state = kmm_test_seed();

	memset(&m, 0, sizeof(m));
	memset(cpus, 0, sizeof(cpus));
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		CALL(load(&m, cpu, cpu));
	for (unsigned i = 0; i < STEPS; i++)
		CALL(step(&m, kmm_test_rand(&state)));
	CHECK(m.kept > m.loads / 4); /* or it would be for nothing */
}

KMM_TEST(pcid_more_roots_than_identifiers_take_turns)
{
	memset(cpus, 0, sizeof(cpus));
	for (unsigned root = 0; root < X86_PCIDS; root++)
		CHECK(!(x86_pcid_cr3(0, root_of(root)) & X86_CR3_NOFLUSH));
	for (unsigned root = 0; root < X86_PCIDS; root++)
		CHECK(x86_pcid_cr3(0, root_of(root)) & X86_CR3_NOFLUSH);
	CHECK(!(x86_pcid_cr3(0, root_of(X86_PCIDS)) & X86_CR3_NOFLUSH)); /* takes the first one's */
	CHECK(!(x86_pcid_cr3(0, root_of(0)) & X86_CR3_NOFLUSH));
	CHECK(!(x86_pcid_cr3(1, root_of(5)) & X86_CR3_NOFLUSH));         /* another processor has its own */
	x86_pcid_mark(0, root_of(5));
	CHECK(!(x86_pcid_cr3(0, root_of(5)) & X86_CR3_NOFLUSH));
	CHECK(x86_pcid_cr3(0, root_of(5)) & X86_CR3_NOFLUSH);
}
