/* SPDX-License-Identifier: MIT */
/*
 * exec.c - execve: find the program (through "#!" lines), build a complete new space beside the old one, and only
 * then switch. Until the switch any failure leaves the caller as it was.
 */
#include "kmm/vmalloc.h"
#include "proc/elf.h"
#include "sig/sig.h"

enum { MAX_SCRIPTS = 4, HEAD_SIZE = 256, FIRST_ARGS_BYTES = 4096,
       MAX_ARGS_BYTES = 2 << 20, STACK_EXTRA = 128 << 10, NR_AUX = 20 };

struct new_program {
	struct elf_file elf;
	struct elf_image image;
	struct kmm_mm *mm;
	struct inode *inode;
	bool claimed; /* the inode, to run it */
	char *path;   /* absolute */
	uword stack_pointer, arg_start, arg_end;
};

/* ---- argument strings ---- */

/* Room for `more` bytes: the buffer doubles up to the limit. */
static int grow(struct exec_args *args, uint32_t more)
{
	uint32_t size = args->size ? args->size : FIRST_ARGS_BYTES;
	char *data;

	if (more > MAX_ARGS_BYTES - args->used)
		return -E2BIG;
	while (size < args->used + more)
		size *= 2;
	if (size == args->size)
		return 0;
	data = kmm_vmalloc(os.k, size, "exec arguments");
	if (!data)
		return -ENOMEM;
	memcpy(data, args->data, args->used);
	kmm_vfree(os.k, args->data);
	args->data = data;
	args->size = size;
	return 0;
}

int exec_args_add(struct exec_args *args, const char *string, uint32_t len)
{
	int err = grow(args, len + 1);

	if (err)
		return err;
	memcpy(args->data + args->used, string, len);
	args->data[args->used + len] = 0;
	args->used += len + 1;
	return 0;
}

int exec_args_add_user(struct exec_args *args, uword at)
{
	uint32_t more = 1;
	enum kmm_status status;

	do {
		size_t len;
		int err = grow(args, more);

		if (err)
			return err;
		status = kmm_copy_in_string(current->proc->mm, args->data + args->used, kmm_uva(at),
					    args->size - args->used, &len);
		more = args->size - args->used + 1; /* if it did not end within what there is */
	} while (status == KMM_EOVERFLOW);
	if (status != KMM_OK)
		return -EFAULT;
	args->used += (uint32_t)str_len(args->data + args->used) + 1;
	return 0;
}

void exec_args_free(struct exec_args *args)
{
	kmm_vfree(os.k, args->data);
	*args = (struct exec_args){ .data = NULL };
}

/* argv[0] of a script becomes: interpreter, its one argument if there is one, path of the script. */
static int replace_argv0(struct exec_args *args, const char *interp, const char *arg, const char *path)
{
	struct exec_args out = { .data = NULL };
	uint32_t skip = args->argc ? (uint32_t)str_len(args->data) + 1 : 0;
	int err = exec_args_add(&out, interp, str_len(interp));

	if (err == 0 && *arg)
		err = exec_args_add(&out, arg, str_len(arg));
	if (err == 0)
		err = exec_args_add(&out, path, str_len(path));
	if (err == 0 && args->used > skip) {
		err = exec_args_add(&out, args->data + skip, args->used - skip - 1);
	}
	if (err) {
		exec_args_free(&out);
		return err;
	}
	out.argc = (args->argc ? args->argc - 1 : 0) + 2 + (*arg != 0);
	out.envc = args->envc;
	exec_args_free(args);
	*args = out;
	return 0;
}

/* ---- finding the program ---- */

static int find_program(const char *path, struct new_program *p)
{
	struct walk_result where;
	int len, err = walk(current->proc->cwd, path, 0, &where);

	if (err)
		return err;
	p->path = os_alloc(PATH_SIZE);
	len = p->path ? tree_path(where.dir, p->path, PATH_SIZE - NAME_SIZE) : -ENOMEM;
	if (len > 0 && !where.must_be_dir)
		x86_snprintf(p->path + (len > 1 ? len : 0), PATH_SIZE - (size_t)len, "/%s", where.last);
	p->inode = where.inode;
	inode_put(where.dir);
	if (len == -ENOENT && p->path) /* a made-up directory: keep the name as it was given */
		str_copy(p->path, path, PATH_SIZE);
	else if (len < 0)
		return len;
	if (!is_kind(p->inode, S_IFREG))
		return -EACCES;
	err = p->inode->mode & 0111 ? inode_claim_run(p->inode) : -EACCES;
	p->claimed = err == 0;
	return err;
}

