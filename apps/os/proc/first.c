/* SPDX-License-Identifier: MIT */
/* first.c - the first program: process 2, leader of its session, with the console (or a file) as standard files. */
#include "fs/cgroupfs.h"
#include "proc/task.h"

static struct {
	const char *path, *input;
	struct exec_args *args;
} first;

static int open_standard(const char *path, uint32_t flags)
{
	struct proc *p = current->proc;
	struct open_file *file;
	struct inode *inode;
	int err = walk_inode(fs_root, path, 0, &inode);

	if (err)
		return err;
	err = file_open(inode, flags, &file);
	inode_put(inode);
	if (err)
		return err;
	file->path = os_strdup(path);
	err = fd_install(p->fds, file, 0, 3, false);
	if (err < 0)
		file_put(file);
	return err < 0 ? err : 0;
}

static const char *exec_error(int err)
{
	switch (-err) {
	case ENOENT: return "the program is not in the initrd";
	case EACCES: return "the program's file is not executable";
	case ENOEXEC: return "the program's file is not a program this kernel runs";
	case ENOMEM: return "the program does not fit into memory";
	case EPERM: return "the program wants addresses below the lowest that may be mapped";
	default: return "the program cannot be started";
	}
}

static kmm_word limit_of(const char *text)
{
	kmm_word pages = KMM_GROUP_NO_LIMIT;

	if (text && !cgroup_parse_size(text, &pages))
		os_leave(OS_EXIT_INPUT, "memory_max=N, memory_high=N: not a number of bytes");
	return pages;
}

static void limit_memory(void)
{
	kmm_word max = limit_of(os.options.memory_max), high = limit_of(os.options.memory_high);
	struct cgroup *cg;

	if (!os.options.memory_max && !os.options.memory_high)
		return;
	cg = cgroup_fs_make_limited("run", max, high);
	if (!cg)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for a group");
	current->proc->cgroup = cg;
}

/* Runs as process FIRST_PID. */
static void start(void *arg)
{
	int err;

	sched_started();
	current->at_rest = false;
	kernel_lock();
	limit_memory();
	err = open_standard(first.input ? first.input : "/dev/console", O_RDWR);

	(void)arg;
	if (err)
		os_leave(OS_EXIT_INPUT, "the file for standard input is not in the initrd");
	if (open_standard("/dev/console", O_RDWR) != 0 || open_standard("/dev/console", O_RDWR) != 0)
		os_leave(OS_EXIT_BROKEN, "the console cannot be opened");
	err = exec_program(task_frame(current), first.path, first.args);
	if (err) {
		klog("%s: error %d", first.path, -err);
		os_leave(OS_EXIT_INPUT, exec_error(err));
	}
	exec_args_free(first.args);
	kernel_unlock();
	x86_return_to_user(task_frame(current));
}

int exec_first(const char *path, struct exec_args *args, const char *input)
{
	struct proc *p = proc_new(&init_proc);
	struct task *t = p ? task_new(p, p->pid) : NULL;

	if (!t || share_start(p, fs_root) != 0)
		return -ENOMEM;
	first.path = path;
	first.input = input;
	first.args = args;
	tty_set_foreground(p->pgid);
	t->context = x86_context_make(task_frame(t), start, NULL);
	sched_add(t);
	return 0;
}
