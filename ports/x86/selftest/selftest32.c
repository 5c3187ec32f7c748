/* SPDX-License-Identifier: MIT */
/*
 * selftest32.c - the 32-bit kernels' part of the self-test: i386 and PAE. After the stack page lies one page of high memory if
 * the machine has any.
 */
#include "selftest.h"

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
#define USER_HIGH 0x402000u

/* kernel_dir: the directory of the kernel half; user_dir: of the first GiB (i386: one directory is both). */
static entry kernel_dir[ENTRIES] __attribute__((aligned(4096)));
static entry user_dir[ENTRIES] __attribute__((aligned(4096)));
static entry user_table[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pae_top[4] __attribute__((aligned(4096)));

/* Ring 3 programs; each ends in a trap that the test looks at. */
extern const uint8_t user_divide[], user_undefined[], user_kernel[], user_privileged[], user_tls[], user_into[];
extern const uint8_t user_port[], user_jump[], user_bp[], user_ldt[], user_sysenter[];
__asm__(".section .rodata\n"
	".globl user_programs, user_programs_end, user_syscall, user_sse_set, user_sse_get, user_loop\nuser_programs:\n"
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

static uint32_t pa_of(const void *kernel_pointer)
{
	return (uint32_t)kernel_pointer - X86_PAGE_OFFSET;
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
uint64_t build_tables(void)
{
	unsigned first = KMM_X86_PAE ? 0 : X86_PAGE_OFFSET >> LARGE_SHIFT;

	for (unsigned i = 0; i < DIRECT_MAP_BYTES >> LARGE_SHIFT; i++)
		kernel_dir[first + i] = (entry)i << LARGE_SHIFT | P | RW | LARGE;
	pae_top[3] = pa_of(kernel_dir) | P;
	return KMM_X86_PAE ? pa_of(pae_top) : pa_of(kernel_dir);
}

void test_boot(void)
{
}

void map_user(void)
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

void on_syscall(struct x86_frame *frame)
{
	on_trap(frame);
}

struct x86_frame user_frame(const uint8_t *program)
{
	return (struct x86_frame){
		.ds = X86_USER_DS, .es = X86_USER_DS, .cs = X86_USER_CS, .ss = X86_USER_DS, .eflags = 0x202,
		.eip = USER_CODE + (uint32_t)(program - user_programs), .esp = USER_STACK + 4096,
	};
}

x86_word loops_of(const struct x86_frame *f)
{
	return f->ecx;
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

static void test_high(void)
{
	volatile uint32_t *p = (volatile uint32_t *)USER_HIGH;

	if (!high_page())
		return;
	p[0] = 0xfeedbeef;
	check("page above 4 GiB", p[0] == 0xfeedbeef);
	x86_printf("     at %llx\n", high_page());
}

void test_width(void)
{
	test_traps();
	test_bad_frames();
	test_tls();
	test_tlb();
	test_high();
}

void overflow_stack(void)
{
	__asm__ volatile("movl $0x1000, %esp; pushl %eax");
}
