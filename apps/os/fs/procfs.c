/* SPDX-License-Identifier: MIT */
/*
 * procfs.c - the trees of /proc and (sysfs.c) /sys: constant tables, one directory per process, one link per open descriptor. A process
 * that ends while its entries are open leaves inodes whose reading says ESRCH.
 */
#include "fs/procfs.h"

enum { POS_SELF = 900, POS_TREE = 900, POS_PIDS = 1000, FD_INO_BASE = 1 << 20 };

static const struct inode_ops table_ops, link_ops, text_ops, root_ops, fd_dir_ops, fd_link_ops;
static const struct proc_entry self_entry = { .name = "self", .mode = S_IFLNK | 0777 };
static const struct proc_entry fd_link_entry = { .name = "", .mode = S_IFLNK | 0700 };
static const struct proc_entry root_entry = { .name = "proc", .mode = S_IFDIR | 0555,
					      .children = proc_system_entries };
static const struct proc_entry pid_entry = { .name = "", .mode = S_IFDIR | 0555, .children = proc_pid_entries };

static const struct proc_entry *entry_of(const struct inode *inode)
{
	return inode->priv;
}

static struct proc *proc_of(const struct inode *inode)
{
	struct proc *p = inode->pid ? proc_find(inode->pid) : current->proc;

	return p && p->state == PROC_ALIVE ? p : NULL;
}

static const struct inode_ops *ops_for(const struct proc_entry *e)
{
	if ((e->mode & S_IFMT) == S_IFLNK)
		return &link_ops;
	if ((e->mode & S_IFMT) == S_IFREG)
		return &text_ops;
	return str_eq(e->name, "fd") ? &fd_dir_ops : &table_ops;
}

static int make(struct inode *dir, const struct proc_entry *e, uint32_t pid, const struct inode_ops *ops,
		const char *name, struct inode **out)
{
	struct inode *inode = inode_new(e->mode);

	if (!inode)
		return -ENOMEM;
	inode->priv = (void *)e;
	inode->pid = pid;
	inode->ops = ops;
	inode->nlink = 1;
	if (is_kind(inode, S_IFDIR)) {
		inode->parent = dir;
		inode->name = os_strdup(name);
	}
	*out = inode;
	return 0;
}

static const struct proc_entry *children_of(const struct inode *dir)
{
	const struct proc_entry *e = entry_of(dir);

	return e->children_here ? e->children_here() : e->children;
}

static int table_lookup(struct inode *dir, const char *name, struct inode **out)
{
	for (const struct proc_entry *e = children_of(dir); e->name; e++)
		if (str_eq(e->name, name))
			return make(dir, e, dir->pid, ops_for(e), name, out);
	return -ENOENT;
}

static bool table_list(struct inode *dir, uint64_t pos, struct listing *out)
{
	const struct proc_entry *e = children_of(dir);

	for (uint64_t i = 0; e->name; i++, e++) {
		if (i < pos)
			continue;
		str_copy(out->name, e->name, sizeof(out->name));
		out->mode = e->mode;
		out->ino = (uint32_t)i + 1;
		out->next = i + 1;
		return true;
	}
	return false;
}

static const struct inode_ops table_ops = { .lookup = table_lookup, .list = table_list };

/* /sys: what its table has, and directories of the tree. */
static bool sys_list(struct inode *dir, uint64_t pos, struct listing *out)
{
	if (pos < POS_TREE && table_list(dir, pos, out))
		return true;
	if (!tree_list(dir, pos > POS_TREE ? pos - POS_TREE : 0, out))
		return false;
	out->next += POS_TREE;
	return true;
}

static const struct inode_ops sys_ops = { .lookup = table_lookup, .list = sys_list, .magic = SYSFS_MAGIC };

/* ---- /proc itself ---- */

static int root_lookup(struct inode *dir, const char *name, struct inode **out)
{
	const char *end;
	uint32_t pid;

	if (str_eq(name, "self"))
		return make(dir, &self_entry, 0, &link_ops, name, out);
	if (str_to_u32(name, 10, &pid, &end) && *end == 0 && pid && proc_find(pid))
		return make(dir, &pid_entry, pid, &table_ops, name, out);
	return table_lookup(dir, name, out);
}

