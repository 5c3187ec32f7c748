/* SPDX-License-Identifier: MIT */
#include "os/kernel.h"

#include <stdlib.h>

#include "kmm/observe.h"
#include "lock.h"
#include "proc/task.h"

struct os os;

/* ---- what the kernel's files ask of the rest of it ---- */

uint64_t user_end_of(bool is_64)
{
	(void)is_64;
	return kmm_layout_of(os.k)->user_end;
}

uint64_t os_wall(void)
{
	return 0;
}

/* Not random, so that an input is the same each time. */
void os_random(void *buf, size_t len)
{
	memset(buf, 0, len);
}

int x86_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	return vsnprintf(buf, size, fmt, ap);
}

char *os_strdup(const char *s)
{
	size_t size = str_len(s) + 1;
	char *copy = os_alloc(size);

	if (copy)
		memcpy(copy, s, size);
	return copy;
}

/* One thread: nobody to keep out. */
void kernel_lock(void)
{
}

void kernel_unlock(void)
{
}

void klog(const char *fmt, ...)
{
	(void)fmt;
}

void sleep_lock(struct sleep_lock *lock)
{
	(void)lock;
}

void sleep_unlock(struct sleep_lock *lock)
{
	(void)lock;
}

/* Nobody else is here: who waits, waits for himself. */
void spin_wait(struct spin *lock)
{
	(void)lock;
	abort();
}

/* ---- machine ---- */

struct hosted_machine *kernel_boot(void)
{
	struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .nr_cpus = 1 }, .ram_bytes = 16 << 20 };
	struct hosted_machine *m;

	if (hosted_boot(&config, &m, NULL))
		abort();
	os.k = hosted_kmm(m);
	if (tree_init() != 0)
		abort();
	return m;
}

void kernel_audit(void)
{
	struct hosted_file_sink err;

	if (kmm_audit(os.k, hosted_file_sink(&err, stderr)))
		abort();
}

void kernel_drop(struct hosted_machine *m)
{
	hosted_shutdown(m);
	os.k = NULL;
	fs_root = NULL;
}
