/* SPDX-License-Identifier: MIT */
/*
 * share.c - what processes may share without being threads of one: descriptors, working directory with umask, and signal actions
 * (clone(2): CLONE_FILES, CLONE_FS, CLONE_SIGHAND). Each counts the processes that have it; the last one frees it.
 *
 * Under the kernel lock. Threads of one process always share all three.
 */
#include "proc/task.h"

/* What who has ended has: nothing. Never freed, never written. */
static struct fd_table no_files = { .lock = SPIN_OF(SPIN_FDS) };
static struct fs_place no_place = { .refs = 1, .umask = 022 };
static struct sig_actions kernel_actions = { .refs = 1 };

void share_init(void)
{
	init_proc.fds = &no_files;
	init_proc.fs = &no_place;
	init_proc.actions = &kernel_actions;
}

static void leave_files(struct fd_table *files)
{
	if (files == &no_files || --files->refs)
		return;
	fd_table_clear(files);
	os_free(files);
}

static void leave_place(struct fs_place *fs)
{
	if (fs == &no_place || --fs->refs)
		return;
	inode_put(fs->cwd);
	os_free(fs);
}

void share_leave(struct proc *p)
{
	struct fd_table *files = p->fds;
	struct fs_place *fs = p->fs;

	p->fds = &no_files;
	p->fs = &no_place;
	leave_files(files);
	leave_place(fs);
}

void share_leave_actions(struct proc *p)
{
	struct sig_actions *actions = p->actions;

	p->actions = &kernel_actions;
	if (actions != &kernel_actions && --actions->refs == 0)
		os_free(actions);
}

/* ---- copies, with one reference ---- */

static struct fd_table *copy_files(struct fd_table *from)
{
	struct fd_table *files = os_alloc(sizeof(*files));

	if (files && fd_table_copy(files, from) != 0) {
		fd_table_clear(files);
		os_free(files);
		return NULL;
	}
	return files;
}

static struct fs_place *copy_place(const struct fs_place *from)
{
	struct fs_place *fs = os_alloc(sizeof(*fs));

	if (!fs)
		return NULL;
	*fs = (struct fs_place){ .refs = 1, .umask = from->umask, .cwd = from->cwd };
	if (fs->cwd) /* the kernel's own has none */
		inode_get(fs->cwd);
	return fs;
}

static struct sig_actions *copy_actions(const struct sig_actions *from)
{
	struct sig_actions *actions = os_alloc(sizeof(*actions));

	if (!actions)
		return NULL;
	*actions = *from;
	actions->refs = 1;
	return actions;
}

int share_or_copy(struct proc *child, struct proc *parent, uint64_t flags)
{
	struct fd_table *files = flags & CLONE_FILES ? parent->fds : copy_files(parent->fds);
	struct fs_place *fs = flags & CLONE_FS ? parent->fs : copy_place(parent->fs);
	struct sig_actions *actions = flags & CLONE_SIGHAND ? parent->actions : copy_actions(parent->actions);

	if (files && (flags & CLONE_FILES))
		files->refs++;
	if (fs && (flags & CLONE_FS))
		fs->refs++;
	if (actions && (flags & CLONE_SIGHAND))
		actions->refs++;
	child->fds = files ? files : &no_files;
	child->fs = fs ? fs : &no_place;
	child->actions = actions ? actions : &kernel_actions;
	if (files && fs && actions)
		return 0;
	share_leave(child);
	share_leave_actions(child);
	return -ENOMEM;
}

int share_start(struct proc *p, struct inode *cwd)
{
	int err = share_or_copy(p, &init_proc, 0);

	if (err)
		return err;
	p->fs->cwd = cwd;
	inode_get(cwd);
	return 0;
}

int share_end(struct proc *p, uint64_t flags)
{
	struct fd_table *files = (flags & CLONE_FILES) && p->fds->refs > 1 ? copy_files(p->fds) : p->fds;
	struct fs_place *fs = (flags & CLONE_FS) && p->fs->refs > 1 ? copy_place(p->fs) : p->fs;
	struct sig_actions *actions = (flags & CLONE_SIGHAND) && p->actions->refs > 1 ? copy_actions(p->actions) : p->actions;

	if (files && files != p->fds) {
		leave_files(p->fds);
		p->fds = files;
	}
	if (fs && fs != p->fs) {
		leave_place(p->fs);
		p->fs = fs;
	}
	if (actions && actions != p->actions) {
		share_leave_actions(p);
		p->actions = actions;
	}
	return files && fs && actions ? 0 : -ENOMEM;
}