/* Processes in the order of their numbers, after the fixed entries. */
static bool list_pids(uint64_t pos, struct listing *out)
{
	struct proc *p, *best = NULL;
	uint32_t from = pos > POS_PIDS ? (uint32_t)(pos - POS_PIDS) : 0;

	list_for_each(p, &all_procs, all_link)
		if (p->pid >= from && (!best || p->pid < best->pid))
			best = p;
	if (!best)
		return false;
	x86_snprintf(out->name, sizeof(out->name), "%u", best->pid);
	out->mode = S_IFDIR;
	out->ino = best->pid + POS_PIDS;
	out->next = POS_PIDS + best->pid + 1;
	return true;
}

static bool root_list(struct inode *dir, uint64_t pos, struct listing *out)
{
	if (table_list(dir, pos, out))
		return true;
	if (pos <= POS_SELF) {
		*out = (struct listing){ .name = "self", .ino = POS_SELF, .mode = S_IFLNK, .next = POS_SELF + 1 };
		return true;
	}
	return list_pids(pos, out);
}

static const struct inode_ops root_ops = { .lookup = root_lookup, .list = root_list };

/* ---- /proc/PID/fd ---- */

static int fd_lookup(struct inode *dir, const char *name, struct inode **out)
{
	struct proc *p = proc_of(dir);
	const char *end;
	uint32_t fd;
	int err;

	if (!p || !str_to_u32(name, 10, &fd, &end) || *end || fd_cloexec(p->fds, fd) < 0)
		return -ENOENT;
	err = make(dir, &fd_link_entry, dir->pid, &fd_link_ops, name, out);
	if (err == 0)
		(*out)->fd = fd;
	return err;
}

static bool fd_list(struct inode *dir, uint64_t pos, struct listing *out)
{
	struct proc *p = proc_of(dir);
	uint32_t fd = p ? fd_next(p->fds, (uint32_t)pos) : 0;

	if (!p || fd >= p->fds->size)
		return false;
	x86_snprintf(out->name, sizeof(out->name), "%u", fd);
	out->mode = S_IFLNK;
	out->ino = FD_INO_BASE + fd;
	out->next = fd + 1;
	return true;
}

/* With a reference. */
static struct open_file *fd_target(struct inode *link)
{
	struct proc *p = proc_of(link);

	return p ? fd_get(p->fds, link->fd) : NULL;
}

static int fd_readlink(struct inode *link, char *buf, size_t size)
{
	struct open_file *file = fd_target(link);
	int len;

	if (!file)
		return -ENOENT;
	if (file->entry)
		len = entry_path(file->entry, buf, size);
	else if (file->path)
		len = x86_snprintf(buf, size, "%s%s", file->path, inode_is_removed(file->inode) ? " (deleted)" : "");
	else
		len = x86_snprintf(buf, size, "%s:[%u]", is_kind(file->inode, S_IFIFO) ? "pipe" : is_kind(file->inode, S_IFSOCK) ? "socket" : "file",
				   file->inode->ino);
	file_put(file);
	return len >= (int)size ? -ENAMETOOLONG : len;
}

static int fd_follow(struct inode *link, struct inode **out)
{
	struct open_file *file = fd_target(link);

	if (!file)
		return -ENOENT;
	*out = file->inode;
	inode_get(*out);
	file_put(file);
	return 0;
}

static const struct inode_ops fd_dir_ops = { .lookup = fd_lookup, .list = fd_list };
static const struct inode_ops fd_link_ops = { .readlink = fd_readlink, .follow = fd_follow };

/* ---- links ---- */

static int link_readlink(struct inode *inode, char *buf, size_t size)
{
	struct proc *p = proc_of(inode);

	if (!p)
		return -ENOENT;
	if (entry_of(inode) == &self_entry)
		return x86_snprintf(buf, size, "%u", p->pid);
	return entry_of(inode)->readlink(p, buf, size);
}

static int link_follow(struct inode *inode, struct inode **out)
{
	struct proc *p = proc_of(inode);
	char pid[12];

	if (!p)
		return -ENOENT;
	if (entry_of(inode) != &self_entry)
		return entry_of(inode)->follow(p, out);
	x86_snprintf(pid, sizeof(pid), "%u", p->pid);
	return root_lookup(tree_find(fs_root, "proc", 4), pid, out);
}

static const struct inode_ops link_ops = { .readlink = link_readlink, .follow = link_follow };

/* ---- text ---- */

