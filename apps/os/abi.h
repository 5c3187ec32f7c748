/* SPDX-License-Identifier: MIT */
/*
 * abi.h - numbers of the Linux system call interface, as far as this kernel serves it, and the structures that i386
 * and x86-64 have in common. Those that differ are in abi32.h and abi64.h; what the kernel itself keeps of them is here.
 */
#ifndef OS_ABI_H
#define OS_ABI_H

#include <stddef.h>
#include <stdint.h>

/* A register of the machine: a user address, a size, an argument of a system call; and its result. */
typedef uintptr_t uword;
typedef intptr_t sword;

enum {
	EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, ENXIO = 6, E2BIG = 7, ENOEXEC = 8, EBADF = 9,
	ECHILD = 10, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EBUSY = 16, EEXIST = 17, EXDEV = 18,
	ENODEV = 19, ENOTDIR = 20, EISDIR = 21, EINVAL = 22, EMFILE = 24, ENOTTY = 25, ETXTBSY = 26, EFBIG = 27, ENOSPC = 28,
	ESPIPE = 29, EROFS = 30, EPIPE = 32, ERANGE = 34, ENAMETOOLONG = 36, ENOSYS = 38, ENOTEMPTY = 39,
	EDEADLK = 35, ELOOP = 40, EOVERFLOW = 75, ELIBBAD = 80, ENOTSOCK = 88, EMSGSIZE = 90, ENOPROTOOPT = 92,
	EPROTONOSUPPORT = 93, ESOCKTNOSUPPORT = 94, EOPNOTSUPP = 95, EAFNOSUPPORT = 97, EISCONN = 106, ETIMEDOUT = 110,
	ECONNREFUSED = 111,
	/* inside the kernel only: what to do with the call when a signal interrupted it */
	ERESTARTSYS = 512,    /* again, unless a handler without SA_RESTART runs */
	ERESTARTNOHAND = 514, /* again, unless any handler runs */
	ERESTARTBLOCK = 516   /* go on by restart_syscall(), unless any handler runs */
};

/* ---- files ---- */
enum {
	S_IFMT = 0170000, S_IFIFO = 0010000, S_IFCHR = 0020000, S_IFDIR = 0040000, S_IFBLK = 0060000, S_IFREG = 0100000,
	S_IFLNK = 0120000, S_IFSOCK = 0140000
};
enum {
	O_ACCMODE = 3, O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_EXCL = 0200, O_NOCTTY = 0400,
	O_TRUNC = 01000, O_APPEND = 02000, O_NONBLOCK = 04000, O_DSYNC = 010000, O_DIRECT = 040000, O_LARGEFILE = 0100000, O_DIRECTORY = 0200000,
	O_NOFOLLOW = 0400000, O_CLOEXEC = 02000000, O_PATH = 010000000
};
enum { AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_REMOVEDIR = 0x200, AT_SYMLINK_FOLLOW = 0x400,
       AT_EMPTY_PATH = 0x1000 };
enum { SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4 };
enum { POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 16, POLLNVAL = 32, POLLRDNORM = 64, POLLWRNORM = 256 };

struct linux_statx_time {
	int64_t sec;
	uint32_t nsec;
	int32_t pad;
};
struct linux_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad1;
	uint64_t ino, size, blocks, attributes_mask;
	struct linux_statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare[14];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

struct linux_termios {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[19];
};
_Static_assert(sizeof(struct linux_termios) == 36, "kernel termios");

/* ---- signals ---- */
enum {
	SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGBUS = 7, SIGFPE = 8,
	SIGKILL = 9, SIGSEGV = 11, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18,
	SIGSTOP = 19, SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23, SIGXCPU = 24, SIGXFSZ = 25, SIGWINCH = 28,
	SIGSYS = 31, NSIG = 64
};
enum {
	SA_NOCLDSTOP = 1, SA_NOCLDWAIT = 2, SA_SIGINFO = 4, SA_RESTORER = 0x04000000, SA_ONSTACK = 0x08000000,
	SA_RESTART = 0x10000000, SA_NODEFER = 0x40000000, SA_RESETHAND = (int)0x80000000
};
enum { SIG_DFL = 0, SIG_IGN = 1 };
enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };
enum { SS_ONSTACK = 1, SS_DISABLE = 2, MINSIGSTKSZ = 2048 };
enum {
	SI_USER = 0, SI_KERNEL = 0x80, SI_QUEUE = -1, SI_TKILL = -6,
	ILL_ILLOPN = 2, FPE_INTDIV = 1, FPE_FLTINV = 7, SEGV_MAPERR = 1, SEGV_ACCERR = 2, BUS_ADRALN = 1,
	BUS_ADRERR = 2, TRAP_BRKPT = 1, TRAP_TRACE = 2,
	CLD_EXITED = 1, CLD_KILLED = 2, CLD_STOPPED = 5, CLD_CONTINUED = 6
};

/* What the kernel keeps of an action and of an alternate stack; programs have other layouts (sys/layout.c). */
struct sig_action {
	uword handler, restorer;
	uint32_t flags;
	unsigned long long mask;
};
struct sig_stack {
	uword sp, size;
	uint32_t flags;
};

/* ---- processes ---- */
enum {
	PER_MASK = 0xff,            /* whose system calls: those of Linux alone */
	PER_NO_RANDOM = 0x40000,    /* ADDR_NO_RANDOMIZE */
	PER_PAGE_ZERO = 0x100000,   /* MMAP_PAGE_ZERO */
	PER_BOTTOM_UP = 0x200000,   /* ADDR_COMPAT_LAYOUT */
	PER_3GB = 0x8000000,        /* ADDR_LIMIT_3GB */
	PER_READ_RUNS = 0x400000,   /* READ_IMPLIES_EXEC */
	CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800, CLONE_PIDFD = 0x1000,
	CLONE_PTRACE = 0x2000, CLONE_VFORK = 0x4000,
	CLONE_PARENT = 0x8000, CLONE_THREAD = 0x10000, CLONE_SYSVSEM = 0x40000, CLONE_SETTLS = 0x80000,
	CLONE_PARENT_SETTID = 0x100000, CLONE_CHILD_CLEARTID = 0x200000, CLONE_DETACHED = 0x400000,
	CLONE_UNTRACED = 0x800000, CLONE_CHILD_SETTID = 0x1000000
};
#define CLONE_IO 0x80000000u
#define CLONE_CLEAR_SIGHAND 0x100000000ull
enum { WNOHANG = 1, WUNTRACED = 2, WEXITED = 4, WCONTINUED = 8, WNOWAIT = 0x1000000 };
enum {
	RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE,
	RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO,
	RLIMIT_RTTIME, NR_RLIMITS
};

struct linux_timespec32 {
	int32_t sec, nsec;
};
struct linux_timespec64 {
	int64_t sec;
	int32_t nsec, pad;
};
/* Auxiliary vector (psABI, figure 3-31, and getauxval(3)). */
enum {
	AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_BASE = 7, AT_FLAGS = 8, AT_ENTRY = 9,
	AT_UID = 11, AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_PLATFORM = 15, AT_HWCAP = 16, AT_CLKTCK = 17,
	AT_SECURE = 23, AT_RANDOM = 25, AT_HWCAP2 = 26, AT_EXECFN = 31, AT_MINSIGSTKSZ = 51
};

#endif
