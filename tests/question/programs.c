/* SPDX-License-Identifier: MIT */
/*
 * Questions about programs: S29, S30, S39, S43, S51, S53, S54, S59, S94, S95.
 *
 * A program is laid out as exec does it for a static ELF: text and data from a file, a heap, a stack; its accesses
 * go through the simulated processor. The same questions asked of real programs: tests/boot/questions.sh.
 */
#include "harness/test.h"
#include "lab.h"

#include <stdio.h>
#include <string.h>

enum { RW = KMM_PROT_READ | KMM_PROT_WRITE, RX = KMM_PROT_READ | KMM_PROT_EXEC };
enum { TEXT_PAGES = 4, DATA_PAGES = 2, HEAP_PAGES = 8, STACK_PAGES = 2 };

struct program {
	struct kmm_mm *mm;
	struct kmm_file *elf;
	uint64_t text, data, heap, stack_top;
};

static bool program_start(struct lab *lab, struct program *p)
{
	struct kmm_uva at;

	p->text = 0x08048000;
	p->data = p->text + TEXT_PAGES * PAGE;
	p->heap = p->data + 64 * PAGE;
	p->stack_top = lab->layout.user_end < 4 * GIB ? lab->layout.user_end - MIB : 128 * TIB - MIB;
	p->elf = lab_file(lab, (TEXT_PAGES + DATA_PAGES) * PAGE, "/bin/hello");
	if (!p->elf || kmm_mm_create(lab->k, &p->mm))
		return false;
	if (kmm_mmap(p->mm, kmm_uva((kmm_word)p->text), TEXT_PAGES * PAGE, RX, KMM_MAP_PRIVATE | KMM_MAP_FIXED,
		     &p->elf->backing, 0, &at) ||
	    kmm_mmap(p->mm, kmm_uva((kmm_word)p->data), DATA_PAGES * PAGE, RW, KMM_MAP_PRIVATE | KMM_MAP_FIXED,
		     &p->elf->backing, TEXT_PAGES, &at) ||
	    kmm_mm_map_stack(p->mm, kmm_uva((kmm_word)p->stack_top), STACK_PAGES * PAGE, false))
		return false;
	kmm_mm_set_brk(p->mm, kmm_uva((kmm_word)p->heap));
	return kmm_brk(p->mm, kmm_uva((kmm_word)(p->heap + HEAP_PAGES * PAGE))).v == p->heap + HEAP_PAGES * PAGE;
}

static void program_end(struct lab *lab, struct program *p)
{
	hosted_put_space(lab->hosted, p->mm);
	kmm_backing_put(&p->elf->backing);
}

/* The program runs: an instruction is fetched, a variable, the heap and the stack are written. */
static bool program_run(struct lab *lab, struct program *p)
{
	uint8_t byte;

	return hosted_exec_user(lab->hosted, p->mm, p->text + 0x10, &byte, 1).ok && byte == 1 &&
	       lab_can_write(lab, p->mm, p->data + 0x40) && lab_can_write(lab, p->mm, p->heap + 0x80) &&
	       lab_can_write(lab, p->mm, p->stack_top - 16);
}

/* S29: the address of a variable that a program prints is not a hardware address: it is in [stack], the frame
 * unrelated. */
KMM_TEST(question_S29)
{
	struct program p;
	struct kmm_explain e;
	struct lab lab;
	uint64_t variable;

	CHECK(lab_open(&lab, KMM_X86_64, 1 * GIB));
	CHECK(program_start(&lab, &p));
	variable = p.stack_top - 200;
	CHECK(lab_write(&lab, p.mm, variable, 77).ok);
	kmm_explain(lab.k, p.mm, variable, &e);
	CHECK_EQ(e.class_, KMM_ADDR_USER);
	CHECK_STR(e.vma.name, "[stack]");
	CHECK(variable > 1 * GIB && e.walk.pa.v < 1 * GIB); /* no RAM has such an address */
	CHECK_EQ(*lab_phys(&lab, e.walk.pa.v), 77);
	program_end(&lab, &p);
	lab_close(&lab);
}

/* S30: the same, by two runs of one program: one printed address, two places in RAM. */
KMM_TEST(question_S30)
{
	struct program one, two;
	struct lab lab;
	uint64_t variable;

	CHECK(lab_open(&lab, KMM_I386, 1 * GIB));
	CHECK(program_start(&lab, &one) && program_start(&lab, &two));
	variable = one.stack_top - 200;
	CHECK(lab_write(&lab, one.mm, variable, 1).ok);
	CHECK(lab_write(&lab, two.mm, variable, 2).ok);
	CHECK(lab_user_pa(&lab, one.mm, variable) != lab_user_pa(&lab, two.mm, variable));
	CHECK_EQ(*lab_phys(&lab, lab_user_pa(&lab, one.mm, variable)), 1);
	CHECK_EQ(*lab_phys(&lab, lab_user_pa(&lab, two.mm, variable)), 2);
	program_end(&lab, &one);
	program_end(&lab, &two);
	lab_close(&lab);
}

