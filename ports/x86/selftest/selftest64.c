/* SPDX-License-Identifier: MIT */
/*
 * selftest64.c - selftest.c's counterpart for 64-bit kernels: the port alone, without the core, on the smallest page
 * tables built by hand. Prints "ok" or "FAIL" per test; exits with status 0 (QEMU: 1) when all passed, else 1 (QEMU: 3).
 *
 * Words on the command line: "doublefault" overflows the kernel stack on purpose, "trap" executes a bad instruction
 * before handlers are registered, "echo" waits for one line of console input, "direct=HEX" moves the direct map by so many
 * GiB; all are for run.sh.
 *
 * User half: code at 4 MiB, stack page above it (not executable). With 5 levels the same again at 2^52.
 */
#include "kmm/port.h"
#include "x86.h"

typedef uint64_t table[512];

#define USER_CODE 0x400000ull
#define USER_STACK 0x401000ull
#define NON_CANONICAL (X86_USER_END_MAX + X86_PAGE_SIZE)

enum { P = 1, RW = 2, US = 4, LARGE = 0x80 };
#define NX (x86_cpu_info.nx ? 1ull << 63 : 0)

/* Named by the level of what their entries map: a page, 2 MiB, 1 GiB, 512 GiB. */
static table root, user_512g, user_1g, user_2m, user_4k __attribute__((aligned(4096)));
static table kernel_512g, direct_512g, image_1g, direct_1g, direct_2m __attribute__((aligned(4096)));
static uint8_t user_page[4096] __attribute__((aligned(4096)));
static uint8_t user_stack[4096] __attribute__((aligned(4096)));
static uint8_t scratch[2][4096] __attribute__((aligned(4096)));
static uint8_t thread_stack[8192] __attribute__((aligned(16)));

static struct x86_context *main_context, *dead_context, *loop_context;
static struct x86_frame seen;
static uint64_t seen_cr2;
static volatile uint32_t timer_irqs, console_irqs;
static uint64_t recover; /* where a fault inside the kernel goes on; 0: none is expected */
static struct x86_fpu fpu[2];
static int failures;

/* System calls that the handler answers instead of ending the program. */
enum { CALL_RESULT = 1, CALL_FAR_JUMP = 2, CALL_RESULT_VALUE = 4242 };

/* Ring 3 programs; each ends in a trap that the test looks at. */
#define PROGRAM(name) extern const uint8_t name[]
PROGRAM(user_programs);
PROGRAM(user_programs_end);
PROGRAM(user_syscall);
PROGRAM(user_sysret);
PROGRAM(user_far);
PROGRAM(user_int80);
PROGRAM(user_divide);
PROGRAM(user_undefined);
PROGRAM(user_kernel);
PROGRAM(user_privileged);
PROGRAM(user_bases);
PROGRAM(user_sse_set);
PROGRAM(user_sse_get);
PROGRAM(user_port);
PROGRAM(user_jump);
PROGRAM(user_bp);
PROGRAM(user_loop);
PROGRAM(user_sysenter);
PROGRAM(user_hole);
PROGRAM(user_sgdt);
PROGRAM(user_nx);
PROGRAM(user_high);
PROGRAM(user32_int80);
PROGRAM(user32_tls);
PROGRAM(user32_into);
PROGRAM(user32_syscall);
__asm__(".section .rodata\n"
	".globl user_programs\nuser_programs:\n"
	"user_syscall: movl $0x1234, %eax; movl $7, %edi; movq $-5, %r10; std; syscall; ud2\n"
	"user_sysret: movl $1, %eax; movq $77, %r15; syscall; movq %rax, %rbx; movl $9, %eax; syscall; ud2\n"
	"user_far: movl $2, %eax; syscall; ud2\n"
	"user_int80: movq $-1, %rbx; movl $3, %eax; int $0x80; ud2\n"
	"user_divide: xorl %ecx, %ecx; movl $1, %eax; cltd; idivl %ecx\n"
	"user_undefined: ud2\n"
	"user_kernel: movabsq $0xffffffff80200000, %rax; movl (%rax), %eax\n"
	"user_privileged: hlt\n"
	"user_bases: movq %fs:8, %rax; movq %gs:16, %rbx; syscall\n"
	"user_sse_set: movl $0x5eed, %eax; movd %eax, %xmm15; fldpi; syscall\n"
	"user_sse_get: movd %xmm15, %eax; syscall\n"
	"user_bp: int3\n"
	"user_port: outb %al, $0x80\n"
	"user_jump: movl $0x12345678, %eax; jmp *%rax\n"
	"user_sysenter: sysenter\n"
	"user_hole: movq $1, %rax; shlq $58, %rax; movl (%rax), %eax\n"
	"user_sgdt: sgdt -32(%rsp)\n"
	"user_nx: subq $8, %rsp; jmp *%rsp\n"
	"user_high: movq $1, %rax; shlq $52, %rax; movl 0x401010(%rax), %eax; syscall\n"
	"user_loop: incq %rcx; jmp user_loop\n"
	".code32\n"
	"user32_int80: movl $20, %eax; movl $-1, %ebx; movl $6, %ebp; int $0x80\n"
	"user32_tls: movl %gs:4, %eax; int $0x80\n"
	"user32_into: movl $0x7fffffff, %eax; incl %eax; into\n"
	"user32_syscall: syscall\n"
	".code64\n"
	"user_programs_end: .text\n");

