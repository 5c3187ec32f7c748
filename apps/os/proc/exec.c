/* SPDX-License-Identifier: MIT */
/*
 * exec.c - execve: find the program (through "#!" lines) and its interpreter (the dynamic linker), build a complete new
 * space beside the old one, and only then switch. Until the switch any failure leaves the caller as it was.
 */
#include "kmm/vmalloc.h"
#include "proc/elf.h"
#include "sig/sig.h"

enum { MAX_SCRIPTS = 4, HEAD_SIZE = 256, FIRST_ARGS_BYTES = 4096, STACK_EXTRA = 128 << 10, NR_AUX = 20 };
/* execve(2), "Limits on size of arguments and environment". */
enum { MAX_ARGS_BYTES = 6 << 20, LEAST_ARGS_BYTES = 128 << 10, MAX_STRING = 128 << 10 };

/* An executable file: of the program, or of its interpreter. */
struct executable {
	struct elf_file elf;
	struct elf_image image;
	struct inode *inode;
	bool claimed; /* the inode, to run it */
};

struct new_program {
	struct executable main, interp; /* interp.inode: NULL for a program without interpreter */
	struct kmm_mm *mm;
	const char *name; /* as execve() was given it */
	char *path;       /* of main, absolute */
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
		status = copy_in_string(args->data + args->used, at, args->size - args->used, &len);
		more = args->size - args->used + 1; /* if it did not end within what there is */
	} while (status == KMM_EOVERFLOW && more <= MAX_STRING);
	if (status == KMM_EOVERFLOW)
		return -E2BIG;
	if (status != KMM_OK)
		return -EFAULT;
	more = (uint32_t)str_len(args->data + args->used) + 1;
	args->used += more;
	return more > MAX_STRING ? -E2BIG : 0;
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

/* A quarter of the stack's limit is for strings and the pointers to them. */
static int check_size(const struct exec_args *args, const char *path)
{
	uint64_t quarter = current->proc->rlimit[RLIMIT_STACK].soft / 4, limit = MAX_ARGS_BYTES;
	uint64_t pointers = ((uint64_t)(args->argc ? args->argc : 1) + args->envc) * sizeof(void *);

	if (quarter < limit)
		limit = quarter > LEAST_ARGS_BYTES ? quarter : LEAST_ARGS_BYTES;
	return args->used + str_len(path) + 1 + pointers > limit ? -E2BIG : 0;
}

/* ---- finding the program ---- */

/* Takes over the reference on a file that was found. */
static int claim(struct executable *e, struct inode *inode)
{
	int err;

	e->inode = inode;
	if (!is_kind(inode, S_IFREG) || !(inode->mode & 0111))
		return -EACCES;
	err = inode_claim_run(inode);
	e->claimed = err == 0;
	return err;
}

static void forget(struct executable *e)
{
	elf_close(&e->elf);
	if (e->claimed)
		inode_release_run(e->inode);
	inode_put(e->inode);
	*e = (struct executable){ .inode = NULL };
}

/* Absolute path of what a walk found. A made-up directory (/proc/PID/fd) has none: the name as it was given. */
static char *absolute_path(const struct walk_result *where, const char *given)
{
	char *path = os_alloc(PATH_SIZE);
	int len = path ? tree_path(where->dir, path, PATH_SIZE - NAME_SIZE) : -ENOMEM;

	if (len > 0 && !where->must_be_dir)
		x86_snprintf(path + (len > 1 ? len : 0), PATH_SIZE - (size_t)len, "/%s", where->last);
	else if (len == -ENOENT)
		str_copy(path, given, PATH_SIZE);
	return path;
}

static int find_program(const char *path, struct new_program *p)
{
	struct walk_result where;
	int err = walk(current->proc->cwd, path, 0, &where);

	if (err)
		return err;
	p->path = absolute_path(&where, path);
	inode_put(where.dir);
	err = claim(&p->main, where.inode);
	return p->path ? err : -ENOMEM;
}

