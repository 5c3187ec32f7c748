/* SPDX-License-Identifier: MIT */
/*
 * Linux system calls without a C library, for static programs of both widths.
 */
#ifndef KMM_TESTS_ORACLE_SYS_H
#define KMM_TESTS_ORACLE_SYS_H

#include <stddef.h>
#include <stdint.h>

typedef intptr_t sword;
typedef uintptr_t uword;

#ifdef __x86_64__
enum { NR_READ = 0, NR_WRITE = 1, NR_OPEN = 2, NR_CLOSE = 3, NR_MMAP = 9, NR_MPROTECT = 10, NR_MUNMAP = 11, NR_BRK = 12,
       NR_SIGACTION = 13, NR_PREAD = 17, NR_PWRITE = 18, NR_PIPE = 22, NR_SCHED_YIELD = 24, NR_MREMAP = 25, NR_MSYNC = 26, NR_MINCORE = 27, NR_MUNLOCK = 150, NR_MLOCKALL = 151, NR_MUNLOCKALL = 152, NR_REMAP_PAGES = 216, NR_MLOCK2 = 325, NR_MADVISE = 28,
       NR_FORK = 57, NR_EXIT = 60, NR_WAIT4 = 61, NR_FTRUNCATE = 77, NR_UNLINK = 87, NR_CAPSET = 126, NR_SIGALTSTACK = 131, NR_FUTEX = 202,
       NR_PRLIMIT = 302, NR_MEMFD_CREATE = 319, NR_FCNTL = 72, NR_GETPID = 39, NR_SHMGET = 29, NR_SHMAT = 30, NR_SHMCTL = 31, NR_SHMDT = 67, NR_READV_OF = 310, NR_WRITEV_OF = 311 };

static inline sword sys6(sword nr, uword a, uword b, uword c, uword d, uword e, uword f)
{
	register uword r10 __asm__("r10") = d;
	register uword r8 __asm__("r8") = e;
	register uword r9 __asm__("r9") = f;
	sword result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline sword sys_pread(uword fd, void *to, uword len, uint64_t at)
{
	return sys6(NR_PREAD, fd, (uword)to, len, at, 0, 0);
}

static inline sword sys_pwrite(uword fd, const void *from, uword len, uint64_t at)
{
	return sys6(NR_PWRITE, fd, (uword)from, len, at, 0, 0);
}

static inline sword sys_mmap(uword at, uword len, uword prot, uword flags, sword fd, uint64_t offset)
{
	return sys6(NR_MMAP, at, len, prot, flags, (uword)fd, offset);
}
#else
enum { NR_EXIT = 1, NR_FORK = 2, NR_READ = 3, NR_WRITE = 4, NR_OPEN = 5, NR_CLOSE = 6, NR_UNLINK = 10, NR_PIPE = 42, NR_BRK = 45,
       NR_MUNMAP = 91, NR_WAIT4 = 114, NR_MPROTECT = 125, NR_MSYNC = 144, NR_MUNLOCK = 151, NR_MLOCKALL = 152, NR_MUNLOCKALL = 153, NR_MINCORE = 218, NR_REMAP_PAGES = 257, NR_MLOCK2 = 376, NR_SCHED_YIELD = 158, NR_MREMAP = 163,
       NR_SIGACTION = 174, NR_PREAD = 180, NR_PWRITE = 181, NR_CAPSET = 185, NR_SIGALTSTACK = 186, NR_MMAP = 192, NR_FTRUNCATE = 93,
       NR_MADVISE = 219, NR_FUTEX = 240, NR_PRLIMIT = 340, NR_MEMFD_CREATE = 356, NR_FCNTL = 221, NR_GETPID = 20, NR_SHMGET = 395, NR_SHMCTL = 396, NR_SHMAT = 397, NR_SHMDT = 398, NR_READV_OF = 347, NR_WRITEV_OF = 348 };

static inline sword sys6(sword nr, uword a, uword b, uword c, uword d, uword e, uword f)
{
	const uword args[6] = { a, b, c, d, e, f }, *at = args;
	sword result;

	__asm__ volatile("push %%ebp\n\tpush %%ebx\n\tmov 0(%1), %%ebx\n\tmov 4(%1), %%ecx\n\tmov 8(%1), %%edx\n\t"
			 "mov 12(%1), %%esi\n\tmov 20(%1), %%ebp\n\tmov 16(%1), %%edi\n\tint $0x80\n\t"
			 "pop %%ebx\n\tpop %%ebp"
			 : "=a"(result), "+D"(at) : "0"(nr) : "ecx", "edx", "esi", "memory");
	return result;
}

static inline sword sys_pread(uword fd, void *to, uword len, uint64_t at)
{
	return sys6(NR_PREAD, fd, (uword)to, len, (uword)at, (uword)(at >> 32), 0);
}

static inline sword sys_pwrite(uword fd, const void *from, uword len, uint64_t at)
{
	return sys6(NR_PWRITE, fd, (uword)from, len, (uword)at, (uword)(at >> 32), 0);
}

/* By the call of i386 that counts in pages; the low bits get the answer of the one that counts in bytes. */
static inline sword sys_mmap(uword at, uword len, uword prot, uword flags, sword fd, uint64_t offset)
{
	return offset & 4095 ? -22 : sys6(NR_MMAP, at, len, prot, flags, (uword)fd, (uword)(offset >> 12));
}
#endif

static inline sword sys3(sword nr, uword a, uword b, uword c)
{
	return sys6(nr, a, b, c, 0, 0, 0);
}

#endif