static void check(const char *name, bool good)
{
	x86_printf("%s %s\n", good ? "ok  " : "FAIL", name);
	failures += !good;
}

/* What follows the word on the command line, or NULL. */
static const char *cmdline_after(const char *word)
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

static bool cmdline_has(const char *word)
{
	return cmdline_after(word) != NULL;
}

/* Not inline, as nobody may have looked at x86_direct_base before. */
static __attribute__((noinline)) void move_direct_map(void)
{
	const char *digit = cmdline_after("direct=");
	uint64_t gib = 0;

	for (; digit && *digit > ' '; digit++)
		gib = gib * 16 + (uint64_t)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
	x86_direct_map_move(X86_PAGE_OFFSET + (gib << 30));
	check("the direct map is where it should be", x86_port_init()->direct_map == (void *)(X86_PAGE_OFFSET + (gib << 30)));
}

static void print_machine(void)
{
	const struct x86_mem_range *ranges;
	struct x86_mem_range reserved[8];
	uint32_t n = x86_memmap(&ranges);

	x86_printf("cpu %s, %s, %u physical bits, %u linear bits, nx %d la57 %d 1gib %d smep %d smap %d umip %d\n",
		   x86_cpu_info.vendor, x86_cpu_info.brand, x86_cpu_info.phys_bits, x86_cpu_info.virt_bits, x86_cpu_info.nx,
		   x86_cpu_info.la57, x86_cpu_info.gib_pages, x86_cpu_info.smep, x86_cpu_info.smap, x86_cpu_info.umip);
	x86_printf("cmdline \"%s\"\n", x86_boot.cmdline);
	for (uint32_t i = 0; i < n; i++)
		x86_printf("e820 %012lx + %011lx type %u\n", ranges[i].base, ranges[i].size, ranges[i].type);
	n = x86_reserved(reserved, 8);
	for (uint32_t i = 0; i < n && i < 8; i++)
		x86_printf("used %012lx + %011lx\n", reserved[i].base, reserved[i].size);
	x86_printf("epoch %lu, report channel %d\n", x86_boot_epoch(), x86_report_present());
}

static bool reserved_by_port(uint64_t pa)
{
	struct x86_mem_range r[8];
	uint32_t n = x86_reserved(r, 8);

	for (uint32_t i = 0; i < n; i++) {
		if (pa >= r[i].base && pa < r[i].base + r[i].size)
			return true;
	}
	return false;
}

