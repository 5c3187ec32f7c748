/* SPDX-License-Identifier: MIT */
#include "ground.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "phys/phys.h"
#include "slab/slab.h"
#include "pt/pt.h"
#include "softmmu.h"
#include "vm/vm.h"

enum { CPUS = SCHED_THREADS, FILLS = 64, FLUSH_PAGES = 32, MOST_RETRIES = 30 };

const char *ground_mutation = "";

/* What a TLB entry led to when it was filled. */
struct fill {
	uint64_t va;
	kmm_word pfn;
	enum kmm_kind kind;
	void *owner;
	uint64_t index;
};

struct cpu {
	struct softmmu mmu;
	bool in_instruction, woken;
	uint32_t held;
	const void *sleeps_on;
	struct fill fill[FILLS]; /* by page */
};

static struct {
	struct kmm_port port; /* first */
	struct kmm *k;
	struct softmmu_memory memory;
	char *arena, *window;
	size_t arena_bytes;
	unsigned playing;
	struct cpu cpu[CPUS];
	uint32_t sleep_lock;
	int notes[GROUND_NOTES];
} g;

struct kmm *ground(void) { return g.k; }
int *ground_notes(void) { return g.notes; }

static bool mutated(const char *name)
{
	return sched_running() && !strcmp(ground_mutation, name);
}

static unsigned this_cpu(void)
{
	return sched_running() ? sched_self() : g.playing;
}

void ground_play(unsigned cpu)
{
	g.playing = cpu;
}

/* ---- hooks ---- */

static unsigned long irq_save(struct kmm_port *port)
{
	(void)port;
	return 0;
}

static void irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	(void)flags;
}

static unsigned cpu_id(struct kmm_port *port)
{
	(void)port;
	return this_cpu();
}

static void fatal(struct kmm_port *port, const char *file, int line, const char *what)
{
	(void)port;
	sched_fail("broken invariant at %s:%d: %s", file, line, what);
}

static void relax(struct kmm_port *port)
{
	(void)port;
	sched_relax();
}

static void log_line(struct kmm_port *port, const char *line)
{
	(void)port;
	if (!sched_running() && getenv("KMM_SCHED_LOG"))
		fprintf(stderr, "%s\n", line);
}

static bool between_instructions(const void *arg)
{
	return !((const struct cpu *)arg)->in_instruction;
}

static void flush_cpu(struct cpu *cpu, const struct kmm_flush *flush)
{
	struct softmmu_fault unwanted;
	uint64_t pages = flush->end > flush->start ? (flush->end - flush->start) / PAGE : UINT64_MAX;

	if (mutated("impatient-shootdown"))
		sched_point(&cpu->mmu, SCHED_WRITE);
	else
		sched_wait(&cpu->mmu, between_instructions, cpu, "an instruction of another CPU to end");
	if (flush->root.v && flush->root.v != cpu->mmu.cr3)
		return;
	if (!flush->tables && pages <= FLUSH_PAGES)
		for (uint64_t va = flush->start; va < flush->end; va += PAGE)
			softmmu_invlpg(&cpu->mmu, va);
	else if (!flush->root.v)
		softmmu_flush_all(&cpu->mmu);
	else
		SCHED_CHECK(softmmu_load_cr3(&cpu->mmu, cpu->mmu.cr3, &unwanted));
}

static void tlb_flush_local(struct kmm_port *port, const struct kmm_flush *flush)
{
	(void)port;
	if (!mutated("no-local-flush"))
		flush_cpu(&g.cpu[this_cpu()], flush);
}

static void tlb_flush_others(struct kmm_port *port, uint64_t cpus, const struct kmm_flush *flush)
{
	struct kmm_flush part = *flush;

	(void)port;
	if (mutated("no-shootdown"))
		return;
	if (mutated("short-shootdown") && part.end - part.start > PAGE)
		part.end -= PAGE;
	SCHED_CHECK(!sched_running() || g.k->locks_held[this_cpu()] == 0);
	for (unsigned i = 0; i < CPUS; i++)
		if (cpus >> i & 1)
			flush_cpu(&g.cpu[i], &part);
}