/* Whatever is wrong with an interpreter is ELIBBAD, once there is one that is not too short. */
static int open_interpreter(struct new_program *p)
{
	struct inode *inode;
	const char *why = NULL;
	int err = walk_inode(current->proc->cwd, p->main.elf.interpreter, 0, &inode);

	if (err == 0)
		err = claim(&p->interp, inode);
	if (err) {
		klog("%s: its interpreter %s: error %d", p->path, p->main.elf.interpreter, -err);
		return err;
	}
	if (inode->file.size < elf_header_size(p->main.elf.is_64))
		return -EIO;
	err = elf_open(inode, &p->interp.elf, &why);
	if (err == 0 && p->interp.elf.is_64 != p->main.elf.is_64)
		why = "an interpreter of another width than its program";
	if (why)
		klog("%s: %s", p->main.elf.interpreter, why);
	return why ? -ELIBBAD : err;
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
	forget(&p->main);
	forget(&p->interp);
	if (p->mm)
		kmm_mm_put(p->mm);
	os_free(p->path);
	p->mm = NULL;
	p->path = NULL;
}

static int open_elf(struct new_program *p)
{
	const char *why = NULL;
	int err = elf_open(p->main.inode, &p->main.elf, &why);

	if (why)
		klog("%s: %s", p->path, why);
	return err || !p->main.elf.interpreter ? err : open_interpreter(p);
}