/* Every GiB of RAM can be written through the direct map of the boot tables, each at its own place. */
static __attribute__((noinline)) void test_boot_map(void)
{
	const uint64_t step = 1ull << 30;
	unsigned bad = 0, tried = 0;

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < x86_boot.nr_ranges; i++) {
			const struct x86_mem_range *r = &x86_boot.ranges[i];
			uint64_t last = (r->base + r->size - X86_PAGE_SIZE) & ~4095ull;

			for (uint64_t pa = last; r->type == 1 && pa >= r->base && pa <= last && pa >= 0x100000; pa -= step) {
				uint64_t *word = x86_phys_ptr(pa);

				if (reserved_by_port(pa))
					continue;
				if (pass == 0)
					*word = pa ^ 0x5a5a;
				bad += *word != (pa ^ 0x5a5a);
				tried++;
			}
		}
	}
	x86_printf("     %u places\n", tried);
	check("all RAM is mapped at boot", bad == 0 && tried >= 2);
	for (uint32_t i = 0; i < x86_boot.nr_modules; i++)
		check("module can be read", memcmp(x86_phys_ptr(x86_boot.modules[i].start), "#!/bin/sh", 9) == 0);
}

static uint64_t below(const void *t)
{
	return x86_image_pa(t) | P | RW | US;
}

/* Entry of an address in the table whose entries map 1 << shift bytes each. */
static unsigned entry_of(uint64_t va, unsigned shift)
{
	return (unsigned)(va >> shift) & 511;
}

/* Direct map of the first GiB, the image in the same GiB; returns the root. */
static uint64_t build_tables(void)
{
	const uint64_t direct = x86_direct_base;

	for (uint64_t i = 0; i < 512; i++)
		direct_2m[i] = i << 21 | P | RW | LARGE;
	direct_1g[entry_of(direct, 30)] = below(direct_2m);
	image_1g[510] = below(direct_2m);
	if (X86_LEVELS == 5) {
		direct_512g[entry_of(direct, 39)] = below(direct_1g);
		kernel_512g[511] = below(image_1g);
		root[entry_of(direct, 48)] = below(direct_512g);
		root[511] = below(kernel_512g);
	} else {
		root[entry_of(direct, 39)] = below(direct_1g);
		root[511] = below(image_1g);
	}
	return x86_image_pa(root);
}

static void map_user(void)
{
	user_4k[0] = x86_image_pa(user_page) | P | RW | US;
	user_4k[1] = x86_image_pa(user_stack) | P | RW | US | NX;
	user_2m[USER_CODE >> 21] = below(user_4k);
	user_1g[0] = below(user_2m);
	user_512g[0] = below(user_1g);
	root[0] = X86_LEVELS == 5 ? below(user_512g) : below(user_1g);
	if (X86_LEVELS == 5)
		root[16] = root[0];
	memcpy(user_page, user_programs, (size_t)(user_programs_end - user_programs));
}

/* ---- handlers ---- */

static void on_trap(struct x86_frame *frame)
{
	seen = *frame;
	seen_cr2 = x86_fault_address();
	if (x86_frame_from_user(frame))
		x86_context_switch(&dead_context, main_context);
	if (recover && frame->trapno == X86_TRAP_PF) {
		frame->rip = recover;
		recover = 0;
	} else if (frame->trapno != X86_TRAP_BP) {
		x86_panic_frame(frame, "unexpected trap in the self-test");
	}
}

