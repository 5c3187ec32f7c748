/* SPDX-License-Identifier: MIT */
/*
 * exec.c - execve: find the program (through "#!" lines) and its interpreter (the dynamic linker), build a complete new
 * space beside the old one, and only then switch. Until the switch any failure leaves the caller as it was.
 */
#include "kmm/vmalloc.h"
#include "proc/cgroup.h"
#include "proc/layout.h"
#include "sig/sig.h"

enum { MAX_SCRIPTS = 4, HEAD_SIZE = 256, FIRST_ARGS_BYTES = 4096, STACK_EXTRA = 128 << 10, NR_AUX = 20 };
/* execve(2), "Limits on size of arguments and environment". */
enum { MAX_ARGS_BYTES = 6 << 20, LEAST_ARGS_BYTES = 128 << 10, MAX_STRING = 128 << 10 };

/* An executable file: of the program, or of its interpreter. */
struct executable {
	struct elf_file elf;
	struct elf_image image;
	struct inode *inode;
	struct dir_entry *entry;     /* with a reference, as the others; NULL: there is none */
	struct kmm_opening *opening; /* what its mappings have in common */
	bool claimed; /* the inode, to run it */
};

struct new_program {
	struct executable main, interp; /* interp.inode: NULL for a program without interpreter */
	struct kmm_mm *mm;
	const char *name; /* as execve() was given it */
	char *path;       /* of main, absolute */
	uword stack_pointer, arg_start, arg_end, vdso;
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

/* What the strings take at the top of the stack, behind an empty word, in whole pages. */
static uint64_t string_bytes(const struct exec_args *args, const char *path, unsigned word)
{
	return page_up(word + str_len(path) + 1 + args->used);
}

/* A quarter of the stack's limit is for strings and the pointers to them; and all strings but for the first page are within the
 * limit, of a word of the kernel's, as Linux puts them there before it knows the program. */
static int check_size(const struct exec_args *args, const char *path)
{
	uint64_t strings = string_bytes(args, path, sizeof(uword));
	uint64_t quarter = current->proc->rlimit[RLIMIT_STACK].soft / 4, limit = MAX_ARGS_BYTES;
	uint64_t pointers = ((uint64_t)(args->argc ? args->argc : 1) + args->envc) * sizeof(void *);

	if (quarter < limit)
		limit = quarter > LEAST_ARGS_BYTES ? quarter : LEAST_ARGS_BYTES;
	if (strings > KMM_PAGE_SIZE && strings > current->proc->rlimit[RLIMIT_STACK].soft)
		return -E2BIG;
	return args->used + str_len(path) + 1 + pointers > limit ? -E2BIG : 0;
}

/* ---- finding the program ---- */

/* Takes over the reference on the file that was found. */
static int claim(struct executable *e, const struct walk_result *where)
{
	struct inode *inode = where->inode;
	int err;

	e->inode = inode;
	e->entry = entry_found(where);
	e->opening = opening_new(inode, e->entry);
	if (!e->opening)
		return -ENOMEM;
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
	entry_put(e->entry);
	if (e->opening)
		kmm_opening_put(e->opening);
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
	int err = walk(current->proc->fs->cwd, path, 0, &where);

	if (err)
		return err;
	p->path = absolute_path(&where, path);
	err = claim(&p->main, &where);
	inode_put(where.dir);
	return p->path ? err : -ENOMEM;
}

/* Whatever is wrong with an interpreter is ELIBBAD, once there is one that is not too short. */
static int open_interpreter(struct new_program *p)
{
	const char *why = NULL;
	struct walk_result where;
	int err = walk(current->proc->fs->cwd, p->main.elf.interpreter, 0, &where);

	if (err == 0) {
		err = claim(&p->interp, &where);
		inode_put(where.dir);
	}
	if (err) {
		klog("%s: its interpreter %s: error %d", p->path, p->main.elf.interpreter, -err);
		return err;
	}
	if (p->interp.inode->file.size < elf_header_size(p->main.elf.is_64))
		return -EIO;
	err = elf_open(p->interp.inode, &p->interp.elf, &why);
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
		if (err == 0)
			err = check_size(args, p->name);
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
		w->err = kmm_mm_oom_group(w->mm) ? -ENOMEM : -EFAULT;
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
		{ AT_MINSIGSTKSZ, sizeof(uword) == 8 && p->main.elf.is_64 ? sig_frame_size64() : sig_frame_size32() },
		{ AT_HWCAP, x86_cpu_info.features_edx }, { AT_PAGESZ, KMM_PAGE_SIZE }, { AT_CLKTCK, X86_HZ },
		{ AT_PHDR, image->phdr }, { AT_PHENT, image->phentsize }, { AT_PHNUM, image->phnum },
		{ AT_BASE, p->interp.image.base }, { AT_FLAGS, 0 }, { AT_ENTRY, image->entry }, { AT_UID, 0 }, { AT_EUID, 0 },
		{ AT_GID, 0 }, { AT_EGID, 0 }, { AT_SECURE, 0 }, { AT_RANDOM, at->random }, { AT_HWCAP2, 0 },
		{ AT_EXECFN, at->name }, { AT_PLATFORM, at->platform }, { AT_NULL, 0 },
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

/* What the strings take and a little more, as far as the limit allows; the rest grows. */
static uint64_t stack_bytes(uint64_t strings)
{
	uint64_t limit = current->proc->rlimit[RLIMIT_STACK].soft & ~(uint64_t)(KMM_PAGE_SIZE - 1);

	if (strings + STACK_EXTRA <= limit)
		return strings + STACK_EXTRA;
	return limit > strings ? limit : strings;
}

static int build_stack(struct new_program *p, const struct exec_args *args)
{
	const struct elf_file *elf = &p->main.elf;
	uword top = layout_stack_top(elf);
	struct stack_writer w = { .mm = p->mm, .word = elf->is_64 ? 8 : 4, .at = top };
	uint64_t bytes = stack_bytes(string_bytes(args, p->name, w.word)), zero = 0;
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
	w.at = layout_stack_pointer(w.at);
	at.platform = push(&w, platform, str_len(platform) + 1);
	os_random(random, sizeof(random));
	w.at &= ~(uword)15;
	at.random = push(&w, random, sizeof(random));
	return push_vectors(&w, p, args, &at);
}

/* ---- the switch ---- */

/* The program, then its interpreter where mmap would put it. 32-bit programs keep what was said by personality(). */
static int map_program(struct new_program *p)
{
	bool reads_run = p->main.elf.reads_run || (!p->main.elf.is_64 && (current->personality & PER_READ_RUNS));
	bool low_heap = p->main.elf.is_dyn && !p->interp.inode;
	uword low;
	int err;

	p->main.elf.reads_run = p->interp.elf.reads_run = reads_run;
	p->main.elf.opening = p->main.opening;
	p->interp.elf.opening = p->interp.opening;
	err = elf_map(&p->main.elf, p->mm, &p->main.image);
	if (err)
		return err;
	low = low_heap ? elf_low_base(p->main.elf.is_64) : p->main.image.brk;
	kmm_mm_set_brk(p->mm, kmm_uva(layout_break(low, p->main.elf.is_64)));
	kmm_mm_set_code(p->mm, kmm_uva(p->main.image.code_start), kmm_uva(p->main.image.code_end));
	kmm_mm_set_data(p->mm, p->main.image.data_end - p->main.image.data_start);
	return p->interp.inode ? elf_map(&p->interp.elf, p->mm, &p->interp.image) : 0;
}

/* For programs of a Unix where NULL could be read. Whether it succeeds or not, as on Linux. */
static void map_page_zero(struct kmm_mm *mm)
{
	const unsigned flags = KMM_MAP_PRIVATE | KMM_MAP_FIXED | KMM_MAP_ANONYMOUS;
	struct kmm_uva at;

	if (kmm_mmap(mm, kmm_uva(0), KMM_PAGE_SIZE, KMM_PROT_READ | KMM_PROT_EXEC, flags, NULL, 0, &at) != KMM_OK)
		klog("page 0 could not be mapped");
}

static int build_space(struct new_program *p, const struct exec_args *args)
{
	int err = os_errno(kmm_mm_create(os.k, &p->mm));

	if (err)
		return err;
	kernel_lock();
	err = cgroup_join(p->mm, current->proc);
	kernel_unlock();
	if (err)
		return err;
	layout_set_limits(p->mm);
	if (sizeof(uword) == 8 && !p->main.elf.is_64)
		kmm_mm_limits(p->mm)->user_end = p->main.elf.user_end;
	err = map_program(p);
	if (err == 0 && !p->main.elf.is_64)
		err = vdso_map(p->mm, &p->vdso);
	if (err == 0)
		err = build_stack(p, args);
	if (err == 0 && (current->personality & PER_PAGE_ZERO))
		map_page_zero(p->mm);
	return err;
}

/* The other threads of the process end before its space goes, and no other process has its files and actions any more. */
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
	return share_end(p, CLONE_FILES | CLONE_SIGHAND);
}

static void install(struct proc *proc, struct new_program *p)
{
	struct kmm_mm *old = proc->mm;
	unsigned depth;

	proc->mm = p->mm;
	proc->borrows_space = false;
	space_activate(p->mm);
	if (proc->exe)
		inode_release_run(proc->exe);
	inode_put(proc->exe);
	os_free(proc->exe_path);
	entry_put(proc->exe_entry);
	proc->exe_entry = p->main.entry;
	proc->exe = p->main.inode;
	proc->exe_path = p->path;
	proc->arg_start = p->arg_start;
	proc->arg_end = p->arg_end;
	proc->is_64 = p->main.elf.is_64;
	proc->vdso = p->vdso;
	current->personality &= ~(uint32_t)(PER_READ_RUNS | (sizeof(uword) == 4 ? PER_MASK : 0));
	current->personality |= p->main.elf.reads_run ? PER_READ_RUNS : 0;
	str_copy(proc->comm, str_base(p->name), sizeof(proc->comm));
	proc->has_execed = true;
	proc->caps.effective = proc->caps.permitted = CAPS_ALL; /* user 0 has all again: capabilities(7) */
	p->mm = NULL, p->path = NULL;
	p->main.inode = NULL, p->main.entry = NULL, p->main.claimed = false; /* passed on */
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
		if (err == -EFAULT) { /* a stack too small for what lies on it: Linux finds out when it cannot go back any more */
			proc_kill_threads(SIGSEGV);
			current->notify = true;
		}
	}
	if (err == 0)
		err = become_only_thread();
	if (err == 0)
		err = cgroup_join(p.mm, proc); /* it may have been moved meanwhile */
	if (err) {
		forget_program(&p);
		return err;
	}
	install(proc, &p);
	sig_reset_actions(proc->actions);
	current->alt_stack = (struct sig_stack){ .flags = SS_DISABLE };
	fd_close_on_exec(proc->fds);
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
