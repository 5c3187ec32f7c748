/* SPDX-License-Identifier: MIT */
/*
 * selftest.c - a kernel that checks the port alone, without the core: prints the firmware map, builds the smallest
 * page tables by hand, and then tries every path that x86.h promises. Each test prints "ok" or "FAIL"; the machine
 * exits with status 0 (QEMU: 1) when all passed, 1 (QEMU: 3) otherwise. This file is what both widths share.
 *
 * Words on the command line: "doublefault" overflows the kernel stack on purpose, "trap" executes a bad instruction
 * before handlers are registered, "echo" waits for one line of console input; all are for run.sh.
 */
#include "selftest.h"

uint8_t user_page[X86_PAGE_SIZE] __attribute__((aligned(4096)));
uint8_t user_stack[X86_PAGE_SIZE] __attribute__((aligned(4096)));
uint8_t scratch[2][X86_PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t thread_stack[8192] __attribute__((aligned(16)));

struct x86_frame seen;
x86_word seen_cr2, recover;
static struct x86_context *main_context, *dead_context, *loop_context;
static volatile uint32_t timer_irqs, console_irqs;
static struct x86_fpu fpu[2];
static int failures;

void check(const char *name, bool good)
{
	x86_printf("%s %s\n", good ? "ok  " : "FAIL", name);
	failures += !good;
}

const char *cmdline_after(const char *word)
{
	size_t len = 0;

	while (word[len])
		len++;
	for (const char *p = x86_boot.cmdline; *p; p++) {
		if (!memcmp(p, word, len))
			return p + len;
	}
	return NULL;
}

bool cmdline_has(const char *word)
{
	return cmdline_after(word) != NULL;
}

static void print_range(const char *what, const struct x86_mem_range *r)
{
	x86_printf("%s %012llx + %011llx type %u\n", what, (unsigned long long)r->base, (unsigned long long)r->size, r->type);
}

static void print_machine(void)
{
	const struct x86_cpu_info *cpu = &x86_cpu_info;
	const struct x86_mem_range *ranges;
	struct x86_mem_range reserved[8];
	uint32_t n = x86_memmap(&ranges);

	x86_printf("cpu %s, %s, family %u model %u, %u physical bits, %u linear bits, nx %d pge %d pse %d la57 %d 1gib %d "
		   "smep %d smap %d umip %d\n", cpu->vendor, cpu->brand, cpu->family, cpu->model, cpu->phys_bits,
		   cpu->virt_bits, cpu->nx, cpu->pge, cpu->pse, cpu->la57, cpu->gib_pages, cpu->smep, cpu->smap, cpu->umip);
	x86_printf("cmdline \"%s\"\n", x86_boot.cmdline);
	for (uint32_t i = 0; i < n; i++)
		print_range("e820", &ranges[i]);
	n = x86_reserved(reserved, 8);
	for (uint32_t i = 0; i < n && i < 8; i++)
		print_range("used", &reserved[i]);
	x86_printf("epoch %llu, report channel %d\n", (unsigned long long)x86_boot_epoch(), x86_report_present());
}

/* ---- handlers, and running programs ---- */

void on_trap(struct x86_frame *frame)
{
	seen = *frame;
	seen_cr2 = x86_fault_address();
	if (x86_frame_from_user(frame))
		x86_context_switch(&dead_context, main_context);
	if (recover && frame->trapno == X86_TRAP_PF) {
		x86_frame_set_ip(frame, recover);
		recover = 0;
	} else if (frame->trapno != X86_TRAP_BP) {
		x86_panic_frame(frame, "unexpected trap in the self-test");
	}
}

static void on_irq(struct x86_frame *frame, int irq)
{
	timer_irqs += irq == 0;
	console_irqs += irq == 4;
	if (x86_frame_from_user(frame)) {
		seen = *frame;
		x86_context_switch(&loop_context, main_context);
	}
}

static void enter_user(void *frame)
{
	struct x86_frame *f = x86_user_frame(thread_stack + sizeof(thread_stack));

	*f = *(const struct x86_frame *)frame;
	x86_return_to_user(f);
}

void run_frame(const struct x86_frame *f)
{
	void *top = thread_stack + sizeof(thread_stack);
	struct x86_context *thread = x86_context_make(x86_user_frame(top), enter_user, (void *)f);

	memset(&seen, 0xff, sizeof(seen));
	x86_set_kernel_stack(top);
	x86_context_switch(&main_context, thread);
}

void expect(const char *name, const uint8_t *program, unsigned trapno)
{
	struct x86_frame f = user_frame(program);

	run_frame(&f);
	check(name, seen.trapno == trapno && x86_frame_from_user(&seen));
}

/* ---- tests ---- */

static void test_fpu(void)
{
	struct kmm_port *port = x86_port_init();
	struct x86_fpu copy;

	x86_fpu_init(&fpu[0]);
	x86_fpu_init(&fpu[1]);
	x86_fpu_switch(&fpu[0]);
	expect("SSE use in ring 3", user_sse_set, CALL_TRAP);
	x86_fpu_switch(&fpu[1]);
	expect("second task uses SSE", user_sse_get, CALL_TRAP);
	check("second task starts clean", x86_frame_result(&seen) == 0);
	memset(scratch[0], 0x55, 4096);
	if (port->zero_frame)
		port->zero_frame(port, scratch[0]);
	x86_fpu_switch(&fpu[0]);
	expect("first task again", user_sse_get, CALL_TRAP);
	check("its registers were kept", x86_frame_result(&seen) == 0x5eed);
	x86_fpu_copy(&copy, &fpu[0]);
	check("fork copies the state", ((uint32_t *)x86_fpu_image(&copy))[(160 + LAST_XMM * 16) / 4] == 0x5eed);
	x86_fpu_forget(&fpu[0]);
	x86_fpu_switch(NULL);
}

static void test_frames(void)
{
	struct kmm_port *port = x86_port_init();
	bool zero = true;

	if (!IS_64 && !port->zero_frame)
		return; /* a processor without SSE2 */
	memset(scratch[0], 0x55, 4096);
	port->copy_frame(port, scratch[1], scratch[0]);
	check("copy of a frame", !memcmp(scratch[0], scratch[1], 4096));
	port->zero_frame(port, scratch[1]);
	for (int i = 0; i < 4096; i++)
		zero = zero && scratch[1][i] == 0;
	check("clearing a frame", zero && scratch[0][4095] == 0x55);
}

/* A host that is busy delivers late ticks in a bunch, so one good measurement is enough. */
static bool ticks_agree(void)
{
	uint32_t first = x86_ticks();
	uint64_t start, ns;

	while (x86_ticks() == first)
		x86_idle();
	first = x86_ticks();
	start = x86_time_ns();
	while (x86_ticks() < first + 5)
		x86_idle();
	ns = x86_time_ns() - start;
	x86_printf("     5 ticks took %llu ns\n", (unsigned long long)ns);
	return ns > 40000000 && ns < 60000000;
}

static void test_time(void)
{
	bool good = false;

	x86_irq_start();
	for (int i = 0; i < 20 && !good; i++)
		good = ticks_agree();
	check("ticks and time agree", good && timer_irqs >= 6);
}

/* A loop in ring 3 is taken off the processor by the timer and resumed, until it got somewhere twice. A tick may be due at
 * once, on a slow host many times. */
static void test_preemption(void)
{
	struct x86_frame f = user_frame(user_loop);
	x86_word count;

	run_frame(&f);
	for (int i = 0; i < 100 && loops_of(&seen) == 0; i++)
		x86_context_switch(&main_context, loop_context);
	count = loops_of(&seen);
	for (int i = 0; i < 100 && loops_of(&seen) == count; i++)
		x86_context_switch(&main_context, loop_context);
	check("preemption of ring 3", count && loops_of(&seen) > count && seen.trapno == X86_IRQ_BASE);
	x86_irq_mask(0);
	expect("and syscalls go on", user_syscall, CALL_TRAP);
}

static void test_print(void)
{
	char buf[64];
	int n = x86_snprintf(buf, sizeof(buf), "%05d|%-4u|%4x|%llu|%s|%c|%08llX|%zu", -42, 7u, 0xabu,
			     18446744073709551615ull, "s", 'c', 0x1234ABCDEFull, sizeof(buf));

	check("printf", n == 54 && !memcmp(buf, "-0042|7   |  ab|18446744073709551615|s|c|1234ABCDEF|64", 55));
	check("printf of a negative int", x86_snprintf(buf, sizeof(buf), "%d %x %ld", -1, -1, -1l) == 14 &&
	      !memcmp(buf, "-1 ffffffff -1", 15));
	check("printf cuts", x86_snprintf(buf, 4, "abcdef") == 6 && !memcmp(buf, "abc", 4));
	memcpy(buf, "abcdefghijklmnopqrs", 20);
	memmove(buf + 2, buf, 16);
	check("memmove upwards", !memcmp(buf, "ababcdefghijklmnop", 18));
	memmove(buf, buf + 2, 16);
	check("memmove downwards", !memcmp(buf, "abcdefghijklmnop", 16));
	memset(buf, 0x81, 13);
	check("memset", (uint8_t)buf[12] == 0x81 && (uint8_t)buf[7] == 0x81 && buf[13] == 'n');
}

/* run.sh types "hello". Without an interrupt the run times out. */
static void echo(void)
{
	char line[16];
	unsigned n = 0;
	int c;

	x86_printf("type a line\n");
	/* Not polled: the device holds its interrupt back while more may come, and a tick could find the bytes first. */
	while (!console_irqs)
		x86_idle();
	do {
		while ((c = x86_console_getc()) < 0)
			x86_idle();
		x86_printf("%c", c);
		if (n < sizeof(line))
			line[n++] = (char)c;
	} while (c != '\n');
	check("console input", n == 6 && !memcmp(line, "hello\n", 6));
}

void kernel_main(void)
{
	static const struct x86_ops ops = { on_trap, on_irq, on_syscall };

	print_machine();
	test_print();
	test_boot();
	if (cmdline_has("trap"))
		__asm__ volatile("ud2");
	x86_paging_enable(build_tables());
	check("the kernel's own tables", true);
	map_user();
	x86_set_ops(&ops);
	test_width();
	test_fpu();
	test_frames();
	test_time();
	test_preemption();
	if (cmdline_has("echo"))
		echo();
	if (cmdline_has("doublefault"))
		overflow_stack();
	x86_report_write("report\n", 7);
	x86_printf("%d failures\n", failures);
	x86_exit(failures != 0);
}