static void on_syscall(struct x86_frame *frame)
{
	if (frame->trapno == X86_SYSCALL_INSN && x86_frame_syscall_nr(frame) == CALL_RESULT) {
		x86_irq_enable(); /* may be on when the handler returns */
		x86_frame_set_result(frame, CALL_RESULT_VALUE);
	} else if (frame->trapno == X86_SYSCALL_INSN && x86_frame_syscall_nr(frame) == CALL_FAR_JUMP) {
		frame->rip = frame->rcx = NON_CANONICAL; /* as if SYSCALL were the last instruction of the lower half */
	} else {
		on_trap(frame);
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

static x86_word seen_argument(unsigned n)
{
	x86_word room[6];

	return x86_frame_syscall_args(&seen, room)[n];
}

/* ---- running programs ---- */

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

static struct x86_frame user_frame(const uint8_t *program, bool is_32)
{
	struct x86_tls none = { .fs = 0 };
	struct x86_frame f;

	x86_tls_load(&none);
	x86_frame_start(&f, USER_CODE + (uint64_t)(program - user_programs), USER_STACK + 4096, is_32);
	return f;
}

static void expect(const char *name, const uint8_t *program, uint64_t trapno)
{
	struct x86_frame f = user_frame(program, false);

	run_frame(&f);
	check(name, seen.trapno == trapno && x86_frame_from_user(&seen));
}

static void expect_32(const char *name, const uint8_t *program, uint64_t trapno)
{
	struct x86_frame f = user_frame(program, true);

	run_frame(&f);
	check(name, seen.trapno == trapno && x86_frame_is_32(&seen));
}

/* ---- tests ---- */

static void test_traps(void)
{
	__asm__ volatile("int3");
	check("breakpoint inside the kernel", seen.trapno == X86_TRAP_BP && !x86_frame_from_user(&seen));
	expect("ring 3: divide error", user_divide, X86_TRAP_DE);
	expect("ring 3: int3", user_bp, X86_TRAP_BP);
	expect("ring 3: undefined opcode", user_undefined, X86_TRAP_UD);
	expect("ring 3: privileged instruction", user_privileged, X86_TRAP_GP);
	expect("ring 3: I/O port", user_port, X86_TRAP_GP);
	expect("ring 3: non-canonical address", user_hole, X86_TRAP_GP);
	if (x86_cpu_info.umip)
		expect("ring 3: SGDT is held back", user_sgdt, X86_TRAP_GP);
	expect("ring 3: kernel address", user_kernel, X86_TRAP_PF);
	check("fault address and reason",
	      seen_cr2 == (uint64_t)x86_image_start && seen.err == (X86_PF_USER | X86_PF_PRESENT));
	expect("ring 3: jump to nowhere", user_jump, X86_TRAP_PF);
	check("fault address is rip", seen_cr2 == 0x12345678u && seen.rip == seen_cr2);
	if (!x86_cpu_info.nx)
		return;
	expect("ring 3: code on the stack", user_nx, X86_TRAP_PF);
	check("reason is the fetch", seen.err == (X86_PF_USER | X86_PF_PRESENT | X86_PF_FETCH) && seen.rip == seen_cr2);
}

static void test_syscalls(void)
{
	expect("ring 3: syscall", user_syscall, X86_SYSCALL_INSN);
	check("its arguments arrive", x86_frame_syscall_nr(&seen) == 0x1234 && seen_argument(0) == 7 &&
	      seen_argument(3) == (x86_word)-5 && seen.rsp == USER_STACK + 4096);
	check("the frame is complete", seen.cs == X86_USER_CS && seen.ss == X86_USER_DS && seen.rcx == seen.rip &&
	      seen.rflags == seen.r11 && (seen.rflags & 0x600) == 0x600);
	expect("ring 3: syscall, and again", user_sysret, X86_SYSCALL_INSN);
	check("result, stack and registers come back", seen.rbx == CALL_RESULT_VALUE && seen.r15 == 77 &&
	      x86_frame_syscall_nr(&seen) == 9 && seen.rsp == USER_STACK + 4096);
	expect("return to a non-canonical address is ring 3's fault", user_far, X86_TRAP_GP);
	check("and happens there", seen.rip == NON_CANONICAL);
	expect("ring 3: int 80h in 64-bit code", user_int80, X86_SYSCALL_VECTOR);
	check("32-bit convention", x86_frame_syscall_is_32(&seen) && seen_argument(0) == 0xffffffffu);
	expect("ring 3: sysenter", user_sysenter, memcmp(x86_cpu_info.vendor, "AuthenticAMD", 12) ? X86_TRAP_GP : X86_TRAP_UD);
}

static void test_compat(void)
{
	struct x86_frame f;
	struct x86_tls tls = { .fs = 0 };

	expect_32("32-bit program: int 80h", user32_int80, X86_SYSCALL_VECTOR);
	check("its arguments arrive", x86_frame_syscall_nr(&seen) == 20 && seen_argument(0) == 0xffffffffu &&
	      seen_argument(5) == 6);
	check("its segments", x86_frame_segment(&seen, X86_SEG_DS) == X86_USER_DS &&
	      x86_frame_segment(&seen, X86_SEG_GS) == 0);
	expect_32("32-bit program: into", user32_into, X86_TRAP_OF);
	expect_32("32-bit program: syscall", user32_syscall, X86_TRAP_UD);
	check("at the instruction", seen.rip == USER_CODE + (uint64_t)(user32_syscall - user_programs));

	f = user_frame(user32_tls, true);
	x86_tls_save(&tls);
	tls.desc[0] = x86_tls_descriptor(USER_STACK + 0x100, 0xfffff,
					 X86_UDESC_32BIT | X86_UDESC_LIMIT_IN_PAGES | X86_UDESC_USEABLE);
	tls.gs = X86_TLS_MIN * 8 + 3;
	x86_tls_load(&tls);
	((uint32_t *)user_stack)[0x104 / 4] = 0xabcd;
	run_frame(&f);
	check("thread-local segment", seen.trapno == X86_SYSCALL_VECTOR && seen.rax == 0xabcd);
	x86_tls_save(&tls);
	check("selectors saved", tls.gs == X86_TLS_MIN * 8 + 3 && tls.ds == X86_USER_DS && tls.fs == 0);
}

static void test_bases(void)
{
	struct x86_frame f = user_frame(user_bases, false);
	struct x86_tls tls = { .fs_base = USER_STACK + 0x200, .gs_base = USER_STACK + 0x300 };

	((uint64_t *)user_stack)[0x208 / 8] = 0xf00d;
	((uint64_t *)user_stack)[0x310 / 8] = 0xbeef;
	x86_tls_load(&tls);
	run_frame(&f);
	check("FS and GS bases", seen.rax == 0xf00d && seen.rbx == 0xbeef);
	f = user_frame(user_bases, false);
	run_frame(&f);
	check("another task has others", seen.trapno == X86_TRAP_PF && seen_cr2 == 8);
}

static void test_bad_frames(void)
{
	struct x86_frame f = user_frame(user_syscall, false);

	x86_frame_set_segment(&f, X86_SEG_GS, 0xfff3);
	x86_frame_set_segment(&f, X86_SEG_FS, X86_KERNEL_DS);
	x86_frame_set_segment(&f, X86_SEG_ES, 0x43); /* the TSS */
	run_frame(&f);
	check("bad segments load as null", seen.trapno == X86_SYSCALL_INSN && x86_frame_segment(&f, X86_SEG_GS) == 0 &&
	      x86_frame_segment(&f, X86_SEG_ES) == 0);
	f = user_frame(user_syscall, false);
	f.cs = 0xfff3;
	f.r9 = 99;
	run_frame(&f);
	check("bad code segment is ring 3's fault", seen.trapno == X86_TRAP_GP && seen.cs == 0xfff3 && seen.r9 == 99);
	f = user_frame(user_syscall, false);
	f.ss = X86_KERNEL_DS | 3;
	run_frame(&f);
	check("bad stack segment is ring 3's fault", seen.trapno == X86_TRAP_GP && seen.ss == (X86_KERNEL_DS | 3));
	f = user_frame(user_syscall, false);
	f.rip = NON_CANONICAL;
	run_frame(&f);
	check("non-canonical rip is ring 3's fault", seen.trapno == X86_TRAP_GP && seen.rip == NON_CANONICAL);
	f.rflags = ~0ull;
	f.cs = 0x10000 | X86_KERNEL_CS;
	x86_frame_sanitize(&f);
	check("sanitized flags", f.cs == (X86_KERNEL_CS | 3) && (f.rflags & 0xffffffff00027202ull) == 0x202);
	expect("and a good frame goes on", user_syscall, X86_SYSCALL_INSN);
}

/* Read a byte in the kernel. true: it faulted. The label is where on_trap() sends the fault. */
static bool kernel_read_faults(uint64_t va)
{
	bool faulted;

	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; movb (%1), %%al; 1:"
			 : "=m"(recover) : "r"(va) : "rax", "memory");
	faulted = !recover;
	recover = 0;
	return faulted;
}

static bool kernel_write_faults(uint64_t va)
{
	bool faulted;

	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; movb $3, (%1); 1:" : "=m"(recover) : "r"(va) : "rax", "memory");
	faulted = !recover;
	recover = 0;
	return faulted;
}

/* The page table entry of user code asks to be executed by ring 0: the return address lies below. */
static bool kernel_fetch_faults(uint64_t va)
{
	bool faulted;

	__asm__ volatile("leaq 1f(%%rip), %%rax; movq %%rax, %0; jmp *%1; 1:" : "=m"(recover) : "r"(va) : "rax", "memory");
	faulted = !recover;
	recover = 0;
	return faulted;
}

static void test_guards(void)
{
	check("kernel reads its own memory", !kernel_read_faults((uint64_t)scratch));
	check("kernel reads of nothing fault", kernel_read_faults(USER_CODE + (1 << 21)));
	if (x86_cpu_info.smap)
		check("kernel cannot read user memory", kernel_read_faults(USER_CODE));
	if (x86_cpu_info.smep)
		check("kernel cannot execute user memory", kernel_fetch_faults(USER_CODE));
}

static void test_fpu(void)
{
	struct kmm_port *port = x86_port_init();
	struct x86_fpu copy;

	x86_fpu_init(&fpu[0]);
	x86_fpu_init(&fpu[1]);
	x86_fpu_switch(&fpu[0]);
	expect("SSE use in ring 3", user_sse_set, X86_SYSCALL_INSN);
	x86_fpu_switch(&fpu[1]);
	expect("second task uses SSE", user_sse_get, X86_SYSCALL_INSN);
	check("second task starts clean", seen.rax == 0);
	memset(scratch[0], 0x55, 4096);
	port->zero_frame(port, scratch[0]);
	x86_fpu_switch(&fpu[0]);
	expect("first task again", user_sse_get, X86_SYSCALL_INSN);
	check("its registers were kept", seen.rax == 0x5eed);
	x86_fpu_copy(&copy, &fpu[0]);
	check("fork copies the state", ((uint32_t *)x86_fpu_image(&copy))[(160 + 15 * 16) / 4] == 0x5eed);
	x86_fpu_forget(&fpu[0]);
	x86_fpu_switch(NULL);
}

static void test_frames(void)
{
	struct kmm_port *port = x86_port_init();
	bool zero = true;

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
	unsigned next = (entry_of(x86_direct_base, 30) + 1) & 511; /* not mapped yet; the same tables as user memory, supervisor */
	uint64_t window = (x86_direct_base & ~0x7fffffffffull) + ((uint64_t)next << 30);
	struct kmm_flush flush = { .root = { 0 }, .start = window, .end = window + 4096 };
	volatile uint8_t *va = (volatile uint8_t *)window;
	static table dir, pages __attribute__((aligned(4096)));

	scratch[0][0] = 1;
	scratch[1][0] = 2;
	pages[0] = x86_image_pa(scratch[0]) | P | RW;
	dir[0] = x86_image_pa(pages) | P | RW;
	direct_1g[next] = x86_image_pa(dir) | P | RW;
	check("new kernel page", va[0] == 1);
	pages[0] = x86_image_pa(scratch[1]) | P | RW;
	port->tlb_flush_local(port, &flush);
	check("flush of one page", va[0] == 2);
	pages[0] = x86_image_pa(scratch[0]) | P | RW;
	flush = (struct kmm_flush){ .root = { 0 } };
	port->tlb_flush_local(port, &flush);
	check("flush of everything", va[0] == 1);
	pages[0] = x86_image_pa(scratch[0]) | P;
	port->tlb_flush_local(port, &flush);
	check("ring 0 obeys write protection", kernel_write_faults(window) && scratch[0][0] == 1 &&
	      seen.err == (X86_PF_PRESENT | X86_PF_WRITE));
	check("the root", x86_current_root() == x86_image_pa(root));
}

static void test_levels(void)
{
	((uint32_t *)user_stack)[0x10 / 4] = 0x57;
	if (X86_LEVELS == 4) {
		expect("2^52 is no address here", user_high, X86_TRAP_GP);
		return;
	}
	expect("ring 3: address above 2^47", user_high, X86_SYSCALL_INSN);
	check("five levels were walked", seen.rax == 0x57);
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
	x86_printf("     5 ticks took %lu ns\n", ns);
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
	struct x86_frame f = user_frame(user_loop, false);
	uint64_t count;

	run_frame(&f);
	for (int i = 0; i < 100 && seen.rcx == 0; i++)
		x86_context_switch(&main_context, loop_context);
	count = seen.rcx;
	for (int i = 0; i < 100 && seen.rcx == count; i++)
		x86_context_switch(&main_context, loop_context);
	check("preemption of ring 3", count && seen.rcx > count && seen.trapno == X86_IRQ_BASE);
	x86_irq_mask(0);
	expect("and syscalls go on", user_syscall, X86_SYSCALL_INSN);
}

static void test_print(void)
{
	char buf[64];
	int n = x86_snprintf(buf, sizeof(buf), "%05d|%-4u|%4x|%llu|%s|%c|%08lX|%zu", -42, 7u, 0xabu,
			     18446744073709551615ull, "s", 'c', 0x1234ABCDEFul, sizeof(buf));

	check("printf", n == 54 && !memcmp(buf, "-0042|7   |  ab|18446744073709551615|s|c|1234ABCDEF|64", 55));
	check("printf of a negative int", x86_snprintf(buf, sizeof(buf), "%d %x %ld", -1, -1, -1l) == 14 &&
	      !memcmp(buf, "-1 ffffffff -1", 15));
	memcpy(buf, "abcdefghijklmnopqrs", 20);
	memmove(buf + 2, buf, 16);
	check("memmove upwards", !memcmp(buf, "ababcdefghijklmnop", 18));
	memmove(buf, buf + 2, 16);
	check("memmove downwards", !memcmp(buf, "abcdefghijklmnop", 16));
	memset(buf, 0x81, 13);
	check("memset", (uint8_t)buf[12] == 0x81 && (uint8_t)buf[7] == 0x81 && buf[13] == 'n');
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
	__asm__ volatile("movq $0x1000, %rsp; pushq %rax");
}

void kernel_main(void)
{
	static const struct x86_ops ops = { on_trap, on_irq, on_syscall };

	print_machine();
	test_print();
	move_direct_map();
	test_boot_map();
	if (cmdline_has("trap"))
		__asm__ volatile("ud2");
	x86_paging_enable(build_tables());
	check("the kernel's own tables", true);
	map_user();
	x86_set_ops(&ops);
	test_traps();
	test_syscalls();
	test_compat();
	test_bases();
	test_bad_frames();
	test_guards();
	test_fpu();
	test_frames();
	test_tlb();
	test_levels();
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
