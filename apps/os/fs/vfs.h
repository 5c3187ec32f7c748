/* SPDX-License-Identifier: MIT */
/*
 * vfs.h - names, inodes and open files.
 *
 *   fd ---> struct open_file (offset, flags) ---> struct inode (kind, mode, times) ---> pages of a struct kmm_file
 *
 * One tree, in memory. A directory holds a reference on each child; an open file, a working directory and a mapping
 * hold one each. Directories with `ops` (all of them in /proc) make up their entries when asked.
 * References of a regular file are those of its kmm_backing, so a mapping keeps a deleted file's pages.
 */
#ifndef OS_FS_VFS_H
#define OS_FS_VFS_H

#include "kmm/backing.h"
#include "lock.h"
#include "os.h"

enum { PATH_SIZE = 4096, NAME_SIZE = 256, MAX_SYMLINKS = 40 };

struct inode;
struct open_file;

/* A name in a directory (entry.c). Kernel lock; refs: atomic. */
struct dir_entry {
	struct list link;     /* in dir's entries */
	struct inode *dir, *inode; /* NULL: the name is gone */
	uint32_t refs;        /* the directory's while it is there, those of who came by it */
	uint32_t cookie;      /* position for getdents64, grows */
	char *name;           /* the last part */
	char *gone;           /* the path it had when it went */
};

/* One line of a directory listing. */
struct listing {
	char name[NAME_SIZE];
	uint32_t ino, mode;
	uint64_t next; /* position after it */
};

#define SYSFS_MAGIC 0x62656572u
#define CGROUP2_MAGIC 0x63677270u

struct inode_ops {
	/* Entry of a made-up directory, with a reference. NULL result: -ENOENT. */
	int (*lookup)(struct inode *dir, const char *name, struct inode **out);
	/* First entry at or after position pos (from 0, without "." and ".."). false: no more. */
	bool (*list)(struct inode *dir, uint64_t pos, struct listing *out);
	/* Target of a symbolic link into buf; returns its length or an error. NULL: inode.target. */
	int (*readlink)(struct inode *inode, char *buf, size_t size);
	/* A link that leads to an inode by itself instead of by name, with a reference. */
	int (*follow)(struct inode *inode, struct inode **out);
	int (*open)(struct inode *inode, struct open_file *file);
	void (*release)(struct inode *inode); /* the last reference is gone; frees what the inode owns */
	/* Directories below a made-up one, made and removed by hand. NULL: -EPERM. */
	int (*mkdir)(struct inode *dir, const char *name);
	int (*rmdir)(struct inode *dir); /* the one to go */
	uint32_t magic; /* statfs's; 0: /proc's */
};

struct inode {
	struct kmm_file file; /* first; content of regular files. backing.refs counts references of every kind */
	uint32_t ino, mode, uid, gid, nlink;
	uint32_t rdev; /* major << 8 | minor of a device */
	struct spin lock;      /* SPIN_INODE: protects what is marked i. All else: the kernel lock */
	uint32_t nr_locks;     /* atomic: advisory locks (locks.c) */
	struct sleep_lock content; /* one write or truncation at a time; reads need no lock */
	int32_t writers;       /* i: who may change the content now; negative: processes that run it, and then nobody may */
	int64_t atime, mtime, ctime; /* i: ns since 1970 */
	const struct inode_ops *ops;
	void *priv;            /* for ops: /proc entries, pipes */
	uint32_t pid, fd;      /* /proc: whose entry this is */
	const char *source;    /* regular: content of the first source_size bytes that have never been changed */
	uint64_t source_size;
	char *target;          /* symbolic link: where to; a removed directory: the path it had, or NULL */
	/* directory */
	struct list entries;
	struct inode *parent;  /* no reference: a directory with children cannot go. NULL: root or removed */
	char *name;            /* own name, for getcwd */
	uint32_t next_cookie;
};

