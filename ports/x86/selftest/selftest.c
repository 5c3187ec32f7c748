/* SPDX-License-Identifier: MIT */
/*
 * selftest.c - a kernel that checks the port alone, without the core: prints the firmware map, builds the smallest
 * page tables by hand, and then tries every path that x86.h promises. Each test prints "ok" or "FAIL"; the machine
 * exits with status 0 (QEMU: 1) when all passed, 1 (QEMU: 3) otherwise.
 *
 * Words on the command line: "doublefault" overflows the kernel stack on purpose, "trap" executes a bad instruction
 * before handlers are registered, "echo" waits for one line of console input; all are for run.sh.
 *
 * User half: code at 4 MiB, stack page above it, one page of high memory after that if the machine has any.
 */
#include "kmm/port.h"
#include "x86.h"

#if KMM_X86_PAE
typedef uint64_t entry;
#define LARGE_SHIFT 21
#define ENTRIES 512
#else
typedef uint32_t entry;
#define LARGE_SHIFT 22
#define ENTRIES 1024
#endif

#define DIRECT_MAP_BYTES (16u << 20)
#define USER_CODE 0x400000u
#define USER_STACK 0x401000u
#define USER_HIGH 0x402000u

enum { P = 1, RW = 2, US = 4, LARGE = 0x80 };

