/* SPDX-License-Identifier: MIT */
/*
 * abi32.h - structures of the Linux i386 system call interface, as far as this kernel serves it. Written from the
 * manual pages and the i386 psABI; sizes are asserted because programs depend on them.
 */
#ifndef OS_ABI32_H
#define OS_ABI32_H

#include <stdint.h>

struct linux32_stat64 {
	uint64_t dev;
	uint32_t pad0, ino32, mode, nlink, uid, gid;
	uint64_t rdev;
	uint32_t pad3;
	int64_t size;
	uint32_t blksize;
	uint64_t blocks;
	uint32_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	uint64_t ino;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct linux32_stat64) == 96, "struct stat64 of i386");

struct linux32_stat {
	uint32_t dev, ino;
	uint16_t mode, nlink, uid, gid;
	uint32_t rdev, size, blksize, blocks;
	uint32_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns, unused4, unused5;
};
_Static_assert(sizeof(struct linux32_stat) == 64, "struct stat of i386");

struct linux32_statfs64 {
	uint32_t type, bsize;
	uint64_t blocks, bfree, bavail, files, ffree;
	uint32_t fsid[2], namelen, frsize, flags, spare[4];
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct linux32_statfs64) == 84, "struct statfs64 of i386");

struct linux32_siginfo {
	int32_t signo, error, code;
	uint32_t w[29]; /* pid, uid, status/value... or the address: by signal and code */
};
_Static_assert(sizeof(struct linux32_siginfo) == 128, "siginfo_t");

struct linux32_old_sigaction { /* sigaction */
	uint32_t handler, mask, flags, restorer;
};

struct linux32_stack {
	uint32_t sp, flags, size;
};

struct linux32_user_desc {
	uint32_t entry, base, limit, flags;
};

struct linux32_sysinfo {
	int32_t uptime;
	uint32_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad;
	uint32_t totalhigh, freehigh, mem_unit;
	uint8_t tail[8];
};
_Static_assert(sizeof(struct linux32_sysinfo) == 64, "struct sysinfo of i386");

#endif
