/* SPDX-License-Identifier: MIT */
/* cgroupfs.c - /sys/fs/cgroup: directories, and the files that every cgroup has (cgroupfs.h has the story). */
#include "fs/cgroupfs.h"
#include "sig/sig.h"

enum { POS_DIRS = 1000, INO_BASE = 1 << 22 };

static const struct inode_ops dir_ops, file_ops;

static struct cgroup *cgroup_of(const struct inode *dir)
{
	return dir->priv;
}

/* ---- the files of every cgroup ---- */

static void text_procs(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	for (struct proc *p = cgroup_next(cg, NULL, false); p; p = cgroup_next(cg, p, false))
		sink_printf(out, "%u\n", p->pid);
}

static int write_procs(struct cgroup *cg, struct kmm_group *group, char *text)
{
	struct proc *p;
	const char *end;
	uint32_t pid;
	int err;

	(void)group;
	if (!str_to_u32(text, 10, &pid, &end) || *end)
		return -EINVAL;
	cgroup_lock();
	p = pid ? proc_find(pid) : current->proc;
	if (!p)
		err = -ESRCH;
	else if (p == &init_proc)
		err = -EINVAL; /* the kernel itself stays where it is */
	else
		err = cgroup_attach(cg, p);
	cgroup_unlock();
	return err;
}

static void text_threads(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	const struct task *t;

	(void)group;
	for (struct proc *p = cgroup_next(cg, NULL, false); p; p = cgroup_next(cg, p, false))
		list_for_each(t, &p->tasks, proc_link)
			sink_printf(out, "%u\n", t->tid);
}

/* All threads of a process are in its cgroup here, as in Linux's domains: one alone goes nowhere else. */
static int write_threads(struct cgroup *cg, struct kmm_group *group, char *text)
{
	const struct task *t;
	const char *end;
	uint32_t tid;

	(void)group;
	if (!str_to_u32(text, 10, &tid, &end) || *end)
		return -EINVAL;
	t = tid ? task_find(tid) : current;
	if (!t)
		return -ESRCH;
	return t->proc->cgroup == cg ? 0 : -EOPNOTSUPP;
}

static void text_controllers(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	if (!cg->parent || cg->group)
		sink_printf(out, "memory\n");
}

static void text_subtree_control(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	if (cg->enables)
		sink_printf(out, "memory\n");
}

/* Words +NAME and -NAME; the last about a controller counts. */
static int parse_controllers(const char *text, int *enable)
{
	while (*text) {
		size_t len = 0;

		while (text[len] && text[len] != ' ')
			len++;
		if (len && (!str_eq_n(text + 1, len - 1, "memory") || (*text != '+' && *text != '-')))
			return -EINVAL;
		if (len)
			*enable = *text == '+';
		text += len + (text[len] == ' ');
	}
	return 0;
}

static int write_subtree_control(struct cgroup *cg, struct kmm_group *group, char *text)
{
	int enable = -1, err = parse_controllers(text, &enable);

	(void)group;
	if (err || enable < 0)
		return err;
	cgroup_lock();
	err = cgroup_enable(cg, enable);
	cgroup_unlock();
	return err;
}

static void text_events(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	sink_printf(out, "populated %d\nfrozen %d\n", cgroup_next(cg, NULL, true) != NULL, cgroup_is_frozen(cg));
}

static void text_type(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)cg, (void)group;
	sink_printf(out, "domain\n");
}

static void text_stat(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	sink_printf(out, "nr_descendants %u\nnr_dying_descendants 0\n", cgroup_count(cg));
}

/* A number that is not negative. */
static int parse_count(const char *text, uint32_t *value)
{
	bool negative = *text == '-';
	const char *end;

	if (!str_to_u32(text + negative, 10, value, &end) || *end)
		return -EINVAL;
	return (negative && *value) || *value > INT32_MAX ? -ERANGE : 0;
}

static int write_kill(struct cgroup *cg, struct kmm_group *group, char *text)
{
	uint32_t one;
	int err = parse_count(text, &one);

	(void)group;
	if (err)
		return err;
	if (one != 1)
		return -ERANGE;
	for (struct proc *p = cgroup_next(cg, NULL, true); p; p = cgroup_next(cg, p, true))
		sig_send_proc(p, SIGKILL, SI_USER);
	return 0;
}

static void text_freeze(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	sink_printf(out, "%d\n", cg->freeze);
}

static int write_freeze(struct cgroup *cg, struct kmm_group *group, char *text)
{
	uint32_t freeze;
	int err = parse_count(text, &freeze);

	(void)group;
	if (err)
		return err;
	if (freeze > 1)
		return -ERANGE;
	if (cg->freeze != (freeze != 0))
		cgroup_freeze(cg, freeze);
	return 0;
}

static void put_max(struct kmm_sink *out, uint32_t max)
{
	if (max == CGROUP_NO_MAX)
		sink_printf(out, "max\n");
	else
		sink_printf(out, "%u\n", max);
}

static int parse_max(const char *text, uint32_t *max)
{
	uint32_t value = CGROUP_NO_MAX;
	int err = str_eq(text, "max") ? 0 : parse_count(text, &value);

	if (err == 0)
		*max = value;
	return err;
}