/* Called by the functions file_...() only: with the kernel lock, or without any if own_locks. */
struct file_ops {
	/* Bytes done, 0 at the end, or an error. nonblock: -EAGAIN instead of sleeping. */
	int (*read)(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock);
	/* NULL, or: what read() gave, if it gave anything, is gone only when this says how much of it arrived. No other
	 * reader gets anything in between. */
	void (*arrived)(struct open_file *file, size_t len);
	int (*write)(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock);
	/* POLL bits that are true now. NULL: always readable and writable. */
	unsigned (*poll)(struct open_file *file);
	int (*ioctl)(struct open_file *file, uint32_t request, uword arg);
	void (*release)(struct open_file *file); /* always without the kernel lock */
	bool seekable;
	bool own_locks;
	bool message; /* a call is one read or write of at most MAX_MESSAGE bytes, however long it asks for */
};
enum { MAX_MESSAGE = 1 << 16 };

struct open_file {
	const struct file_ops *ops;
	struct inode *inode;
	struct dir_entry *entry; /* the name it was opened by, with a reference; NULL: the tree has none */
	char *path;      /* then what /proc/PID/fd shows. May be NULL */
	uint32_t refs;   /* atomic */
	struct kmm_opening *opening; /* file_opening() */
	uint32_t flags;  /* O_ACCMODE, O_APPEND, O_NONBLOCK, O_DIRECTORY...; those that change, change atomically */
	struct sleep_lock pos_lock;
	uint64_t pos;    /* pos_lock */
	uint32_t seen_errors; /* of writing back, that this opening has heard of */
	bool sees_frames; /* of a /proc file: whoever opened it may */
	bool watched;    /* some epoll set may have it */
	void *priv;      /* pipe, text of a /proc file */
	size_t priv_size;
};

/* ---- inode.c ---- */
struct inode *inode_new(uint32_t mode);
void inode_get(struct inode *inode);
void inode_put(struct inode *inode);
static inline bool is_kind(const struct inode *inode, uint32_t kind)
{
	return (inode->mode & S_IFMT) == kind;
}
/* The content is, until it is changed, what lies at `source`. */
void inode_set_source(struct inode *inode, const char *source, uint64_t size);
int inode_set_size(struct inode *inode, uint64_t size);
/* Bytes start to end become zeros, whole pages of them free; the size stays. */
int inode_punch(struct inode *inode, uint64_t start, uint64_t end);
/* Memory for bytes start to end, as far as the file goes; without keep_size it goes as far as that. -ENOSPC. */
int inode_allocate(struct inode *inode, uint64_t start, uint64_t end, bool keep_size);
/* A program that runs is not written to, and a file that is written to does not run: -ETXTBSY. Each claim is given back. */
int inode_claim_write(struct inode *inode);
void inode_release_write(struct inode *inode);
int inode_claim_run(struct inode *inode);
void inode_release_run(struct inode *inode);
void inode_touch(struct inode *inode);         /* changed now */
void inode_touch_attributes(struct inode *inode);
struct inode_times {
	int64_t atime, mtime, ctime;
};
struct inode_times inode_times(struct inode *inode);
void inode_set_times(struct inode *inode, int64_t atime, int64_t mtime); /* negative: stays; ctime becomes now */

/* ---- tree.c: directories in memory ---- */
extern struct inode *fs_root;
int tree_init(void);
struct dir_entry *tree_entry(struct inode *dir, const char *name, size_t len); /* no reference; NULL: none */
struct inode *tree_find(struct inode *dir, const char *name, size_t len); /* no reference; NULL: none */
int tree_add(struct inode *dir, const char *name, struct inode *child);   /* takes its own reference */
int tree_remove(struct inode *dir, const char *name);
/* Names that came by it know the new one. What has that name already is removed. -ENOMEM: nothing has changed. */
int tree_rename(struct inode *dir, const char *name, struct inode *to, const char *new_name);
bool tree_is_below(const struct inode *dir, const struct inode *ancestor);
bool tree_list(struct inode *dir, uint64_t pos, struct listing *out);
/* Absolute path of a directory. -ENOENT: it was removed; -ERANGE. Otherwise the length without the 0. */
int tree_path(struct inode *dir, char *buf, size_t size);

