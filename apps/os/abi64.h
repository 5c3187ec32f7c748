/* SPDX-License-Identifier: MIT */
/*
 * abi64.h - structures of the Linux x86-64 system call interface where they differ from those of i386 (abi32.h).
 * Written from the manual pages and the x86-64 psABI; sizes are asserted because programs depend on them.
 */
#ifndef OS_ABI64_H
#define OS_ABI64_H

#include <stdint.h>

struct linux64_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad0;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	uint64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	int64_t unused[3];
};
_Static_assert(sizeof(struct linux64_stat) == 144, "struct stat of x86-64");

struct linux64_statfs {
	uint64_t type, bsize, blocks, bfree, bavail, files, ffree;
	uint32_t fsid[2];
	uint64_t namelen, frsize, flags, spare[4];
};
_Static_assert(sizeof(struct linux64_statfs) == 120, "struct statfs of x86-64");

struct linux64_siginfo {
	int32_t signo, error, code, pad;
	union {
		struct {
			uint32_t pid, uid;
			uint32_t status, unused;
			uint64_t utime, stime;
		};
		uint64_t addr;
		uint8_t room[112];
	};
};
_Static_assert(sizeof(struct linux64_siginfo) == 128, "siginfo_t");

struct linux64_stack {
	uint64_t sp;
	uint32_t flags, pad;
	uint64_t size;
};
_Static_assert(sizeof(struct linux64_stack) == 24, "stack_t of x86-64");

struct linux64_sysinfo {
	int64_t uptime;
	uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad[3];
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit, tail;
};
_Static_assert(sizeof(struct linux64_sysinfo) == 112, "struct sysinfo of x86-64");

#endif
