/* SPDX-License-Identifier: MIT */
/*
 * sys.h - system calls. A handler gets the six argument registers in order and returns a
 * result or a negative errno. User memory is touched only by copy_in() and copy_out(). The registers themselves, for
 * the few calls that change them, are task_frame(current).
 */
#ifndef OS_SYS_SYS_H
#define OS_SYS_SYS_H

#include "proc/task.h"

#define OS_SYSNAME "Linux" /* what programs look for; the release says what it really is */
#define OS_NODENAME "kmm"
#define OS_RELEASE "6.1.0-kmm"
#define OS_MACHINE (sizeof(uword) == 8 ? "x86_64" : "i686")
#define OS_VERSION "#1 libkmm reference kernel"

enum { MAX_RW = 0x7ffff000 };

/* INT 80h and SYSCALL: the whole of a system call, from the port's entry back to it. */
void syscall_enter(struct x86_frame *frame);

#define SYS(number, name) sword sys_##name(const uword *a);
#define SYS_FILES SYS
#define SYS_FREE SYS
#include "sys/list32.h"
#include "sys/list64.h"
#undef SYS
#undef SYS_FILES
#undef SYS_FREE

/* ---- shared by handlers ---- */
/* memfd.c: F_GET_SEALS and F_ADD_SEALS. */
sword file_get_seals(const struct open_file *file);
sword file_add_seals(const struct open_file *file, uint32_t seals);
/* The file of a descriptor, which stays until the call ends whatever other threads do; NULL: none. Not in calls marked SYS_FREE. */
struct open_file *file_arg(uint32_t fd);
/* The directory a relative path starts from. -EBADF, -ENOTDIR. No reference. */
int start_dir(int32_t dirfd, struct inode **out);
/* Path from user memory, then the inode behind it with a reference. flags: WALK_ bits. */
/* The pieces of memory that readv and its like are given, all read before any is used. errors: -EINVAL (too many, a negative
 * length), -ENOMEM, -EFAULT. */
enum { NR_FEW_VEC = 8 };
struct vec {
	uword at, len;
};
struct vec_list {
	struct vec *vec;
	uint32_t nr;
	struct vec few[NR_FEW_VEC];
};
/* mem.c: rights that a mapping gets when these are asked for. */
unsigned prot_of(unsigned prot);
/* direct.c: an opening of a disk with O_DIRECT, and what read() and write() do with it. */
bool is_direct(const struct open_file *file);
sword direct_io(struct open_file *file, uword at, uint32_t len, uint64_t *pos, bool write);
int vec_import(uword from, uword nr, struct vec_list *list);
void vec_drop(struct vec_list *list);
int user_walk(int32_t dirfd, uword path, unsigned flags, struct walk_result *out);
int user_inode(int32_t dirfd, uword path, unsigned flags, struct inode **out);
/* Absolute path of what a walk found, kmalloc; NULL: none. */
char *path_of(const struct walk_result *where);

/* poll.c: the mask of ppoll() and its like, in user memory (0: none), holds while they wait; a handler that runs sees it
 * undone afterwards. Every wait ends with finish_mask(result). */
int set_temporary_mask(uword at);
sword finish_mask(int32_t result);

/* time.c */
/* A relative timeout at a user address (0: none, for ever) to a deadline of sched_sleep(). 64: the new layout. */
int user_deadline(uword at, bool is64, uint64_t *deadline);
void timers_tick(void);

/* layout.c: structures that i386 and x86-64 programs lay out differently */
int put_siginfo(uword to, const struct pending_signal *info);
/* A new descriptor of the running process for a process, or an errno. */
int pidfd_new(const struct proc *p, uint32_t flags);
int put_rusage(uword to, const struct usage *usage);

/* futex.c */
void futex_wake_all(uword addr);
/* The locks in a thread's robust list (set_robust_list(2)) lose their owner. */
void futex_give_up(uword head, bool is_64);

#endif
