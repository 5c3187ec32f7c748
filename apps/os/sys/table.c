/* SPDX-License-Identifier: MIT */
/*
 * table.c - from the number in the first register to a handler: one table for each convention. The convention is that of
 * the instruction, as on Linux: a 64-bit program that uses INT 80h gets the i386 calls, with i386 structures.
 */
#include "sys/sys.h"

typedef sword (*handler)(const uword *a);

#define SYS(number, name) [number] = sys_##name,
static const handler table32[] = {
#include "sys/list32.h"
};
#if UINTPTR_MAX > UINT32_MAX
static const handler table64[] = {
#include "sys/list64.h"
};
#else
static const handler table64[1];
#endif
#undef SYS

static handler find(const handler *table, uint32_t size, uint32_t number)
{
	return number < size ? table[number] : NULL;
}

sword syscall_run(struct x86_frame *f)
{
	uint32_t number = x86_frame_syscall_nr(f);
	bool is_32 = x86_frame_syscall_is_32(f);
	handler call = is_32 ? find(table32, ARRAY_LEN(table32), number) : find(table64, ARRAY_LEN(table64), number);
	uword args[6];

	if (!call)
		return -ENOSYS;
	current->call_is_64 = !is_32;
	for (unsigned i = 0; i < 6; i++)
		args[i] = x86_frame_syscall_arg(f, i);
	return call(args);
}

sword sys_ok(const uword *a)
{
	(void)a;
	return 0;
}

sword sys_zero(const uword *a)
{
	(void)a;
	return 0;
}