/* kernel_dir: the directory of the kernel half; user_dir: of the first GiB (i386: one directory is both). */
static entry kernel_dir[ENTRIES] __attribute__((aligned(4096)));
static entry user_dir[ENTRIES] __attribute__((aligned(4096)));
static entry user_table[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pae_top[4] __attribute__((aligned(4096)));
static uint8_t user_page[4096] __attribute__((aligned(4096)));
static uint8_t user_stack[4096] __attribute__((aligned(4096)));
static uint8_t scratch[2][4096] __attribute__((aligned(4096)));
static uint8_t thread_stack[8192] __attribute__((aligned(16)));

static struct x86_context *main_context, *dead_context, *loop_context;
static struct x86_frame seen;
static uint32_t seen_cr2;
static volatile uint32_t timer_irqs, console_irqs;
static struct x86_fpu fpu[2];
static int failures;

/* Ring 3 programs; each ends in a trap that the test looks at. */
extern const uint8_t user_programs[], user_programs_end[], user_syscall[], user_divide[], user_undefined[];
extern const uint8_t user_kernel[], user_privileged[], user_tls[], user_sse_set[], user_sse_get[], user_into[];
extern const uint8_t user_port[], user_jump[], user_bp[], user_ldt[], user_loop[], user_sysenter[];
__asm__(".section .rodata\n"
	".globl user_programs\nuser_programs:\n"
	"user_syscall: movl $0x1234, %eax; movl $7, %ebx; std; int $0x80; ud2\n"
	"user_divide: xorl %ecx, %ecx; movl $1, %eax; cltd; idivl %ecx\n"
	"user_undefined: ud2\n"
	"user_kernel: movl 0xC0100000, %eax\n"
	"user_privileged: hlt\n"
	"user_tls: movl %gs:4, %eax; int $0x80\n"
	"user_sse_set: movl $0x5eed, %eax; movd %eax, %xmm7; fldpi; int $0x80\n"
	"user_sse_get: movd %xmm7, %eax; int $0x80\n"
	"user_into: movl $0x7fffffff, %eax; incl %eax; into\n"
	"user_bp: int3\n"
	"user_port: outb %al, $0x80\n"
	"user_jump: movl $0x12345678, %eax; jmp *%eax\n"
	"user_ldt: movl $7, %eax; movl %eax, %ds\n"
	"user_sysenter: sysenter\n"
	"user_loop: incl %ecx; jmp user_loop\n"
	"user_programs_end: .text\n");

static void check(const char *name, bool good)
{
	x86_printf("%s %s\n", good ? "ok  " : "FAIL", name);
	failures += !good;
}

static bool cmdline_has(const char *word)
{
	size_t len = 0;

	while (word[len])
		len++;
	for (const char *p = x86_boot.cmdline; *p; p++) {
		if (!memcmp(p, word, len))
			return true;
	}
	return false;
}

static uint32_t pa_of(const void *kernel_pointer)
{
	return (uint32_t)kernel_pointer - X86_PAGE_OFFSET;
}

static void print_machine(void)
{
	const struct x86_mem_range *ranges;
	struct x86_mem_range reserved[8];
	uint32_t n = x86_memmap(&ranges);

	x86_printf("cpu %s, %s, family %u model %u, %u physical bits, nx %d pge %d pse %d\n", x86_cpu_info.vendor,
		   x86_cpu_info.brand, x86_cpu_info.family, x86_cpu_info.model, x86_cpu_info.phys_bits,
		   x86_cpu_info.nx, x86_cpu_info.pge, x86_cpu_info.pse);
	x86_printf("cmdline \"%s\"\n", x86_boot.cmdline);
	for (uint32_t i = 0; i < n; i++)
		x86_printf("e820 %012llx + %011llx type %u\n", ranges[i].base, ranges[i].size, ranges[i].type);
	n = x86_reserved(reserved, 8);
	for (uint32_t i = 0; i < n && i < 8; i++)
		x86_printf("used %012llx + %011llx\n", reserved[i].base, reserved[i].size);
	x86_printf("epoch %llu, report channel %d\n", x86_boot_epoch(), x86_report_present());
}

static uint64_t high_page(void)
{
	for (uint32_t i = 0; KMM_X86_PAE && i < x86_boot.nr_ranges; i++) {
		const struct x86_mem_range *r = &x86_boot.ranges[i];

		if (r->type == 1 && r->base >> 32)
			return r->base + r->size - X86_PAGE_SIZE;
	}
	return 0;
}

/* Direct map of the first 16 MiB by large pages; returns the root. */
static uint32_t build_tables(void)
{
	unsigned first = KMM_X86_PAE ? 0 : X86_PAGE_OFFSET >> LARGE_SHIFT;

	for (unsigned i = 0; i < DIRECT_MAP_BYTES >> LARGE_SHIFT; i++)
		kernel_dir[first + i] = (entry)i << LARGE_SHIFT | P | RW | LARGE;
	pae_top[3] = pa_of(kernel_dir) | P;
	return KMM_X86_PAE ? pa_of(pae_top) : pa_of(kernel_dir);
}

static void map_user(void)
{
	entry *dir = KMM_X86_PAE ? user_dir : kernel_dir;

	user_table[0] = pa_of(user_page) | P | RW | US;
	user_table[1] = pa_of(user_stack) | P | RW | US;
	user_table[2] = high_page() ? (entry)(high_page() | P | RW | US) : 0;
	dir[USER_CODE >> LARGE_SHIFT] = pa_of(user_table) | P | RW | US;
	pae_top[0] = pa_of(user_dir) | P;
	x86_load_root(x86_current_root());
	memcpy(user_page, user_programs, (size_t)(user_programs_end - user_programs));
}

static void on_trap(struct x86_frame *frame)
{
	seen = *frame;
	seen_cr2 = x86_fault_address();
	if (x86_frame_from_user(frame))
		x86_context_switch(&dead_context, main_context);
	if (frame->trapno != X86_TRAP_BP)
		x86_panic_frame(frame, "unexpected trap in the self-test");
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

	*f = *(struct x86_frame *)frame;
	x86_return_to_user(f);
}

/* Run one program in ring 3 until it traps; `seen` is the trap. */
static void run_frame(struct x86_frame *f)
{
	void *top = thread_stack + sizeof(thread_stack);
	struct x86_context *thread = x86_context_make(x86_user_frame(top), enter_user, f);

	memset(&seen, 0xff, sizeof(seen));
	x86_set_kernel_stack(top);
	x86_context_switch(&main_context, thread);
}

static struct x86_frame user_frame(const uint8_t *program)
{
	return (struct x86_frame){
		.ds = X86_USER_DS, .es = X86_USER_DS, .cs = X86_USER_CS, .ss = X86_USER_DS, .eflags = 0x202,
		.eip = USER_CODE + (uint32_t)(program - user_programs), .esp = USER_STACK + 4096,
	};
}

static void expect(const char *name, const uint8_t *program, uint32_t trapno)
{
	struct x86_frame f = user_frame(program);

	run_frame(&f);
	check(name, seen.trapno == trapno && x86_frame_from_user(&seen));
}

static void test_traps(void)
{
	__asm__ volatile("int3");
	check("breakpoint inside the kernel", seen.trapno == X86_TRAP_BP && !x86_frame_from_user(&seen));
	expect("ring 3: int 80h", user_syscall, X86_SYSCALL_VECTOR);
	check("ring 3: arguments arrive", seen.eax == 0x1234 && seen.ebx == 7 && seen.esp == USER_STACK + 4096);
	expect("ring 3: divide error", user_divide, X86_TRAP_DE);
	expect("ring 3: int3", user_bp, X86_TRAP_BP);
	expect("ring 3: into", user_into, X86_TRAP_OF);
	expect("ring 3: undefined opcode", user_undefined, X86_TRAP_UD);
	expect("ring 3: privileged instruction", user_privileged, X86_TRAP_GP);
	expect("ring 3: I/O port", user_port, X86_TRAP_GP);
	expect("ring 3: local descriptor table", user_ldt, X86_TRAP_GP);
	expect("ring 3: sysenter", user_sysenter, X86_TRAP_GP);
	expect("ring 3: kernel address", user_kernel, X86_TRAP_PF);
	check("fault address and reason", seen_cr2 == 0xC0100000u && seen.err == (X86_PF_USER | X86_PF_PRESENT));
	expect("ring 3: jump to nowhere", user_jump, X86_TRAP_PF);
	check("fault address is eip", seen_cr2 == 0x12345678u && seen.eip == seen_cr2);
}

static void test_bad_frames(void)
{
	struct x86_frame f = user_frame(user_syscall);

	f.gs = 0xfff3;
	f.fs = X86_KERNEL_DS;
	f.es = 0x83; /* the TSS */
	run_frame(&f);
	check("bad segments load as null", seen.trapno == X86_SYSCALL_VECTOR && seen.gs == 0 && seen.es == 0);
	check("kernel segment does not survive to ring 3", seen.fs == 0);
	f = user_frame(user_syscall);
	f.cs = 0xfff3;
	f.ecx = 99;
	run_frame(&f);
	check("bad code segment is ring 3's fault", seen.trapno == X86_TRAP_GP && seen.cs == 0xfff3 && seen.ecx == 99);
	f = user_frame(user_syscall);
	f.eflags = 0xffffffff;
	f.cs = X86_KERNEL_CS;
	x86_frame_sanitize(&f);
	check("sanitized flags", f.cs == (X86_KERNEL_CS | 3) && (f.eflags & 0x27202) == 0x202);
}

static void test_tls(void)
{
	struct x86_tls tls = { { 0 } };
	struct x86_frame f = user_frame(user_tls);

	tls.desc[0] = x86_tls_descriptor(USER_STACK + 0x100, 0xfffff,
					 X86_UDESC_32BIT | X86_UDESC_LIMIT_IN_PAGES | X86_UDESC_USEABLE);
	x86_tls_load(&tls);
	((uint32_t *)user_stack)[0x104 / 4] = 0xabcd;
	f.gs = X86_TLS_MIN * 8 + 3;
	run_frame(&f);
	check("thread-local segment", seen.eax == 0xabcd && seen.gs == X86_TLS_MIN * 8 + 3);
}

static void test_fpu(void)
{
	struct kmm_port *port = x86_port_init();
	struct x86_fpu copy;

	x86_fpu_init(&fpu[0]);
	x86_fpu_init(&fpu[1]);
	x86_fpu_switch(&fpu[0]);
	expect("SSE use in ring 3", user_sse_set, X86_SYSCALL_VECTOR);
	x86_fpu_switch(&fpu[1]);
	expect("second task uses SSE", user_sse_get, X86_SYSCALL_VECTOR);
	check("second task starts clean", seen.eax == 0);
	memset(scratch[0], 0x55, 4096);
	if (port->zero_frame)
		port->zero_frame(port, scratch[0]);
	x86_fpu_switch(&fpu[0]);
	expect("first task again", user_sse_get, X86_SYSCALL_VECTOR);
	check("its registers were kept", seen.eax == 0x5eed);
	x86_fpu_copy(&copy, &fpu[0]);
	check("fork copies the state", ((uint32_t *)x86_fpu_image(&copy))[(160 + 7 * 16) / 4] == 0x5eed);
	x86_fpu_forget(&fpu[0]);
	x86_fpu_switch(NULL);
}

static void test_frames(void)
{
	struct kmm_port *port = x86_port_init();
	bool zero = true;

	if (!port->zero_frame)
		return;
	memset(scratch[0], 0x55, 4096);
	port->copy_frame(port, scratch[1], scratch[0]);
	check("copy of a frame", !memcmp(scratch[0], scratch[1], 4096));
	port->zero_frame(port, scratch[1]);
	for (int i = 0; i < 4096; i++)
		zero = zero && scratch[1][i] == 0;
	check("clearing a frame", zero && scratch[0][4095] == 0x55);
}

static void test_tlb(void)
{
	struct kmm_port *port = x86_port_init();
	struct kmm_flush flush = { .root = { x86_current_root() }, .start = USER_STACK, .end = USER_STACK + 4096 };
	volatile uint8_t *va = (volatile uint8_t *)USER_STACK;

	user_stack[0] = 1;
	user_page[0] = user_page[0];
	check("user page visible to the kernel", va[0] == 1);
	scratch[0][0] = 2;
	user_table[1] = pa_of(scratch[0]) | P | RW | US;
	port->tlb_flush_local(port, &flush);
	check("flush of one page", va[0] == 2);
	user_table[1] = pa_of(user_stack) | P | RW | US;
	flush = (struct kmm_flush){ .root = { 0 } };
	port->tlb_flush_local(port, &flush);
	check("flush of everything", va[0] == 1);
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
	x86_printf("     5 ticks took %llu ns\n", ns);
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
	uint32_t count;

	run_frame(&f);
	for (int i = 0; i < 100 && seen.ecx == 0; i++)
		x86_context_switch(&main_context, loop_context);
	count = seen.ecx;
	for (int i = 0; i < 100 && seen.ecx == count; i++)
		x86_context_switch(&main_context, loop_context);
	check("preemption of ring 3", count && seen.ecx > count && seen.trapno == X86_IRQ_BASE);
}

static void test_print(void)
{
	char buf[64];
	int n = x86_snprintf(buf, sizeof(buf), "%05d|%-4u|%4x|%llu|%s|%c|%08llX", -42, 7u, 0xabu,
			     18446744073709551615ull, "s", 'c', 0x1234ABCDEFull);

	check("printf", n == 51 && !memcmp(buf, "-0042|7   |  ab|18446744073709551615|s|c|1234ABCDEF", 52));
	check("printf cuts", x86_snprintf(buf, 4, "abcdef") == 6 && !memcmp(buf, "abc", 4));
	memcpy(buf, "abcdefgh", 9);
	memmove(buf + 2, buf, 6);
	check("memmove upwards", !memcmp(buf, "ababcdef", 8));
	memmove(buf, buf + 2, 6);
	check("memmove downwards", !memcmp(buf, "abcdefef", 8));
}

static void test_high(void)
{
	volatile uint32_t *p = (volatile uint32_t *)USER_HIGH;

	if (!high_page())
		return;
	p[0] = 0xfeedbeef;
	check("page above 4 GiB", p[0] == 0xfeedbeef);
	x86_printf("     at %llx\n", high_page());
}

static void echo(void)
{
	int c;

	x86_printf("type a line\n");
	/* Not polled: the device holds its interrupt back while more may come, and a tick could find the bytes first. */
	while (!console_irqs)
		x86_idle();
	do {
		while ((c = x86_console_getc()) < 0)
			x86_idle();
		x86_printf("%c", c);
	} while (c != '\n');
	check("console input", true); /* without an interrupt the run times out */
}

static void overflow_stack(void)
{
	__asm__ volatile("movl $0x1000, %esp; pushl %eax");
}

void kernel_main(void)
{
	static const struct x86_ops ops = { on_trap, on_irq, on_trap };

	print_machine();
	test_print();
	if (cmdline_has("trap"))
		__asm__ volatile("ud2");
	x86_paging_enable(build_tables());
	check("paging is on", true);
	map_user();
	x86_set_ops(&ops);
	test_traps();
	test_bad_frames();
	test_tls();
	test_fpu();
	test_frames();
	test_tlb();
	test_high();
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