/* Takes a line of /proc/PID/maps apart and writes it again as Linux does: same bytes? The name starts in a column
 * that depends on the kernel's word size. */
static bool maps_line_is_canonical(const char *line, unsigned word_bytes)
{
	unsigned long long start, end, offset, inode;
	unsigned major, minor, pad = 25 + 6 * word_bytes - 1;
	char rights[5], again[512];
	int name = 0, len;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, rights, &offset, &major, &minor, &inode,
		   &name) < 7)
		return false;
	len = snprintf(again, sizeof(again), "%08llx-%08llx %s %08llx %02x:%02x %llu ", start, end, rights, offset,
		       major, minor, inode);
	if (line[name])
		snprintf(again + len, sizeof(again) - (size_t)len, "%*s %s",
			 len < (int)pad ? (int)pad - len : 0, "", line + name);
	return start < end && !strcmp(line, again);
}

static unsigned check_maps(char *text, unsigned word_bytes, bool *ok)
{
	char *line, *rest = text;
	unsigned nr = 0;

	for (*ok = true; *ok && (line = strsep(&rest, "\n")) != NULL && *line; nr++)
		*ok = maps_line_is_canonical(line, word_bytes);
	return nr;
}

/* S39: /proc/self/maps shows the mappings: lines in the bytes of Linux, the running host's own as the witness. */
KMM_TEST(question_S39)
{
	static struct lab_text text;
	struct program p;
	struct lab lab;
	unsigned nr, i;
	FILE *host = fopen("/proc/self/maps", "r");
	bool ok;

	CHECK(host != NULL);
	text.bytes[fread(text.bytes, 1, sizeof(text.bytes) - 1, host)] = 0;
	fclose(host);
	if (strrchr(text.bytes, '\n'))
		strrchr(text.bytes, '\n')[1] = 0;
	CHECK(check_maps(text.bytes, sizeof(void *), &ok) > 5);
	CHECK(ok);
	for (i = 0; i < 2; i++) {
		CHECK(lab_open(&lab, i ? KMM_X86_64 : KMM_I386, 512 * MIB));
		CHECK(program_start(&lab, &p));
		kmm_report_maps(p.mm, lab_text_start(&text));
		CHECK(lab_text_has(&text, "08048000-0804c000 r-xp 00000000 "));
		CHECK(lab_text_has(&text, "0804c000-0804e000 rw-p 00004000 "));
		nr = check_maps(text.bytes, i ? 8 : 4, &ok);
		CHECK(ok);
		CHECK_EQ(nr, 4); /* text, data, heap, stack */
		program_end(&lab, &p);
		lab_close(&lab);
	}
}

static unsigned long long report_value(const struct lab_text *text, const char *after, const char *key)
{
	const char *at = strstr(text->bytes, after);
	unsigned long long value = ~0ull;

	at = at ? strstr(at, key) : NULL;
	if (at)
		sscanf(at + strlen(key), " %llu", &value);
	return value;
}

/* S43: 16 pages used are 2^16 bytes mapped, the rest not; E18: the sum is right, text, stack and tables come
 * on top. */
KMM_TEST(question_S43)
{
	static struct lab_text text;
	struct program p;
	struct lab lab;
	char line[32];
	uint64_t va;
	unsigned i;

	CHECK_EQ(16 * PAGE, 1 << 16);
	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	CHECK(program_start(&lab, &p));
	va = lab_map(p.mm, 64 * PAGE);
	for (i = 0; i < 16; i++)
		CHECK(lab_can_write(&lab, p.mm, va + i * PAGE));
	kmm_report_smaps(p.mm, lab_text_start(&text));
	snprintf(line, sizeof(line), "%08llx-", (unsigned long long)va);
	CHECK_EQ(report_value(&text, line, "\nSize:"), 64 * PAGE / KIB);
	CHECK_EQ(report_value(&text, line, "\nRss:"), 16 * PAGE / KIB);
	kmm_report_mm_status(p.mm, lab_text_start(&text));
	CHECK_EQ(report_value(&text, "VmRSS", ":"), 16 * PAGE / KIB); /* nothing else was touched yet */
	CHECK(report_value(&text, "VmPTE", ":") >= PAGE / KIB);       /* and apart from it */
	CHECK(report_value(&text, "VmPTE", ":") <= 16 * PAGE / KIB);
	program_end(&lab, &p);
	lab_close(&lab);
}

/* S51: a new program has 4 GiB of addresses with no values; E24: 3 GiB, with text, data and stack mapped from
 * the start; what is only read comes from the zero page: 16 faults, no frame. */
