/* SPDX-License-Identifier: MIT */
/* The smallest program: write and exit by int 0x80, no library at all. */
static int call(int number, int a, int b, int c)
{
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

void _start(void);
void _start(void)
{
	static const char text[] = "hello from ring 3\n";

	call(4, 1, (int)text, sizeof(text) - 1);
	call(1, 7, 0, 0);
}