static bool is_woken(const void *arg)
{
	return ((const struct cpu *)arg)->woken;
}

/* Waking waits while somebody asks whether he is done. */
static void lock_sleep(void)
{
	sched_point_swap(&g.sleep_lock, 1, sizeof(g.sleep_lock));
	g.sleep_lock = 1;
}

static void unlock_sleep(void)
{
	sched_point(&g.sleep_lock, SCHED_WRITE);
	g.sleep_lock = 0;
}

static void wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	struct cpu *cpu = &g.cpu[this_cpu()];

	(void)port;
	SCHED_CHECK(!sched_running() || g.k->locks_held[this_cpu()] == 0);
	lock_sleep();
	while (!done(arg)) {
		SCHED_CHECK(sched_running());
		cpu->sleeps_on = key;
		cpu->woken = false;
		unlock_sleep();
		sched_wait(&cpu->woken, is_woken, cpu, "a wake-up");
		lock_sleep();
	}
	cpu->sleeps_on = NULL;
	unlock_sleep();
}

static void wake(struct kmm_port *port, const void *key)
{
	(void)port;
	lock_sleep();
	for (unsigned i = 0; i < CPUS; i++)
		if (g.cpu[i].sleeps_on == key)
			g.cpu[i].woken = true;
	unlock_sleep();
}

/* Whole frames: places at which another CPU may write into what is copied. */
static void zero_frame(struct kmm_port *port, void *ptr)
{
	(void)port;
	sched_point(ptr, SCHED_WRITE);
	memset(ptr, 0, KMM_PAGE_SIZE);
}

static void copy_frame(struct kmm_port *port, void *to, const void *from)
{
	(void)port;
	sched_point(from, SCHED_READ);
	sched_point(to, SCHED_WRITE);
	memcpy(to, from, KMM_PAGE_SIZE);
}

static uint32_t *thread_locks(struct kmm_port *port)
{
	(void)port;
	return &g.cpu[this_cpu()].held;
}

static int window_changed(struct kmm_port *port, struct kmm_kva va, const struct kmm_pfn *pfns, kmm_word nr, unsigned prot)
{
	(void)port, (void)va, (void)pfns, (void)nr, (void)prot;
	return 0;
}

static void *bus_at(struct softmmu_memory *memory, uint64_t pa)
{
	(void)memory;
	return pa < g.arena_bytes ? g.arena + pa : NULL;
}

/* ---- boot ---- */

/* Windows so large that low_mib of the kernel's GiB are left to low memory. */
static void leave_low(struct kmm_machine *machine, unsigned low_mib)
{
	struct kmm_layout layout;
	const char *why = "";

	if (kmm_layout_derive(machine, (uint64_t)1 << 32, &layout, &why))
		sched_fail("layout: %s", why);
	machine->windows.vmalloc_reserve += layout.lowmem_limit - ((uint64_t)low_mib << 20);
}

static void describe(const struct ground_config *config, struct kmm_machine *machine, struct kmm_memrange map[2])
{
	uint64_t bytes = (uint64_t)config->ram_mib << 20;
	const char *why = "";

	*machine = (struct kmm_machine){ .format = config->format, .nr_cpus = CPUS, .map = map, .nr_map = 2 };
	map[0] = (struct kmm_memrange){ 0, 0x9f000, KMM_MEM_RAM, NULL };
	map[1] = (struct kmm_memrange){ 0x100000, bytes - 0x100000, KMM_MEM_RAM, NULL };
	if (kmm_machine_defaults(machine, &why))
		sched_fail("machine: %s", why);
	if (config->low_mib)
		leave_low(machine, config->low_mib);
}

static void fill_port(void)
{
	struct kmm_port *port = &g.port;

	*port = (struct kmm_port){
		.irq_save = irq_save, .irq_restore = irq_restore, .cpu_id = cpu_id, .fatal = fatal, .log = log_line,
		.relax = relax, .direct_map = g.arena, .direct_map_all = true, .tlb_flush_local = tlb_flush_local,
		.tlb_flush_others = tlb_flush_others, .window_changed = window_changed, .zero_frame = zero_frame,
		.copy_frame = copy_frame, .wait = wait, .wake = wake, .thread_locks = thread_locks,
	};
}