static int write_of(const struct inode *inode, const char *line)
{
	struct proc *p = proc_of(inode);

	return p ? entry_of(inode)->write_of(p, line) : -ESRCH;
}

static int text_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	const struct proc_entry *e = entry_of(file->inode);
	char line[TEXT_FILE_LINE];
	int err;

	(void)nonblock;
	if (!e->write && !e->write_of)
		return -EACCES;
	if (e->most && len > e->most)
		len = e->most;
	err = text_file_line(line, from, len);
	if (err)
		return err;
	err = e->write ? e->write(line) : write_of(file->inode, line);
	if (err)
		return err;
	*pos += len;
	return (int)len;
}

static const struct file_ops text_file_ops = {
	.read = text_file_read, .write = text_write, .release = text_file_release, .seekable = true,
}; /* not own_locks: what is written to changes the kernel */

/* ---- words by frame number ---- */

/* Frames are for who had CAP_SYS_ADMIN when opening. */
static void read_pages(const struct open_file *file, uint64_t first, kmm_word nr, struct kmm_sink *out)
{
	struct proc *p = proc_of(file->inode);
	struct kmm_mm *mm;

	if (!p)
		return;
	mm = proc_hold(p);
	if (mm)
		entry_of(file->inode)->pages(mm, first, nr, file->sees_frames, out);
	proc_let_go(p, mm);
}

/* As Linux: positions and lengths are whole words; what lies beyond memory is the end of the file. */
static int words_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	uint64_t first = *pos / sizeof(uint64_t);
	struct text t;

	(void)nonblock;
	if ((*pos | len) % sizeof(uint64_t))
		return -EINVAL;
	text_init(&t, to, len);
	if (entry_of(file->inode)->pages)
		read_pages(file, first, len / sizeof(uint64_t), &t.sink);
	else if (first <= (kmm_word)-1) /* frames above 4 GiB too, on 32-bit machines */
		entry_of(file->inode)->words(os.k, kmm_pfn((kmm_word)first), len / sizeof(uint64_t), &t.sink);
	*pos += t.len;
	return (int)t.len;
}

static const struct file_ops words_file_ops = { .read = words_read, .seekable = true };

/* Linux's rule for who has the same user: one may look at oneself, and at who may do no more. */
static bool may_look(const struct proc *p)
{
	const struct proc *self = current->proc;

	return p == self || (p->mm && p->mm == self->mm) || (self->caps.effective & CAP_SYS_PTRACE) ||
	       !(p->caps.permitted & ~self->caps.effective);
}

struct source {
	const struct proc_entry *entry;
	struct proc *proc;
};

static void fill(void *arg, struct kmm_sink *out)
{
	struct source *source = arg;

	source->entry->text(source->proc, out);
}

static int text_open(struct inode *inode, struct open_file *file)
{
	const struct proc_entry *e = entry_of(inode);
	struct proc *p = proc_of(inode);
	struct kmm_mm *mm;
	int err;

	if (!p)
		return -ESRCH;
	if (e->guarded && !may_look(p))
		return -EACCES;
	file->sees_frames = current->proc->caps.effective & CAP_SYS_ADMIN;
	file->ops = e->words || e->pages ? &words_file_ops : &text_file_ops;
	if (!file_can_read(file) || !e->text)
		return 0;
	mm = proc_hold(p);
	err = text_file_make(file, fill, &(struct source){ e, p });
	proc_let_go(p, mm);
	return err;
}

static const struct inode_ops text_ops = { .open = text_open };

/* What the initrd has of that name is hidden, as by a mount: its content stays. */
static void hide(const char *name)
{
	struct inode *old = tree_find(fs_root, name, str_len(name));

	if (!old)
		return;
	inode_get(old);
	if (tree_remove(fs_root, name) != 0)
		x86_panic("a name of the root has gone while it was looked at");
}

static int add_root(const struct proc_entry *e, const struct inode_ops *ops)
{
	struct inode *root = inode_new(e->mode);
	int err;

	if (!root)
		return -ENOMEM;
	root->priv = (void *)e;
	root->ops = ops;
	hide(e->name);
	err = tree_add(fs_root, e->name, root);
	inode_put(root);
	return err;
}

int proc_fs_init(void)
{
	int err = add_root(&root_entry, &root_ops);

	return err ? err : add_root(&sysfs_root, &sys_ops);
}
