/* SPDX-License-Identifier: MIT */
/*
 * What a program must not do, and what it is told when it does: number, code and address of the signal for every
 * kind of exception, once with a handler and once with the default action. Ends with "N passed, N failed".
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, ANY = -1000, NOT_EMULATED = 2 };
#define ANY_ADDR ((void *)1)

static sigjmp_buf back;
static volatile siginfo_t seen;
static char *beyond_file, *read_only, *no_exec, *no_access;

static void caught(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	memcpy((void *)&seen, info, sizeof(*info));
	siglongjmp(back, 1);
}

static char *volatile null; /* the compiler must not know */
static void read_null(void) { (void)*(volatile char *)null; }
static void read_kernel(void) { (void)*(volatile char *)KERNEL_ADDRESS; }
static void write_kernel(void) { *(volatile char *)KERNEL_ADDRESS = 1; }
static void read_top(void) { (void)*(volatile char *)UINTPTR_MAX; }
static void write_text(void) { *(volatile char *)(uintptr_t)read_null = 1; }
static void write_read_only(void) { *(volatile char *)read_only = 1; }
static void read_no_access(void) { (void)*(volatile char *)no_access; }
static void run_data(void) { ((void (*)(void))(uintptr_t)no_exec)(); }
static void jump_nowhere(void) { ((void (*)(void))0x5000)(); }
static void jump_kernel(void) { ((void (*)(void))KERNEL_ADDRESS)(); }
static void read_beyond_file(void) { (void)*(volatile char *)(beyond_file + PAGE); }
static void do_cli(void) { __asm__ volatile("cli"); }
static void do_hlt(void) { __asm__ volatile("hlt"); }
static void do_out(void) { __asm__ volatile("outb %%al, $0x80" : : "a"(0)); }
static void do_cr3(void) { long v; __asm__ volatile("mov %%cr3, %0" : "=r"(v)); }
static void do_lgdt(void) { __asm__ volatile("lgdt 0"); }
static void do_segment(void) { __asm__ volatile("mov %%ax, %%gs" : : "a"(0x1233)); }
static void do_int20(void) { __asm__ volatile("int $0x20"); }
static void do_ud2(void) { __asm__ volatile("ud2"); }
static void do_int3(void) { __asm__ volatile("int3"); }
static void do_divide(void) { __asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0)); }
#ifdef __x86_64__
static void do_trace(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp; pushf; orl $0x100, (%%rsp); popf; nop; lea 128(%%rsp), %%rsp" : : : "memory", "cc");
}
static char *volatile odd = (char *)0x800000000000ul + (1ul << 60); /* not canonical, with 4 levels or with 5 */
static void read_odd(void) { (void)*(volatile char *)odd; }
static void write_odd(void) { *(volatile char *)odd = 1; }
static void jump_odd(void) { ((void (*)(void))(uintptr_t)odd)(); }
static void push_odd(void)
{
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push %%rax; mov %%rbx, %%rsp" : : "r"(odd) : "rbx", "memory");
}
static void read_vsyscall(void) { (void)*(volatile char *)0xffffffffff600000ul; }
#else
static void do_trace(void) { __asm__ volatile("pushf; orl $0x100, (%%esp); popf; nop" : : : "memory", "cc"); }
static void do_into(void) { __asm__ volatile("movb $127, %%al; addb $1, %%al; into" : : : "eax"); }
#endif

static int (*volatile again)(int depth);
static int recurse(int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	return again(depth + 1) + frame[0];
}
static void recursion(void)
{
	again = recurse;
	recurse(0);
}