KMM_TEST(question_S51)
{
	struct kmm_mm_stats before, after;
	struct program p;
	struct lab lab;
	uint64_t va, pa = 0;
	uint8_t byte;
	unsigned i;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	CHECK(program_start(&lab, &p));
	kmm_mm_stats(p.mm, &before);
	CHECK_EQ(before.map_count, 4);
	CHECK_EQ(before.rss_anon + before.rss_file, 0);
	va = lab_map(p.mm, 16 * PAGE);
	for (i = 0; i < 16; i++) {
		CHECK(lab_read(&lab, p.mm, va + i * PAGE + i, &byte).ok);
		CHECK_EQ(byte, 0);
		pa = pa ? pa : lab_user_pa(&lab, p.mm, va);
		CHECK_EQ(lab_user_pa(&lab, p.mm, va + i * PAGE), pa);
	}
	CHECK_EQ(lab_kind_of(&lab, kmm_pfn_to_page(lab.k, kmm_pfn((kmm_word)(pa / PAGE)))), KMM_KIND_ZERO);
	kmm_mm_stats(p.mm, &after);
	CHECK_EQ(after.faults - before.faults, 16);
	CHECK_EQ(after.zero_maps - before.zero_maps, 16);
	CHECK_EQ(after.rss_anon + after.rss_file, 0);
	program_end(&lab, &p);
	lab_close(&lab);
}

/* S53: each program has its own space, or all share one. Of the two, kmm offers the first (no machine without
 * an MMU): what one writes the other does not see; the second is shown by two "programs" that share a space. */
KMM_TEST(question_S53)
{
	struct program one, two;
	struct lab lab;
	uint8_t byte;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	CHECK(program_start(&lab, &one) && program_start(&lab, &two));
	CHECK_EQ(one.data, two.data); /* equal pointers ... */
	CHECK(lab_write(&lab, one.mm, one.data, 1).ok);
	CHECK(lab_read(&lab, two.mm, two.data, &byte).ok);
	CHECK_EQ(byte, TEXT_PAGES + 1); /* ... different contents: still the file's */
	kmm_mm_get(one.mm);                /* a second program in the same space */
	CHECK(lab_read(&lab, one.mm, one.data, &byte).ok);
	CHECK_EQ(byte, 1);
	kmm_mm_put(one.mm);
	program_end(&lab, &one);
	program_end(&lab, &two);
	lab_close(&lab);
}

/* S54: program memory is stack, heap, data, code, named in the maps. */
KMM_TEST(question_S54)
{
	static struct lab_text text;
	struct kmm_mm_stats stats;
	struct program p;
	struct lab lab;

	CHECK(lab_open(&lab, KMM_I386, 512 * MIB));
	CHECK(program_start(&lab, &p));
	CHECK(program_run(&lab, &p));
	kmm_report_maps(p.mm, lab_text_start(&text));
	CHECK(lab_text_has(&text, "[heap]"));
	CHECK(lab_text_has(&text, "[stack]"));
	CHECK(lab_text_has(&text, "r-xp") && lab_text_has(&text, "rw-p") && lab_text_has(&text, "/bin/hello"));
	kmm_mm_stats(p.mm, &stats);
	CHECK_EQ(stats.exec_pages, TEXT_PAGES);
	CHECK_EQ(stats.stack_pages, STACK_PAGES);
	CHECK_EQ(stats.brk.v - stats.start_brk.v, HEAP_PAGES * PAGE);
	CHECK_EQ(stats.total_pages, TEXT_PAGES + DATA_PAGES + HEAP_PAGES + STACK_PAGES);
	program_end(&lab, &p);
	lab_close(&lab);
}

/* S59: a variable is a name for a location, physical memory has no variables: name, virtual address, frame;
 * after a fork the same name and address have two frames. */
KMM_TEST(question_S59)
{
	struct { const char *name; uint64_t va; } symbol = { "counter", 0 };
	static struct lab_text text;
	struct kmm_explain e;
	struct kmm_mm *child;
	struct program p;
	struct lab lab;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	CHECK(program_start(&lab, &p));
	symbol.va = p.data + 0x1c;
	CHECK(lab_write(&lab, p.mm, symbol.va, 5).ok);
	kmm_explain(lab.k, p.mm, symbol.va, &e);
	CHECK(e.has_vma && e.has_frame);
	CHECK_STR(e.vma.name, "/bin/hello");
	kmm_explain_print(lab.k, p.mm, symbol.va, lab_text_start(&text));
	CHECK(lab_text_has(&text, "/bin/hello"));
	CHECK(lab_text_has_number(&text, e.page.pfn.v));
	CHECK(!lab_text_has(&text, symbol.name)); /* names are the compiler's, memory has none */
	CHECK_OK(kmm_mm_fork(p.mm, &child));
	CHECK_EQ(lab_user_pa(&lab, child, symbol.va), e.walk.pa.v);
	CHECK(lab_write(&lab, child, symbol.va, 6).ok);
	CHECK(lab_user_pa(&lab, child, symbol.va) != e.walk.pa.v);
	CHECK_EQ(*lab_phys(&lab, e.walk.pa.v), 5);
	hosted_put_space(lab.hosted, child);
	program_end(&lab, &p);
	lab_close(&lab);
}