/* Windows are addresses only: C code never looks through them here. */
static void place_windows(const struct kmm_layout *layout)
{
	g.port.window_start = (kmm_word)layout->vmalloc_start;
	g.port.window_size = (kmm_word)1 << 30;
	g.window = mmap(NULL, (size_t)1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	g.port.window_base = g.window;
}

static char *reserve(size_t bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		sched_fail("no memory for the machine");
	madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

static void start_cpus(const struct kmm_machine *machine)
{
	struct softmmu_control control = softmmu_control_for(machine->format, machine->phys_bits, machine->no_nx);
	struct softmmu_fault fault;

	g.memory.at = bus_at;
	for (unsigned i = 0; i < CPUS; i++) {
		g.cpu[i] = (struct cpu){ .in_instruction = false };
		softmmu_init(&g.cpu[i].mmu, &g.memory, &control);
		SCHED_CHECK(softmmu_load_cr3(&g.cpu[i].mmu, kmm_kernel_root(g.k).v, &fault));
	}
}

/* Memory that was touched until now is part of the case; what is touched later was free. */
static void keep_touched(char *start, size_t bytes)
{
	size_t pages = bytes / KMM_PAGE_SIZE, from = 0;
	unsigned char *here = calloc(pages + 1, 1);

	SCHED_CHECK(here && mincore(start, bytes, here) == 0);
	for (size_t i = 0; i <= pages; i++) {
		if (i < pages && here[i] & 1)
			continue;
		if (i > from)
			sched_keep(start + from * KMM_PAGE_SIZE, (i - from) * KMM_PAGE_SIZE);
		from = i + 1;
	}
	free(here);
}

struct kmm *ground_boot(const struct ground_config *config)
{
	struct kmm_machine machine;
	struct kmm_memrange map[2];
	struct kmm_layout layout;
	const char *why = "";
	enum kmm_status status;
	void *state;

	g.playing = 0;
	describe(config, &machine, map);
	g.arena_bytes = (size_t)config->ram_mib << 20;
	g.arena = reserve(g.arena_bytes);
	fill_port();
	if (kmm_layout_derive(&machine, g.arena_bytes, &layout, &why))
		sched_fail("layout: %s", why);
	place_windows(&layout);
	state = aligned_alloc(64, (kmm_state_size() + 63) & ~(size_t)63);
	memset(state, 0, kmm_state_size());
	status = kmm_init_frames(state, &machine, &g.port, &g.k, &why);
	if (!status)
		status = kmm_init_kernel(g.k);
	if (!status && !config->kernel_only)
		status = kmm_init_spaces(g.k);
	if (status)
		sched_fail("boot: %s %s", kmm_status_name(status), why);
	start_cpus(&machine);
	sched_ignore(g.k->events, sizeof(g.k->events));
	sched_not_a_lock(&g.k->slab->shrinking);
	return g.k;
}

void ground_keep(void)
{
	keep_touched(g.arena, g.arena_bytes);
	sched_keep(g.k, kmm_state_size());
	sched_keep(&g, sizeof(g));
}

static void touch_frames(kmm_gfp gfp)
{
	struct kmm_page *page[20];

	for (unsigned i = 0; i < 20; i++)
		page[i] = kmm_alloc_pages(g.k, gfp, 0);
	for (unsigned i = 0; i < 20; i++)
		kmm_put_page(g.k, page[i]);
}

/* What spaces are made of. */
static void live_once(void)
{
	struct kmm_mm *mm, *child;
	struct kmm_uva at;
	uint8_t byte = 1;

	SCHED_CHECK(kmm_mm_create(g.k, &mm) == KMM_OK);
	SCHED_CHECK(kmm_mmap(mm, kmm_uva(0), PAGE, 3, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL, 0, &at) == KMM_OK);
	SCHED_CHECK(kmm_copy_out(mm, at, &byte, 1, NULL) == KMM_OK && kmm_mm_fork(mm, &child) == KMM_OK);
	kmm_mm_put(child);
	kmm_mm_put(mm);
}

void ground_warm_up(void)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		ground_play(cpu);
		touch_frames(KMM_GFP_HIGHUSER);
		touch_frames(KMM_GFP_KERNEL);
		if (g.k->vm)
			live_once();
	}
	ground_play(0);
}