/* Opens what `path` names, going through scripts. */
static int open_program(const char *path, struct exec_args *args, struct new_program *p)
{
	char head[HEAD_SIZE + 1], *interp, *arg;
	int err = -ENOEXEC;

	for (int depth = 0; depth <= MAX_SCRIPTS; depth++) {
		size_t len = 0;

		err = find_program(path, p);
		if (err == 0)
			err = os_errno(kmm_file_read(&p->main.inode->file, 0, head, HEAD_SIZE, &len));
		if (err)
			return err;
		if (len < 2 || head[0] != '#' || head[1] != '!')
			return open_elf(p);
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

/* Where the strings and bytes lie that the vector points to. */
struct aux_places {
	uword random, name, platform;
};

static void put_aux(struct words *v, const struct new_program *p, const struct aux_places *at)
{
	const struct elf_image *image = &p->main.image;
	const uword aux[NR_AUX][2] = {
		{ AT_HWCAP, x86_cpu_info.features_edx }, { AT_PAGESZ, KMM_PAGE_SIZE }, { AT_CLKTCK, X86_HZ },
		{ AT_PHDR, image->phdr }, { AT_PHENT, image->phentsize }, { AT_PHNUM, image->phnum },
		{ AT_BASE, p->interp.image.base }, { AT_FLAGS, 0 }, { AT_ENTRY, image->entry }, { AT_UID, 0 }, { AT_EUID, 0 },
		{ AT_GID, 0 }, { AT_EGID, 0 }, { AT_SECURE, 0 }, { AT_RANDOM, at->random }, { AT_HWCAP2, 0 },
		{ AT_EXECFN, at->name }, { AT_PLATFORM, at->platform },
		{ AT_MINSIGSTKSZ, sizeof(uword) == 8 && p->main.elf.is_64 ? sig_frame_size64() : sig_frame_size32() },
		{ AT_NULL, 0 },
	};

	for (int i = 0; i < NR_AUX; i++) {
		put(v, aux[i][0]);
		put(v, aux[i][1]);
	}
}

/* argc, argv[], 0, envp[], 0, auxiliary vector: i386 psABI figure 3-29, x86-64 psABI figure 3.9. */
static int push_vectors(struct stack_writer *w, struct new_program *p, const struct exec_args *args,
			const struct aux_places *at)
{
	uword size = (1 + args->argc + 1 + args->envc + 1 + NR_AUX * 2) * w->word;
	char *vectors = kmm_vmalloc(os.k, size, "exec stack");
	struct words v = { vectors, w->word };

	if (!vectors)
		return -ENOMEM;
	put(&v, args->argc);
	p->arg_end = put_pointers(&v, args->data, args->argc, p->arg_start);
	put_pointers(&v, args->data + (p->arg_end - p->arg_start), args->envc, p->arg_end);
	put_aux(&v, p, at);
	w->at &= ~(uword)15;
	w->at -= (16 - size % 16) % 16;
	p->stack_pointer = push(w, vectors, size);
	kmm_vfree(os.k, vectors);
	return w->err;
}

static int build_stack(struct new_program *p, const struct exec_args *args)
{
	const struct elf_file *elf = &p->main.elf;
	uword top = (uword)elf->user_end, words = args->argc + args->envc + 64;
	struct stack_writer w = { .mm = p->mm, .word = elf->is_64 ? 8 : 4, .at = top };
	uint64_t bytes = page_up(args->used + words * w.word + PATH_SIZE) + STACK_EXTRA, zero = 0;
	const char *platform = elf->is_64 ? "x86_64" : "i686";
	struct aux_places at;
	uint8_t random[16];
	enum kmm_status status;

	status = kmm_mm_map_stack(p->mm, kmm_uva(top), bytes, elf->executable_stack);
	if (status != KMM_OK)
		return os_errno(status);
	push(&w, &zero, w.word);
	at.name = push(&w, p->name, str_len(p->name) + 1);
	p->arg_start = push(&w, args->data, args->used);
	at.platform = push(&w, platform, str_len(platform) + 1);
	os_random(random, sizeof(random));
	w.at &= ~(uword)15;
	at.random = push(&w, random, sizeof(random));
	return push_vectors(&w, p, args, &at);
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
	limits->data_hard_bytes = proc->rlimit[RLIMIT_DATA].hard;
}

/* The program, then its interpreter where mmap would put it. */
static int map_program(struct new_program *p)
{
	bool low_heap = p->main.elf.is_dyn && !p->interp.inode;
	int err = elf_map(&p->main.elf, p->mm, &p->main.image);

	if (err)
		return err;
	kmm_mm_set_brk(p->mm, kmm_uva(low_heap ? elf_low_base(p->main.elf.is_64) : p->main.image.brk));
	kmm_mm_set_code(p->mm, kmm_uva(p->main.image.code_start), kmm_uva(p->main.image.code_end));
	kmm_mm_set_data(p->mm, p->main.image.data_end - p->main.image.data_start);
	return p->interp.inode ? elf_map(&p->interp.elf, p->mm, &p->interp.image) : 0;
}

static int build_space(struct new_program *p, const struct exec_args *args)
{
	int err = os_errno(kmm_mm_create(os.k, &p->mm));

	if (err)
		return err;
	set_limits(p->mm, current->proc);
	if (sizeof(uword) == 8 && !p->main.elf.is_64)
		kmm_mm_limits(p->mm)->user_end = p->main.elf.user_end;
	err = map_program(p);
	if (err == 0 && !p->main.elf.is_64)
		err = vdso_map(p->mm);
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

static void install(struct proc *proc, struct new_program *p)
{
	struct kmm_mm *old = proc->mm;
	unsigned depth;

	proc->mm = p->mm;
	space_activate(p->mm);
	if (proc->exe)
		inode_release_run(proc->exe);
	inode_put(proc->exe);
	os_free(proc->exe_path);
	proc->exe = p->main.inode;
	proc->exe_path = p->path;
	proc->arg_start = p->arg_start;
	proc->arg_end = p->arg_end;
	proc->is_64 = p->main.elf.is_64;
	str_copy(proc->comm, str_base(p->name), sizeof(proc->comm));
	proc->has_execed = true;
	proc->caps.effective = proc->caps.permitted = CAPS_ALL; /* user 0 has all again: capabilities(7) */
	p->mm = NULL, p->path = NULL;
	p->main.inode = NULL, p->main.claimed = false; /* passed on */
	if (!old)
		return;
	depth = kernel_lock_drop();
	kmm_mm_put(old);
	kernel_lock_retake(depth);
}

int exec_program(struct x86_frame *frame, const char *path, struct exec_args *args)
{
	struct new_program p = { .name = path };
	struct proc *proc = current->proc;
	int err = check_size(args, path);

	if (err == 0)
		err = open_program(path, args, &p);
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
	install(proc, &p);
	reset_signals(proc);
	fd_close_on_exec(&proc->fds);
	current->clear_child_tid = current->robust_list = 0;
	current->tls = (struct x86_tls){ .desc = { 0 } };
	x86_tls_load(&current->tls);
	x86_fpu_forget(&current->fpu);
	x86_fpu_init(&current->fpu);
	x86_frame_start(frame, p.interp.inode ? p.interp.image.entry : p.main.image.entry, p.stack_pointer, !p.main.elf.is_64);
	forget_program(&p);
	if (proc->vfork_parent) {
		proc->vfork_parent = NULL;
		sched_wake(&proc->vfork_parent);
	}
	return 0;
}