static const struct trap {
	const char *name;
	void (*run)(void);
	int signal, code;
	void *addr;
	int only_kmm; /* 1, or NOT_EMULATED: QEMU makes a general protection of it, a processor a stack fault */
} traps[] = {
	{ "read at 0", read_null, SIGSEGV, SEGV_MAPERR, NULL, 0 },
	{ "read the kernel", read_kernel, SIGSEGV, SEGV_MAPERR, (void *)KERNEL_ADDRESS, 1 },
	{ "write the kernel", write_kernel, SIGSEGV, SEGV_MAPERR, (void *)KERNEL_ADDRESS, 1 },
	{ "read the last byte", read_top, SIGSEGV, SEGV_MAPERR, (void *)UINTPTR_MAX, 0 },
	{ "write to text", write_text, SIGSEGV, SEGV_ACCERR, (void *)(uintptr_t)read_null, 0 },
	{ "write read-only memory", write_read_only, SIGSEGV, SEGV_ACCERR, ANY_ADDR, 0 },
	{ "read PROT_NONE", read_no_access, SIGSEGV, SEGV_ACCERR, ANY_ADDR, 0 },
	{ "jump to nowhere", jump_nowhere, SIGSEGV, SEGV_MAPERR, (void *)0x5000, 0 },
	{ "jump into the kernel", jump_kernel, SIGSEGV, SEGV_MAPERR, (void *)KERNEL_ADDRESS, 1 },
	{ "read beyond a file", read_beyond_file, SIGBUS, BUS_ADRERR, ANY_ADDR, 0 },
	{ "recursion for ever", recursion, SIGSEGV, ANY, ANY_ADDR, 0 },
	{ "cli", do_cli, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "hlt", do_hlt, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "out", do_out, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "mov cr3", do_cr3, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "lgdt", do_lgdt, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "load a bad segment", do_segment, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "int 20h", do_int20, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "ud2", do_ud2, SIGILL, ILL_ILLOPN, ANY_ADDR, 0 },
	{ "int3", do_int3, SIGTRAP, SI_KERNEL, ANY_ADDR, 0 },
#ifdef __x86_64__
	{ "read a non-canonical address", read_odd, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "write a non-canonical address", write_odd, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "jump to a non-canonical address", jump_odd, SIGSEGV, SI_KERNEL, NULL, 0 },
	{ "push to a non-canonical address", push_odd, SIGBUS, SI_KERNEL, NULL, NOT_EMULATED },
	{ "no vsyscall page", read_vsyscall, SIGSEGV, SEGV_MAPERR, (void *)0xffffffffff600000ul, 1 },
#else
	{ "into", do_into, SIGSEGV, SI_KERNEL, NULL, 0 },
#endif
	{ "divide by zero", do_divide, SIGFPE, FPE_INTDIV, ANY_ADDR, 0 },
	{ "single step", do_trace, SIGTRAP, TRAP_TRACE, ANY_ADDR, 0 },
};

static void handle_all(void)
{
	static char stack[16384];
	const stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };

	sigaltstack(&alt, NULL);
	action.sa_sigaction = caught;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

static void check_handled(const struct trap *t)
{
	memset((void *)&seen, 0, sizeof(seen));
	if (sigsetjmp(back, 1) == 0)
		t->run();
	CHECK(t->name, seen.si_signo == t->signal);
	CHECK(t->name, t->code == ANY || seen.si_code == t->code);
	CHECK(t->name, t->addr == ANY_ADDR || seen.si_addr == t->addr);
}

static void check_default(const struct trap *t)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		for (int s = 1; s < 32; s++)
			signal(s, SIG_DFL);
		t->run();
		_exit(0);
	}
	CHECK(t->name, waitpid(pid, &status, 0) == pid);
	CHECK(t->name, WIFSIGNALED(status) && WTERMSIG(status) == t->signal);
}

/* A fault that is blocked or ignored ends the program all the same. */
static void check_forced(int ignore)
{
	sigset_t set;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		sigfillset(&set);
		if (ignore)
			signal(SIGSEGV, SIG_IGN);
		else
			sigprocmask(SIG_BLOCK, &set, NULL);
		read_null();
		_exit(0);
	}
	CHECK("forced", waitpid(pid, &status, 0) == pid);
	CHECK("forced", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void prepare(void)
{
	int fd = open("/tmp/traps.file", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (write(fd, "x", 1) != 1)
		exit(1);
	beyond_file = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	no_access = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	no_exec = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*no_exec = (char)0xc3; /* ret */
	unlink("/tmp/traps.file");
	close(fd);
}

/* Two-level tables have no such bit; three-level ones do. */
static void check_no_execute(void)
{
	static const struct trap t = { "run data", run_data, SIGSEGV, SEGV_ACCERR, ANY_ADDR, 0 };
	const char *machine = getenv("MACHINE");

	if (machine && strcmp(machine, "i386") == 0) {
		no_exec[0] = (char)0xc3;
		run_data();
		CHECK("run data without NX", 1);
		return;
	}
	check_handled(&t);
	CHECK(t.name, seen.si_addr == no_exec);
}

int main(void)
{
	const struct rlimit stack = { 1 << 20, 1 << 20 }; /* fits twice into a small machine */

	setrlimit(RLIMIT_STACK, &stack);
	prepare();
	handle_all();
	for (unsigned i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
		if (traps[i].only_kmm && (traps[i].only_kmm == NOT_EMULATED) == on_kmm())
			continue;
		check_handled(&traps[i]);
		check_default(&traps[i]);
	}
	check_no_execute();
	check_forced(0);
	check_forced(1);
	return sum();
}