/* ---- accesses ---- */

void ground_run(struct kmm_mm *mm)
{
	struct cpu *cpu = &g.cpu[this_cpu()];
	struct softmmu_fault fault;

	sched_point(&cpu->mmu, SCHED_WRITE);
	SCHED_CHECK(softmmu_load_cr3(&cpu->mmu, mm ? kmm_mm_root(mm).v : kmm_kernel_root(g.k).v, &fault));
}

static struct fill describe_frame(uint64_t va, kmm_word pfn)
{
	struct kmm_page *page = kmm_page_at(g.k->phys, pfn);
	struct fill f = { va, pfn, (enum kmm_kind)(page->flags & 15), NULL, 0 };

	if (f.kind == KMM_KIND_ANON) {
		f.owner = kmm_page_owner(g.k, page);
		f.index = kmm_page_index(g.k, page);
	}
	return f;
}

/* Looks at descriptors without passing points. */
static unsigned references(kmm_word pfn)
{
	unsigned refs;

	memcpy(&refs, &kmm_page_at(g.k->phys, pfn)->refcount, sizeof(refs));
	return refs;
}

static void judge_access(struct cpu *cpu, uint64_t va, uint64_t pa, bool filled)
{
	struct fill *f = &cpu->fill[(va >> KMM_PAGE_SHIFT) % FILLS];
	struct fill is = describe_frame(va & ~(PAGE - 1), (kmm_word)(pa >> KMM_PAGE_SHIFT));

	if (references(is.pfn) == 0)
		sched_fail("CPU %u reaches frame %llx at %llx, which is free", this_cpu(), (unsigned long long)is.pfn,
			   (unsigned long long)va);
	if (!filled && f->va == is.va && f->pfn == is.pfn &&
	    (f->kind != is.kind || f->owner != is.owner || f->index != is.index))
		sched_fail("CPU %u reaches frame %llx at %llx by a stale translation: it is somebody else's by now", this_cpu(),
			   (unsigned long long)is.pfn, (unsigned long long)va);
	if (filled)
		*f = is;
}

/* One instruction. */
static bool access_byte(uint64_t va, enum kmm_access access, bool user, uint8_t *byte, struct softmmu_fault *fault)
{
	struct cpu *cpu = &g.cpu[this_cpu()];
	uint64_t pa, misses;
	bool ok;

	sched_point(&cpu->mmu, SCHED_WRITE);
	cpu->in_instruction = true;
	misses = cpu->mmu.stats.misses;
	ok = softmmu_translate(&cpu->mmu, va, access, user, &pa, fault);
	if (ok) {
		judge_access(cpu, va, pa, cpu->mmu.stats.misses != misses);
		sched_point(g.arena + (pa & ~(PAGE - 1)), access == KMM_WRITE ? SCHED_WRITE : SCHED_READ);
		if (access == KMM_WRITE)
			g.arena[pa] = (char)*byte;
		else
			*byte = (uint8_t)g.arena[pa];
	}
	cpu->in_instruction = false;
	return ok;
}

static int signal_of(enum kmm_fault_kind kind)
{
	switch (kind) {
	case KMM_FAULT_BUS_ADRERR:
	case KMM_FAULT_BUS_EIO:
		return -7;
	case KMM_FAULT_OOM:
		return -9;
	default:
		return -11;
	}
}

static int access_user(struct kmm_mm *mm, uint64_t va, enum kmm_access access, uint8_t *byte)
{
	struct softmmu_fault fault;

	for (unsigned i = 0; !access_byte(va, access, true, byte, &fault); i++) {
		struct kmm_fault_info info = { kmm_uva((kmm_word)va), access, kmm_uva(0) };
		enum kmm_fault_kind kind = kmm_handle_fault(mm, &info);

		if (kind != KMM_FAULT_OK)
			return signal_of(kind);
		if (i == MOST_RETRIES)
			sched_fail("a handled page fault at %llx comes back for ever", (unsigned long long)va);
	}
	return 0;
}

