/* SPDX-License-Identifier: MIT */
/*
 * selftest64.c - the 64-bit kernels' part of the self-test, with 4 or 5 levels. With 5 the user half is there once more at
 * 2^52. "direct=HEX" on the command line moves the direct map by so many GiB.
 */
#include "selftest.h"

typedef uint64_t table[512];

#define NON_CANONICAL (X86_USER_END_MAX + X86_PAGE_SIZE)

#define NX (x86_cpu_info.nx ? 1ull << 63 : 0)

/* Named by the level of what their entries map: a page, 2 MiB, 1 GiB, 512 GiB. */
static table root, user_512g, user_1g, user_2m, user_4k __attribute__((aligned(4096)));
static table kernel_512g, direct_512g, image_1g, direct_1g, direct_2m __attribute__((aligned(4096)));

/* System calls that the handler answers instead of ending the program. */
enum { CALL_RESULT = 1, CALL_FAR_JUMP = 2, CALL_RESULT_VALUE = 4242 };

/* Ring 3 programs; each ends in a trap that the test looks at. */
#define PROGRAM(name) extern const uint8_t name[]
PROGRAM(user_sysret);
PROGRAM(user_far);
PROGRAM(user_int80);
PROGRAM(user_divide);
PROGRAM(user_undefined);
PROGRAM(user_kernel);
PROGRAM(user_privileged);
PROGRAM(user_bases);
PROGRAM(user_port);
PROGRAM(user_jump);
PROGRAM(user_bp);
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
	".globl user_programs, user_programs_end, user_syscall, user_sse_set, user_sse_get, user_loop\nuser_programs:\n"
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

void test_boot(void)
{
	move_direct_map();
	test_boot_map();
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
uint64_t build_tables(void)
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

void map_user(void)
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

void on_syscall(struct x86_frame *frame)
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

static x86_word seen_argument(unsigned n)
{
	x86_word room[6];

	return x86_frame_syscall_args(&seen, room)[n];
}

static struct x86_frame frame_of(const uint8_t *program, bool is_32)
{
	struct x86_tls none = { .fs = 0 };
	struct x86_frame f;

	x86_tls_load(&none);
	x86_frame_start(&f, USER_CODE + (uint64_t)(program - user_programs), USER_STACK + 4096, is_32);
	return f;
}

struct x86_frame user_frame(const uint8_t *program)
{
	return frame_of(program, false);
}

x86_word loops_of(const struct x86_frame *f)
{
	return f->rcx;
}

static void expect_32(const char *name, const uint8_t *program, uint64_t trapno)
{
	struct x86_frame f = frame_of(program, true);

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

	f = frame_of(user32_tls, true);
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
	struct x86_frame f = user_frame(user_bases);
	struct x86_tls tls = { .fs_base = USER_STACK + 0x200, .gs_base = USER_STACK + 0x300 };

	((uint64_t *)user_stack)[0x208 / 8] = 0xf00d;
	((uint64_t *)user_stack)[0x310 / 8] = 0xbeef;
	x86_tls_load(&tls);
	run_frame(&f);
	check("FS and GS bases", seen.rax == 0xf00d && seen.rbx == 0xbeef);
	f = user_frame(user_bases);
	run_frame(&f);
	check("another task has others", seen.trapno == X86_TRAP_PF && seen_cr2 == 8);
}

static void test_bad_frames(void)
{
	struct x86_frame f = user_frame(user_syscall);

	x86_frame_set_segment(&f, X86_SEG_GS, 0xfff3);
	x86_frame_set_segment(&f, X86_SEG_FS, X86_KERNEL_DS);
	x86_frame_set_segment(&f, X86_SEG_ES, 0x43); /* the TSS */
	run_frame(&f);
	check("bad segments load as null", seen.trapno == X86_SYSCALL_INSN && x86_frame_segment(&f, X86_SEG_GS) == 0 &&
	      x86_frame_segment(&f, X86_SEG_ES) == 0);
	f = user_frame(user_syscall);
	f.cs = 0xfff3;
	f.r9 = 99;
	run_frame(&f);
	check("bad code segment is ring 3's fault", seen.trapno == X86_TRAP_GP && seen.cs == 0xfff3 && seen.r9 == 99);
	f = user_frame(user_syscall);
	f.ss = X86_KERNEL_DS | 3;
	run_frame(&f);
	check("bad stack segment is ring 3's fault", seen.trapno == X86_TRAP_GP && seen.ss == (X86_KERNEL_DS | 3));
	f = user_frame(user_syscall);
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

void test_width(void)
{
	test_traps();
	test_syscalls();
	test_compat();
	test_bases();
	test_bad_frames();
	test_guards();
	test_tlb();
	test_levels();
}

void overflow_stack(void)
{
	__asm__ volatile("movq $0x1000, %rsp; pushq %rax");
}