/* ---- walk.c: names to inodes ---- */
enum {
	WALK_NOFOLLOW = 1,
	WALK_PARENT = 2,    /* the last part need not exist */
	/* openat2(2): -ELOOP for any link, for those that lead by themselves; -EXDEV for leaving the start, other file systems */
	WALK_NO_LINKS = 4, WALK_NO_MAGIC = 8, WALK_BENEATH = 16, WALK_NO_XDEV = 32,
	WALK_IN_ROOT = 64   /* the start is what "/" means */
};
struct walk_result {
	struct inode *dir;   /* directory of the last part, with a reference */
	struct inode *inode; /* with a reference; NULL with WALK_PARENT: not there */
	char last[NAME_SIZE];
	bool must_be_dir;    /* a '/' at the end */
};
int walk(struct inode *from, const char *path, unsigned flags, struct walk_result *out);
void walk_done(struct walk_result *result);
/* Only the inode, with a reference. */
int walk_inode(struct inode *from, const char *path, unsigned flags, struct inode **out);

/* ---- entry.c: names after they were looked up ---- */
void entry_get(struct dir_entry *e);
void entry_put(struct dir_entry *e);
/* The entry that a walk came by, with a reference; NULL: it was another way. */
struct dir_entry *entry_found(const struct walk_result *where);
void entry_forget(struct dir_entry *e); /* it leaves the tree, in which it still is */
/* The path, with " (deleted)" if it is gone. */
void entry_put_path(const struct dir_entry *e, struct kmm_sink *out);
int entry_path(const struct dir_entry *e, char *buf, size_t size); /* its length; -ENAMETOOLONG */
/* What mappings know an opening by, with a reference; NULL: no memory. inode, entry: may be NULL. */
struct kmm_opening *opening_new(const struct inode *inode, struct dir_entry *entry);
/* That of a file, which keeps the reference. NULL: no memory. */
struct kmm_opening *file_opening(struct open_file *file);

/* ---- file.c: open files and descriptors ---- */
int file_open(struct inode *inode, uint32_t flags, struct open_file **out);
struct open_file *file_new(const struct file_ops *ops, struct inode *inode, uint32_t flags);
/* A file that no directory has. path: what /proc/PID/fd shows. */
int file_anonymous(const struct file_ops *ops, const char *path, uint32_t flags, struct open_file **out);
void file_get(struct open_file *file);
void file_put(struct open_file *file);
int file_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock);
int file_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock);
/* After a read that gave something: how much of that arrived. */
void file_arrived(struct open_file *file, size_t len);
unsigned file_poll(struct open_file *file);
int file_ioctl(struct open_file *file, uint32_t request, uword arg);
void file_change_flags(struct open_file *file, uint32_t which, uint32_t to);
/* One call at a time uses the position of a file that has one: two that share it get or put different bytes. */
void file_pos_lock(struct open_file *file);
void file_pos_unlock(struct open_file *file);
static inline bool file_can_read(const struct open_file *f)
{
	return (f->flags & O_ACCMODE) != O_WRONLY && !(f->flags & O_PATH);
}
static inline bool file_can_write(const struct open_file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY && !(f->flags & O_PATH);
}

/* Has its last name gone? Reports say so, as Linux does of the name that something was opened by. */
static inline bool inode_is_removed(const struct inode *inode)
{
	return __atomic_load_n(&inode->file.removed, __ATOMIC_RELAXED);
}
static inline void inode_set_removed(struct inode *inode, bool removed)
{
	__atomic_store_n(&inode->file.removed, removed, __ATOMIC_RELAXED);
}