int ground_peek(struct kmm_mm *mm, uint64_t va)
{
	uint8_t byte;
	int bad = access_user(mm, va, KMM_READ, &byte);

	return bad ? bad : byte;
}

int ground_poke(struct kmm_mm *mm, uint64_t va, uint8_t byte)
{
	return access_user(mm, va, KMM_WRITE, &byte);
}

static uint64_t window_va(const void *view)
{
	const char *at = view;

	if (at >= g.window && at < g.window + ((size_t)1 << 30))
		return g.port.window_start + (uint64_t)(at - g.window);
	return kmm_layout_of(g.k)->page_offset + (uint64_t)(at - g.arena);
}

int ground_kernel_peek(const void *view)
{
	struct softmmu_fault fault;
	uint8_t byte;

	return access_byte(window_va(view), KMM_READ, false, &byte, &fault) ? byte : -1;
}

bool ground_kernel_poke(const void *view, uint8_t byte)
{
	struct softmmu_fault fault;

	return access_byte(window_va(view), KMM_WRITE, false, &byte, &fault);
}

/* ---- judging ---- */

static void judge_entry(unsigned cpu, const struct softmmu_tlb_entry *e)
{
	uint64_t va = e->tag << e->shift;
	struct kmm_walk walk;
	uint32_t flags;

	if (e->shift != KMM_PAGE_SHIFT || !e->user)
		return;
	kmm_walk(g.k, kmm_paddr(g.cpu[cpu].mmu.cr3), (kmm_word)va, &walk);
	flags = walk.mapped ? walk.step[walk.nr_steps - 1].pte.flags : 0;
	if (!walk.mapped || walk.pa.v != e->base)
		sched_fail("at the end CPU %u still translates %llx to %llx, the tables say %llx", cpu, (unsigned long long)va,
			   (unsigned long long)e->base, walk.mapped ? (unsigned long long)walk.pa.v : 0);
	if (!(flags & KMM_PTE_USER) || (e->write && !(flags & KMM_PTE_WRITE)))
		sched_fail("at the end CPU %u may still %s %llx, the tables forbid it", cpu, e->write ? "write" : "read",
			   (unsigned long long)va);
}

static void collect(struct kmm_sink *sink, const char *bytes, size_t len);

static struct {
	struct kmm_sink sink;
	char text[256];
	size_t len;
} complaint = { { collect }, "", 0 };

static void collect(struct kmm_sink *sink, const char *bytes, size_t len)
{
	(void)sink;
	if (len > sizeof(complaint.text) - 1 - complaint.len)
		len = sizeof(complaint.text) - 1 - complaint.len;
	memcpy(complaint.text + complaint.len, bytes, len);
	complaint.len += len;
	complaint.text[complaint.len] = '\0';
}

static void judge_tlbs(void)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		for (unsigned i = 0; i < SOFTMMU_SETS * SOFTMMU_WAYS; i++)
			if (g.cpu[cpu].mmu.small[i / SOFTMMU_WAYS][i % SOFTMMU_WAYS].shift)
				judge_entry(cpu, &g.cpu[cpu].mmu.small[i / SOFTMMU_WAYS][i % SOFTMMU_WAYS]);
}

void ground_judge_spaces(void)
{
	judge_tlbs();
	complaint.len = 0;
	if (kmm_vm_audit(g.k, &complaint.sink) + kmm_pt_audit(g.k, &complaint.sink))
		sched_fail("audit: %s", complaint.text);
}

void ground_judge(void)
{
	judge_tlbs();
	complaint.len = 0;
	if (kmm_audit(g.k, &complaint.sink))
		sched_fail("audit: %s", complaint.text);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		SCHED_CHECK(g.k->locks_held[cpu] == 0 && g.cpu[cpu].held == 0);
}