static void text_max_below(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	put_max(out, cg->max_below);
}

static int write_max_below(struct cgroup *cg, struct kmm_group *group, char *text)
{
	(void)group;
	return parse_max(text, &cg->max_below);
}

static void text_max_depth(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	put_max(out, cg->max_depth);
}

static int write_max_depth(struct cgroup *cg, struct kmm_group *group, char *text)
{
	(void)group;
	return parse_max(text, &cg->max_depth);
}

static const struct cgroup_file core_files[] = {
	{ "cgroup.controllers", 0444, 0, text_controllers, NULL },
	{ "cgroup.subtree_control", 0644, 0, text_subtree_control, write_subtree_control },
	{ "cgroup.procs", 0644, 0, text_procs, write_procs },
	{ "cgroup.threads", 0644, 0, text_threads, write_threads },
	{ "cgroup.max.descendants", 0644, 0, text_max_below, write_max_below },
	{ "cgroup.max.depth", 0644, 0, text_max_depth, write_max_depth },
	{ "cgroup.stat", 0444, 0, text_stat, NULL },
	{ "cgroup.type", 0444, CG_NOT_ON_ROOT, text_type, NULL },
	{ "cgroup.events", 0444, CG_NOT_ON_ROOT | CG_TELLS, text_events, NULL },
	{ "cgroup.freeze", 0644, CG_NOT_ON_ROOT, text_freeze, write_freeze },
	{ "cgroup.kill", 0200, CG_NOT_ON_ROOT, NULL, write_kill },
	{ .name = NULL },
};

/* ---- which files a cgroup has ---- */

static bool has_file(const struct cgroup *cg, const struct cgroup_file *f)
{
	if (!cg->parent)
		return !(f->flags & (CG_NOT_ON_ROOT | CG_GROUP)) || (f->flags & CG_ALSO_ROOT);
	return !(f->flags & CG_GROUP) || cg->group;
}

/* In the order of listings, by a number that is the same for all cgroups. NULL: no more. */
static const struct cgroup_file *file_number(uint32_t n)
{
	return n < ARRAY_LEN(core_files) - 1 ? &core_files[n] : &cgroup_memory_files[n - (ARRAY_LEN(core_files) - 1)];
}

/* ---- reading and writing ---- */

static const struct cgroup_file *entry_of(const struct inode *inode)
{
	return file_number(inode->fd);
}

/* The cgroup of an open file, if both are still there. *group: to be given back by let_go(). */
static struct cgroup *take(const struct open_file *file, struct kmm_group **group)
{
	struct cgroup *cg = cgroup_of(file->inode->priv);

	*group = NULL;
	if (cg->dead || !has_file(cg, entry_of(file->inode)))
		return NULL;
	if (entry_of(file->inode)->flags & CG_GROUP)
		*group = cgroup_use(cg);
	return cg;
}

static void let_go(struct cgroup *cg, struct kmm_group *group)
{
	if (group)
		cgroup_unuse(cg);
}

struct source {
	const struct cgroup_file *file;
	struct cgroup *cg;
	struct kmm_group *group;
};

static void fill(void *arg, struct kmm_sink *out)
{
	struct source *source = arg;

	source->file->text(source->cg, source->group, out);
}

static int make_text(struct open_file *file)
{
	struct source source = { .file = entry_of(file->inode) };
	int err;

	source.cg = take(file, &source.group);
	if (!source.cg)
		return -ENODEV;
	err = text_file_make(file, fill, &source);
	let_go(source.cg, source.group);
	return err;
}

static int text_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	int err = 0;

	if (!entry_of(file->inode)->text)
		return -EINVAL;
	if (*pos == 0 || !file->priv)
		err = make_text(file);
	return err ? err : text_file_read(file, to, len, pos, nonblock);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *strip(char *text)
{
	size_t len;

	while (is_blank(*text))
		text++;
	for (len = str_len(text); len && is_blank(text[len - 1]); len--)
		text[len - 1] = 0;
	return text;
}

static int text_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	struct kmm_group *group;
	struct cgroup *cg = take(file, &group);
	char text[TEXT_FILE_LINE];
	int err;

	(void)nonblock;
	if (!cg)
		return -ENODEV;
	err = entry_of(file->inode)->write ? text_file_line(text, from, len) : -EINVAL;
	if (err == 0)
		err = entry_of(file->inode)->write(cg, group, strip(text));
	let_go(cg, group);
	if (err)
		return err;
	*pos += len;
	return (int)len;
}

static const struct file_ops text_file_ops = {
	.read = text_read, .write = text_write, .release = text_file_release, .seekable = true,
};

/* As Linux's kernfs: always readable and writable, and what has changed, or gone, is an error, too. */
static unsigned told_poll(struct open_file *file)
{
	const unsigned changed = POLLERR | POLLPRI;
	struct source source = { .file = entry_of(file->inode) };
	unsigned bits = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

	source.cg = take(file, &source.group);
	if (!source.cg)
		return bits | changed;
	if (text_file_has_changed(file, fill, &source))
		bits |= changed;
	let_go(source.cg, source.group);
	return bits;
}