/* The fault at va in the trace: its VMA starts at `vma` and its frame lies in HighMem. */
static bool faulted_from_high(struct lab *lab, const struct lab_trace *trace, uint64_t va, uint64_t vma)
{
	unsigned i, done;

	for (i = 0; i < trace->nr; i++) {
		if (trace->event[i].id != KMM_EV_FAULT || trace->event[i].a / PAGE != va / PAGE)
			continue;
		done = lab_trace_find(trace, KMM_EV_FAULT_DONE, i);
		return trace->event[i].c == vma && done < trace->nr && trace->event[done].b == KMM_FAULT_OK &&
		       trace->event[done].c * PAGE >= lab->layout.lowmem_end;
	}
	return false;
}

/* S94: memory is tied to an address only on demand: exec maps, the first touch of text, data, heap, stack
 * allocates. */
KMM_TEST(question_S94)
{
	static struct lab_trace trace;
	struct kmm_mm_stats stats;
	struct program p;
	struct lab lab;
	unsigned first_fault, last_map;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	lab_trace_start(&lab, &trace);
	CHECK(program_start(&lab, &p));
	last_map = trace.nr;
	CHECK(lab_trace_find(&trace, KMM_EV_MMAP, 0) < last_map);
	CHECK_EQ(lab_trace_find(&trace, KMM_EV_FAULT, 0), trace.nr); /* nothing was touched yet */
	kmm_mm_stats(p.mm, &stats);
	CHECK_EQ(stats.rss_anon + stats.rss_file, 0);
	CHECK(program_run(&lab, &p));
	lab_trace_stop(&lab);
	first_fault = lab_trace_find(&trace, KMM_EV_FAULT, 0);
	CHECK(first_fault >= last_map && first_fault < trace.nr);
	CHECK(faulted_from_high(&lab, &trace, p.text + 0x10, p.text));
	CHECK(faulted_from_high(&lab, &trace, p.data + 0x40, p.data));
	CHECK(faulted_from_high(&lab, &trace, p.heap + 0x80, p.heap));
	CHECK(faulted_from_high(&lab, &trace, p.stack_top - 16, p.stack_top - STACK_PAGES * PAGE));
	kmm_mm_stats(p.mm, &stats);
	CHECK_EQ(stats.rss_anon, 3);
	CHECK(stats.rss_file >= 1);
	CHECK_EQ(trace.lost, 0);
	program_end(&lab, &p);
	lab_close(&lab);
}

/* S95: the key property of high memory: it serves what only user space asks for; kernel objects never lie
 * there. */
KMM_TEST(question_S95)
{
	static const enum kmm_kind kernel_kinds[] = {
		KMM_KIND_KERNEL, KMM_KIND_SLAB, KMM_KIND_PGTABLE, KMM_KIND_MEMMAP
	};
	struct kmm_zone_info high, normal;
	struct program p[4];
	struct lab lab;
	unsigned i, n;
	uint64_t va;

	CHECK(lab_open(&lab, KMM_I386, 2 * GIB));
	for (i = 0; i < 4; i++) {
		CHECK(program_start(&lab, &p[i]));
		CHECK(program_run(&lab, &p[i]));
		va = lab_map(p[i].mm, 100 * PAGE);
		for (n = 0; n < 100; n++)
			CHECK(lab_can_write(&lab, p[i].mm, va + n * PAGE));
	}
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_HIGHMEM, &high));
	CHECK(kmm_zone_info(lab.k, KMM_ZONE_NORMAL, &normal));
	CHECK(high.kinds[KMM_KIND_ANON] >= 4 * 103);
	CHECK(high.kinds[KMM_KIND_FILE] >= 4); /* the page cache */
	CHECK_EQ(normal.kinds[KMM_KIND_ANON] + normal.kinds[KMM_KIND_FILE], 0);
	for (i = 0; i < 4; i++)
		CHECK_EQ(high.kinds[kernel_kinds[i]], 0);
	CHECK(normal.kinds[KMM_KIND_SLAB] > 0);
	CHECK(normal.kinds[KMM_KIND_PGTABLE] > 0);
	for (i = 0; i < 4; i++)
		program_end(&lab, &p[i]);
	lab_close(&lab);
}
