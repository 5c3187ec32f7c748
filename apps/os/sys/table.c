/* SPDX-License-Identifier: MIT */
/*
 * table.c - from the number in the first register to a handler: one table for each convention. The convention is that of
 * the instruction, as on Linux: a 64-bit program that uses INT 80h gets the i386 calls, with i386 structures.
 */
#include "sig/sig.h"
#include "sys/sys.h"

struct call {
	sword (*run)(const uword *a);
	enum { LOCKED, FILES, FREE } how; /* with the kernel lock; without; without, and it calls no file_arg() */
};

#define SYS(number, name) [number] = { sys_##name, LOCKED },
#define SYS_FILES(number, name) [number] = { sys_##name, FILES },
#define SYS_FREE(number, name) [number] = { sys_##name, FREE },
static const struct call table32[] = {
#include "sys/list32.h"
};
#if UINTPTR_MAX > UINT32_MAX
static const struct call table64[] = {
#include "sys/list64.h"
};
#else
static const struct call table64[1];
#endif
#undef SYS
#undef SYS_FILES
#undef SYS_FREE

/* What these calls do with each flag, with the tests of it: docs/coverage.md is made of it. Compiled for the names. */
#define COVER(call, what, how, test) _Static_assert(sizeof(sys_##call((const uword *)0)) == sizeof(sword), what);
#define PROC(file, what, how, test) /* the files are rows of a table: scripts/coverage-table compares */
#define GROUP(file, what, how, test) /* and these */
#define SYSCTL(name, what, how, test)
#include "sys/coverage.h"
#undef COVER
#undef PROC
#undef GROUP
#undef SYSCTL

static const struct call *find(const struct call *table, uint32_t size, uint32_t number)
{
	return number < size && table[number].run ? &table[number] : NULL;
}

static __attribute__((noinline)) sword run_locked(const struct call *call, const uword *args)
{
	sword result;

	kernel_lock();
	result = call->run(args);
	kernel_unlock();
	return result;
}

static __attribute__((noinline)) sword run_with_files(const struct call *call, const uword *args)
{
	struct task *self = current;
	sword result = call->how == LOCKED ? run_locked(call, args) : call->run(args);

	while (self->nr_held)
		file_put(self->held[--self->nr_held]);
	return result;
}

struct open_file *file_arg(uint32_t fd)
{
	struct open_file *file = fd_get(current->proc->fds, fd);

	if (!file)
		return NULL;
	if (current->nr_held == MAX_HELD)
		x86_panic("system call %lu looks at more files than a task can hold", (unsigned long)current->call_nr);
	current->held[current->nr_held++] = file;
	return file;
}

static inline sword run(const struct call *call, const uword *args)
{
	if (!call)
		return -ENOSYS;
	return call->how == FREE ? call->run(args) : run_with_files(call, args);
}

/* A function of its own, so that those calls whose arguments lie ready do not pay for the room. */
static __attribute__((noinline)) sword run_32(const struct x86_frame *f)
{
	uword room[6];

	current->call_is_64 = false;
	return run(find(table32, ARRAY_LEN(table32), x86_frame_syscall_nr(f)), x86_frame_syscall_args(f, room));
}

static inline sword run_64(const struct x86_frame *f)
{
	current->call_is_64 = true;
	return run(find(table64, ARRAY_LEN(table64), x86_frame_syscall_nr(f)), x86_frame_syscall_args(f, NULL));
}

static bool must_restart(sword result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOHAND || result == -ERESTARTBLOCK;
}

void syscall_enter(struct x86_frame *f)
{
	sword result;

	current->call_nr = (sword)x86_frame_syscall_nr(f);
	result = x86_frame_syscall_is_32(f) ? run_32(f) : run_64(f);
	x86_frame_set_result(f, result);
	if (must_restart(result))
		current->notify = true;
	user_return(f);
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