static const struct file_ops told_file_ops = {
	.read = text_read, .write = text_write, .poll = told_poll, .release = text_file_release, .seekable = true,
};

static int file_opened(struct inode *inode, struct open_file *file)
{
	file->ops = entry_of(inode)->flags & CG_TELLS ? &told_file_ops : &text_file_ops;
	return cgroup_of(inode->priv)->dead ? -ENODEV : 0;
}

static void file_gone(struct inode *inode)
{
	inode_put(inode->priv);
}

static const struct inode_ops file_ops = { .open = file_opened, .release = file_gone, .magic = CGROUP2_MAGIC };

/* ---- directories ---- */

static int dir_lookup(struct inode *dir, const char *name, struct inode **out)
{
	const struct cgroup_file *f;
	struct inode *inode;
	uint32_t n = 0;

	while ((f = file_number(n))->name && !(str_eq(f->name, name) && has_file(cgroup_of(dir), f)))
		n++;
	if (!f->name || cgroup_of(dir)->dead)
		return -ENOENT;
	inode = inode_new(S_IFREG | f->mode);
	if (!inode)
		return -ENOMEM;
	inode->nlink = 1;
	inode->fd = n;
	inode->priv = dir;
	inode_get(dir);
	inode->ops = &file_ops;
	*out = inode;
	return 0;
}

static bool dir_list(struct inode *dir, uint64_t pos, struct listing *out)
{
	const struct cgroup_file *f;

	for (; pos < POS_DIRS && (f = file_number((uint32_t)pos))->name; pos++) {
		if (cgroup_of(dir)->dead || !has_file(cgroup_of(dir), f))
			continue;
		str_copy(out->name, f->name, sizeof(out->name));
		out->mode = S_IFREG | f->mode;
		out->ino = INO_BASE + (uint32_t)pos;
		out->next = pos + 1;
		return true;
	}
	if (!tree_list(dir, pos > POS_DIRS ? pos - POS_DIRS : 0, out))
		return false;
	out->next += POS_DIRS;
	return true;
}

static int make_dir(struct inode *parent, const char *name, struct inode **out)
{
	struct inode *dir = inode_new(S_IFDIR | 0755);
	int err;

	if (!dir)
		return -ENOMEM;
	dir->ops = &dir_ops;
	cgroup_lock();
	err = cgroup_make(cgroup_of(parent), name, dir);
	cgroup_unlock();
	if (err || !out)
		inode_put(dir);
	else
		*out = dir;
	return err;
}

static int dir_mkdir(struct inode *dir, const char *name)
{
	for (const char *c = name; *c; c++)
		if (*c == '\n')
			return -EINVAL;
	return make_dir(dir, name, NULL);
}

static int dir_rmdir(struct inode *dir)
{
	int err;

	if (!cgroup_of(dir)->parent)
		return -EBUSY;
	cgroup_lock();
	err = cgroup_remove(cgroup_of(dir));
	cgroup_unlock();
	return err;
}

/* The root is never gone. */
static void dir_gone(struct inode *dir)
{
	os_free(dir->priv);
}

static const struct inode_ops dir_ops = {
	.lookup = dir_lookup, .list = dir_list, .mkdir = dir_mkdir, .rmdir = dir_rmdir, .release = dir_gone, .magic = CGROUP2_MAGIC,
};

/* ---- the beginning ---- */

static int no_lookup(struct inode *dir, const char *name, struct inode **out)
{
	(void)dir, (void)name, (void)out;
	return -ENOENT;
}

/* /sys/fs, where nobody makes anything. */
static const struct inode_ops fs_ops = { .lookup = no_lookup, .list = tree_list, .magic = SYSFS_MAGIC };

static int add_dir(struct inode *parent, const char *name, const struct inode_ops *ops, struct inode **out)
{
	int err;

	*out = inode_new(S_IFDIR | 0755);
	if (!*out)
		return -ENOMEM;
	(*out)->ops = ops;
	err = tree_add(parent, name, *out);
	inode_put(*out);
	return err;
}

int cgroup_fs_init(void)
{
	struct inode *fs, *root;
	int err = add_dir(tree_find(fs_root, "sys", 3), "fs", &fs_ops, &fs);

	if (err == 0)
		err = add_dir(fs, "cgroup", &dir_ops, &root);
	if (err)
		return err;
	root->priv = &cgroup_root;
	cgroup_root.dir = root;
	return 0;
}

struct cgroup *cgroup_fs_make_limited(const char *name, kmm_word max, kmm_word high)
{
	struct inode *dir = NULL;
	struct cgroup *cg;

	cgroup_lock();
	if (cgroup_enable(&cgroup_root, true) != 0) {
		cgroup_unlock();
		return NULL;
	}
	cgroup_unlock();
	if (make_dir(cgroup_root.dir, name, &dir) != 0)
		return NULL;
	cg = cgroup_of(dir);
	inode_put(dir); /* it has a name */
	kmm_group_set(cg->group, KMM_GROUP_MAX, max);
	kmm_group_set(cg->group, KMM_GROUP_HIGH, high);
	return cg;
}
