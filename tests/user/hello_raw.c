/* SPDX-License-Identifier: MIT */
/* The smallest program: write and exit, no library at all. */
#ifdef __x86_64__
enum { EXIT = 60, WRITE = 1 };
static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}
#else
enum { EXIT = 1, WRITE = 4 };
static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}
#endif

void _start(void);
void _start(void)
{
	static const char text[] = "hello from ring 3\n";

	call(WRITE, 1, (long)text, sizeof(text) - 1);
	call(EXIT, 7, 0, 0);
}