static char *skip_blanks(char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Splits "#! interpreter argument" in place. false: no interpreter named. */
static bool parse_script_line(char *head, size_t len, char **interp, char **arg)
{
	char *end = head + 2, *p;

	while (end < head + len && *end != '\n' && *end)
		end++;
	*end = 0;
	while (end > head + 2 && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	*interp = p = skip_blanks(head + 2);
	while (*p && *p != ' ' && *p != '\t')
		p++;
	*arg = *p ? skip_blanks(p + 1) : p;
	*p = 0;
	return **interp != 0;
}

static void forget_program(struct new_program *p)
{
	elf_close(&p->elf);
	if (p->mm)
		kmm_mm_put(p->mm);
	if (p->claimed)
		inode_release_run(p->inode);
	inode_put(p->inode);
	os_free(p->path);
	*p = (struct new_program){ .mm = NULL };
}

/* Opens what `path` names, going through scripts. */
static int open_program(const char *path, struct exec_args *args, struct new_program *p)
{
	char head[HEAD_SIZE + 1], *interp, *arg;
	const char *why = NULL;
	int err = -ENOEXEC;

	for (int depth = 0; depth <= MAX_SCRIPTS; depth++) {
		size_t len = 0;

		err = find_program(path, p);
		if (err == 0)
			err = os_errno(kmm_file_read(&p->inode->file, 0, head, HEAD_SIZE, &len));
		if (err)
			return err;
		if (len < 2 || head[0] != '#' || head[1] != '!') {
			err = elf_open(p->inode, &p->elf, &why);
			if (why)
				klog("%s: %s", p->path, why);
			return err;
		}
		if (!parse_script_line(head, len, &interp, &arg))
			return -ENOEXEC;
		err = replace_argv0(args, interp, arg, path);
		if (err)
			return err;
		forget_program(p);
		path = interp; /* in head, which is read only after it was used */
	}
	return -ELOOP;
}

/* ---- the new stack ---- */

struct stack_writer {
	struct kmm_mm *mm;
	unsigned word; /* bytes of a pointer of the program: 4 or 8 */
	uword at;      /* lowest byte written so far */
	int err;
};

static uword push(struct stack_writer *w, const void *bytes, uword len)
{
	w->at -= len;
	if (w->err == 0 && kmm_copy_out(w->mm, kmm_uva(w->at), bytes, len, NULL) != KMM_OK)
		w->err = -EFAULT;
	return w->at;
}

/* The vectors on their way to the stack, in words of the program's size. */
struct words {
	char *at;
	unsigned word;
};

static void put(struct words *v, uword value)
{
	memcpy(v->at, &value, v->word); /* little endian: the low part comes first */
	v->at += v->word;
}

/* Addresses of `count` strings that lie back to back from `at` on, and a 0; returns the address after them. */
static uword put_pointers(struct words *v, const char *strings, uint32_t count, uword at)
{
	for (uint32_t i = 0; i < count; i++) {
		size_t len = str_len(strings) + 1;

		put(v, at);
		at += len;
		strings += len;
	}
	put(v, 0);
	return at;
}

static void put_aux(struct words *v, const struct new_program *p, const uword special[3])
{
	const uword aux[NR_AUX][2] = {
		{ AT_HWCAP, x86_cpu_info.features_edx }, { AT_PAGESZ, KMM_PAGE_SIZE }, { AT_CLKTCK, X86_HZ },
		{ AT_PHDR, p->image.phdr }, { AT_PHENT, p->image.phentsize }, { AT_PHNUM, p->image.phnum },
		{ AT_BASE, 0 }, { AT_FLAGS, 0 }, { AT_ENTRY, p->image.entry }, { AT_UID, 0 }, { AT_EUID, 0 },
		{ AT_GID, 0 }, { AT_EGID, 0 }, { AT_SECURE, 0 }, { AT_RANDOM, special[0] }, { AT_HWCAP2, 0 },
		{ AT_EXECFN, special[1] }, { AT_PLATFORM, special[2] },
		{ AT_MINSIGSTKSZ, sizeof(uword) == 8 && p->elf.is_64 ? sig_frame_size64() : sig_frame_size32() },
		{ AT_NULL, 0 },
	};

	for (int i = 0; i < NR_AUX; i++) {
		put(v, aux[i][0]);
		put(v, aux[i][1]);
	}
}

/* argc, argv[], 0, envp[], 0, auxiliary vector: i386 psABI figure 3-29, x86-64 psABI figure 3.9. */
static int push_vectors(struct stack_writer *w, struct new_program *p, const struct exec_args *args,
			const uword special[3])
{
	uword size = (1 + args->argc + 1 + args->envc + 1 + NR_AUX * 2) * w->word;
	char *vectors = kmm_vmalloc(os.k, size, "exec stack");
	struct words v = { vectors, w->word };

	if (!vectors)
		return -ENOMEM;
	put(&v, args->argc);
	p->arg_end = put_pointers(&v, args->data, args->argc, p->arg_start);
	put_pointers(&v, args->data + (p->arg_end - p->arg_start), args->envc, p->arg_end);
	put_aux(&v, p, special);
	w->at &= ~(uword)15;
	w->at -= (16 - size % 16) % 16;
	p->stack_pointer = push(w, vectors, size);
	kmm_vfree(os.k, vectors);
	return w->err;
}

static int build_stack(struct new_program *p, const struct exec_args *args)
{
	uword top = (uword)p->elf.user_end, words = args->argc + args->envc + 64;
	struct stack_writer w = { .mm = p->mm, .word = p->elf.is_64 ? 8 : 4, .at = top };
	uint64_t bytes = page_up(args->used + words * w.word + PATH_SIZE) + STACK_EXTRA, zero = 0;
	const char *platform = p->elf.is_64 ? "x86_64" : "i686";
	uint8_t random[16];
	uword special[3];
	enum kmm_status status;

	status = kmm_mm_map_stack(p->mm, kmm_uva(top), bytes, p->image.executable_stack);
	if (status != KMM_OK)
		return os_errno(status);
	push(&w, &zero, w.word);
	special[1] = push(&w, p->path, str_len(p->path) + 1);
	p->arg_start = push(&w, args->data, args->used);
	special[2] = push(&w, platform, str_len(platform) + 1);
	os_random(random, sizeof(random));
	w.at &= ~(uword)15;
	special[0] = push(&w, random, sizeof(random));
	return push_vectors(&w, p, args, special);
}

/* ---- the switch ---- */

static void set_limits(struct kmm_mm *mm, const struct proc *proc)
{
	struct kmm_mm_limits *limits = kmm_mm_limits(mm);

	limits->stack_bytes = proc->rlimit[RLIMIT_STACK].soft;
	limits->as_bytes = proc->rlimit[RLIMIT_AS].soft;
	limits->data_bytes = proc->rlimit[RLIMIT_DATA].soft;
	limits->memlock_bytes = proc->rlimit[RLIMIT_MEMLOCK].soft;
	limits->privileged = true; /* everybody is user 0 */
}

static int build_space(struct new_program *p, const struct exec_args *args)
{
	int err = os_errno(kmm_mm_create(os.k, &p->mm));

	if (err)
		return err;
	set_limits(p->mm, current->proc);
	if (sizeof(uword) == 8 && !p->elf.is_64)
		kmm_mm_limits(p->mm)->user_end = p->elf.user_end;
	err = elf_map(&p->elf, p->mm, &p->image);
	if (err)
		return err;
	kmm_mm_set_brk(p->mm, kmm_uva(p->image.brk));
	err = p->elf.is_64 ? 0 : vdso_map(p->mm);
	return err ? err : build_stack(p, args);
}

/* The other threads of the process end before its space goes. */
static int become_only_thread(void)
{
	struct proc *p = current->proc;

	if (p->exiting)
		return -EINTR;
	if (p->nr_tasks > 1) {
		proc_kill_threads(0);
		p->exec_waiting = true;
		while (p->nr_tasks > 1)
			sched_sleep(&p->exec_waiting, false, 0);
		p->exec_waiting = p->exiting = false;
	}
	current->tid = p->pid;
	return 0;
}

static void reset_signals(struct proc *p)
{
	for (int i = 0; i < NSIG; i++) {
		bool ignored = p->action[i].handler == SIG_IGN;

		p->action[i] = (struct sig_action){ .handler = ignored ? SIG_IGN : SIG_DFL };
	}
	current->alt_stack = (struct sig_stack){ .flags = SS_DISABLE };
}

static void install(struct proc *proc, struct new_program *p, const char *name)
{
	struct kmm_mm *old = proc->mm;
	unsigned depth;

	proc->mm = p->mm;
	space_activate(p->mm);
	if (proc->exe)
		inode_release_run(proc->exe);
	inode_put(proc->exe);
	os_free(proc->exe_path);
	proc->exe = p->inode;
	proc->exe_path = p->path;
	proc->arg_start = p->arg_start;
	proc->arg_end = p->arg_end;
	proc->is_64 = p->elf.is_64;
	str_copy(proc->comm, str_base(name), sizeof(proc->comm));
	proc->has_execed = true;
	p->mm = NULL, p->inode = NULL, p->path = NULL;
	if (!old)
		return;
	depth = kernel_lock_drop();
	kmm_mm_put(old);
	kernel_lock_retake(depth);
}

int exec_program(struct x86_frame *frame, const char *path, struct exec_args *args)
{
	struct new_program p = { .mm = NULL };
	struct proc *proc = current->proc;
	int err = open_program(path, args, &p);

	if (err == 0) {
		unsigned depth = kernel_lock_drop(); /* all that it works on is ours */

		err = build_space(&p, args);
		kernel_lock_retake(depth);
	}
	if (err == 0)
		err = become_only_thread();
	if (err) {
		forget_program(&p);
		return err;
	}
	install(proc, &p, path);
	reset_signals(proc);
	fd_close_on_exec(&proc->fds);
	current->clear_child_tid = current->robust_list = 0;
	current->tls = (struct x86_tls){ .desc = { 0 } };
	x86_tls_load(&current->tls);
	x86_fpu_forget(&current->fpu);
	x86_fpu_init(&current->fpu);
	x86_frame_start(frame, p.image.entry, p.stack_pointer, !p.elf.is_64);
	elf_close(&p.elf);
	if (proc->vfork_parent) {
		proc->vfork_parent = NULL;
		sched_wake(&proc->vfork_parent);
	}
	return 0;
}