/* Of a process, or of several (proc/share.c); threads and who looks into /proc use it at the same time. */
struct fd_table {
	uint32_t refs;    /* kernel lock: processes */
	struct spin lock; /* SPIN_FDS: all of it */
	struct fd_slot {
		struct open_file *file;
		bool cloexec;
	} *slot;
	uint32_t size;
};
/* to gets one reference. -ENOMEM: it is to be cleared. */
int fd_table_copy(struct fd_table *to, struct fd_table *from);
void fd_table_clear(struct fd_table *table);
void fd_close_on_exec(struct fd_table *table);
/* Lowest free number >= from, below limit; takes over the caller's reference on success. */
int fd_install(struct fd_table *table, struct open_file *file, uword from, uint32_t limit, bool cloexec);
/* The file of a descriptor with a reference; NULL: -EBADF. */
struct open_file *fd_get(struct fd_table *table, uint32_t fd);
/* The lowest descriptor in use from `fd` on; table->size: none. */
uint32_t fd_next(struct fd_table *table, uint32_t fd);
int fd_close(struct fd_table *table, uint32_t fd);
/* 0 or 1, or -EBADF. */
int fd_cloexec(struct fd_table *table, uint32_t fd);
int fd_set_cloexec(struct fd_table *table, uint32_t fd, bool cloexec);
/* Puts file (taking over the reference) at exactly fd, closing what was there. */
int fd_replace(struct fd_table *table, struct open_file *file, uint32_t fd, uint32_t limit, bool cloexec);

/* ---- textfile.c: open files that show text which the kernel makes ---- */
enum { TEXT_FILE_LINE = 256 };
/* What fill writes, which is asked twice, is what the file shows from now on. -ENOMEM: it is as before. */
int text_file_make(struct open_file *file, void (*fill)(void *arg, struct kmm_sink *out), void *arg);
/* Would it be another text? Of at most 512 bytes; true of what was never made. */
bool text_file_has_changed(const struct open_file *file, void (*fill)(void *arg, struct kmm_sink *out), void *arg);
/* For file_ops. */
int text_file_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock);
void text_file_release(struct open_file *file);
/* What is written, with a 0 behind it. -EINVAL: too long. */
int text_file_line(char line[TEXT_FILE_LINE], const void *from, size_t len);

/* ---- the others ---- */
int cpio_unpack(const char *archive, uint32_t size, const char **why);
int dev_init(void);
const struct file_ops *dev_ops(uint32_t rdev);
int proc_fs_init(void);
int pipe_create(struct open_file *ends[2], uint32_t flags);
int pipe_open_fifo(struct inode *inode, struct open_file *file);
extern const struct file_ops tty_ops, regular_ops, directory_ops;

/* block.c: block devices. size: bytes, 0: the machine has none of that name. false: no more of them. */
extern const struct file_ops block_ops;
int block_open(struct open_file *file);
struct kmm_backing *block_backing(const struct open_file *file); /* NULL: its device is gone */
void blocks_forget(void); /* clean pages of all of them, in which nobody is interested now */
int block_sync(struct open_file *file, uint64_t first, uint64_t nr); /* pages */
bool block_device(unsigned n, const char **name, uint32_t *rdev, uint64_t *size);

/* tty.c: called at every console interrupt and tick. */
void tty_poll(void);
void tty_set_foreground(uint32_t pgid);

/* eventfd.c. flags: O_NONBLOCK or 0. */
int eventfd_create(uint32_t value, bool semaphore, uint32_t flags, struct open_file **out);

/* poll() and its like look at files, and if there is nothing sleep until some file became readable or writable since
 * they began to look. */
void poll_changed(void);
uint32_t poll_begin(void);
/* As sched_sleep(); begun: what poll_begin() said. */
int poll_wait(uint32_t begun, uint64_t deadline);
/* Looks until there is something, or an error: what look() says then. 0: the time is over; -EINTR: a signal. deadline 0: for
 * ever. */
sword poll_until(sword (*look)(void *arg), void *arg, uint64_t deadline);

#endif
