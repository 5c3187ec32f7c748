/* SPDX-License-Identifier: MIT */
/*
 * cell.c - spaces, stacks and faults of cells.
 *
 * While a cell runs, its root is loaded, and a page fault of ring 0 below the kernel half goes to the core like one of a
 * program. The stack comes from vmalloc, so what runs off its end meets the guard page. One cell at a time.
 */
#include "cell.h"

#include <setjmp.h>

#include "kmm/vmalloc.h"
#include "os.h"

enum { STACK_SIZE = 256 << 10, MAX_RETRIES = 1000, NEVER_COMES_BACK = 99 };
enum { ESCAPED_SKIPPED = 1, ESCAPED_FAILED };

struct kmm *cell_machine;
void (*cell_on_segv)(int signal);

static struct cell {
	const struct kmm_test *test; /* NULL: none runs */
	enum kmm_test_result result;
	struct kmm_mm *mm;     /* the cell's */
	struct kmm_mm *active; /* whose root is loaded: the cell's, or one that is being touched */
	char *stack;
	jmp_buf escape;
	unsigned retries;      /* of the probe that runs */
	int probe_signal;
} cell;

struct kmm_mm *cell_space(void)
{
	return cell.mm;
}

void cell_skip(const char *reason)
{
	kmm_test_skip(reason);
	longjmp(cell.escape, ESCAPED_SKIPPED);
}

void cell_fail(const char *why)
{
	if (!cell.test)
		x86_panic("%s", why);
	kmm_test_check(false, why, cell.test->file, 0);
	longjmp(cell.escape, ESCAPED_FAILED);
}

static void activate(struct kmm_mm *mm)
{
	cell.active = mm;
	x86_load_root(mm ? kmm_mm_root(mm).v : os.kernel_root.v);
}

/* ---- faults ---- */

static int signal_of(enum kmm_fault_kind kind)
{
	switch (kind) {
	case KMM_FAULT_OK: return 0;
	case KMM_FAULT_BUS_ADRERR:
	case KMM_FAULT_BUS_EIO: return 7;
	case KMM_FAULT_OOM: return 9;
	default: return 11;
	}
}

static bool is_probe(uword ip)
{
	return ip == (uword)bare_peek_at || ip == (uword)bare_poke_at;
}

/* Faults of a test's own code; does not return when the test ends by it. */
static void bad_access(struct x86_frame *f, int signal)
{
	if (cell_on_segv && signal == 11) {
		cell_on_segv(signal);
		cell_fail("a handler of SIGSEGV returned");
	}
	x86_frame_print(f);
	cell_fail(signal == 9 ? "out of memory in a page fault" : "a page fault that the core refuses");
}

static void on_fault(struct x86_frame *f)
{
	uword addr = x86_fault_address();
	struct kmm_fault_info info = { .addr = { addr }, .access = f->err & X86_PF_WRITE ? KMM_WRITE : KMM_READ };
	bool probe = is_probe(x86_frame_ip(f));
	int signal = cell.active ? signal_of(kmm_handle_fault(cell.active, &info)) : 11;

	if (probe && ++cell.retries > MAX_RETRIES)
		signal = NEVER_COMES_BACK;
	if (signal == 0)
		return;
	if (!probe)
		bad_access(f, signal);
	cell.probe_signal = signal;
	x86_frame_set_ip(f, (uword)bare_probe_failed);
}

static void on_trap(struct x86_frame *f)
{
	if (!cell.test || f->trapno != X86_TRAP_PF)
		x86_panic_frame(f, "an exception that no test expects");
	on_fault(f);
}

static void on_irq(struct x86_frame *f, int irq)
{
	(void)f;
	(void)irq;
}

/* ---- accesses for a space ---- */

/* Ring 0 may use entries without the user bit, which protect a PROT_NONE page from ring 3. */
static bool ring3_refused(struct kmm_mm *mm, uword va)
{
	struct kmm_walk walk;

	kmm_walk(os.k, kmm_mm_root(mm), va, &walk);
	return walk.mapped && !(walk.step[walk.nr_steps - 1].pte.flags & KMM_PTE_USER);
}

static int probe(struct kmm_mm *mm, uword va, enum kmm_access access, uint8_t *byte)
{
	struct kmm_mm *before = cell.active;
	int result;

	cell.retries = 0;
	activate(mm);
	result = access == KMM_WRITE ? bare_poke((void *)va, *byte) : bare_peek((void *)va);
	activate(before);
	if (result < 0)
		return cell.probe_signal;
	if (access != KMM_WRITE)
		*byte = (uint8_t)result;
	return 0;
}

int cell_touch(struct kmm_mm *mm, uint64_t va, enum kmm_access access, uint8_t *byte)
{
	struct kmm_fault_info info = { .addr = { (uword)va }, .access = access };

	for (unsigned retries = 0; ring3_refused(mm, (uword)va); retries++) {
		int signal = retries < MAX_RETRIES ? signal_of(kmm_handle_fault(mm, &info)) : NEVER_COMES_BACK;

		if (signal)
			return signal;
	}
	return probe(mm, (uword)va, access, byte);
}

/* ---- running ---- */

void cell_init(void)
{
	static const struct x86_ops ops = { on_trap, on_irq, on_trap };

	cell_machine = os.k;
	x86_set_ops(&ops);
}

static void run(void)
{
	switch (setjmp(cell.escape)) {
	case 0: cell.result = kmm_test_run_one(cell.test); break;
	case ESCAPED_SKIPPED: cell.result = KMM_TEST_SKIPPED; break;
	default: cell.result = KMM_TEST_FAILED;
	}
}

static void clean_up(void)
{
	activate(NULL);
	heap_drop();
	files_drop();
	kmm_mm_put(cell.mm);
	cell_on_segv = NULL;
	cell.test = NULL;
	cell.mm = NULL;
}

enum kmm_test_result cell_run(const struct kmm_test *test)
{
	cell.stack = kmm_vmalloc(os.k, STACK_SIZE, "stack of a test");
	if (!cell.stack || kmm_mm_create(os.k, &cell.mm) != KMM_OK)
		x86_panic("no memory to start a test");
	cell.test = test;
	activate(cell.mm);
	bare_call_on(cell.stack + STACK_SIZE, run);
	clean_up();
	kmm_vfree(os.k, cell.stack);
	return cell.result;
}

/* A machine of another format than this kernel's cannot be simulated by it: the library was built for one. Starting one
 * comes here, because the test kernel is linked with --wrap for both names. */
enum kmm_status __real_kmm_init_frames(void *state, const struct kmm_machine *machine, struct kmm_port *port,
				       struct kmm **out, const char **why);
enum kmm_status __wrap_kmm_init_frames(void *state, const struct kmm_machine *machine, struct kmm_port *port,
				       struct kmm **out, const char **why);
enum kmm_status __wrap_kmm_init_frames(void *state, const struct kmm_machine *machine, struct kmm_port *port,
				       struct kmm **out, const char **why)
{
	if (machine->format != KMM_PIN_FORMAT.id)
		cell_skip("this kernel's library is built for another format");
	return __real_kmm_init_frames(state, machine, port, out, why);
}

/* The machine is the first member of the configuration. */
enum kmm_status __real_hosted_boot(const struct kmm_machine *config, void **out, const char **why);
enum kmm_status __wrap_hosted_boot(const struct kmm_machine *config, void **out, const char **why);
enum kmm_status __wrap_hosted_boot(const struct kmm_machine *config, void **out, const char **why)
{
	if (config->format != KMM_PIN_FORMAT.id)
		cell_skip("this kernel's library is built for another format");
	return __real_hosted_boot(config, out, why);
}
