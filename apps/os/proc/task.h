/* SPDX-License-Identifier: MIT */
/*
 * task.h - processes and their threads, the scheduler, waiting.
 *
 *   struct proc   a process: address space, descriptors, signal actions, children. Lives on as a zombie until its
 *                 parent has waited for it.
 *   struct task   a thread of it: registers, kernel stack, signal mask. Gone when it ends.
 *
 * Process 1 is the kernel itself (the boot context, which also is what runs when nothing else can): it adopts
 * orphans. The first program is process 2, and the machine ends when it ends.
 */
#ifndef OS_PROC_TASK_H
#define OS_PROC_TASK_H

#include "fs/vfs.h"
#include "kmm/reclaim.h"
#include "lock.h"

enum { KERNEL_STACK_ORDER = 1, KERNEL_STACK_SIZE = KMM_PAGE_SIZE << KERNEL_STACK_ORDER };
enum { INIT_PID = 1, FIRST_PID = 2, MAX_PID = 32768 };

typedef unsigned long long sigset; /* bit n-1: signal n */

static inline sigset sig_bit(int sig)
{
	return 1ull << (sig - 1);
}

/* A signal on its way, with what siginfo will say. */
struct pending_signal {
	struct list link;
	int signo, code;
	bool is_fault;               /* addr counts, otherwise pid, status and ticks */
	uint32_t pid, status, ticks; /* of the sender, or of the child it is about */
	uword addr;
};
struct pending {
	sigset set;
	struct list queue;
};

enum { MAX_HELD = 4 };

enum task_state { TASK_RUNNING, TASK_SLEEPING, TASK_BLOCKED /* not by signals */, TASK_STOPPED, TASK_DEAD };

/* Written by the task itself, or under the kernel lock; s: under the sleepers' lock while it does not run. */
struct task {
	struct list run_link;    /* run queue, under its lock */
	struct list sleep_link;  /* s: bucket of sleep_key */
	struct list timer_link;  /* s: tasks with a deadline */
	struct list proc_link;   /* threads of proc */
	struct proc *proc;
	uint32_t tid;
	enum task_state state;   /* s */
	uint32_t switches, sleeps; /* how often it gave its processor up, and of that to sleep */
	uint32_t cpu, allowed;   /* where it runs or ran last; bit per processor where it may */
	bool on_cpu;             /* its stack is in use: see sched.c */
	bool at_rest;            /* waits for its turn to go back to ring 3: holds nothing in the kernel */
	bool resched;            /* its turn is over. Set by its own processor */
	bool notify;             /* look for signals, stop or exit before going back to ring 3. Set by anybody */
	unsigned lock_depth;     /* times it has taken the kernel lock */
	bool stalled;            /* waits for memory; its own */
	bool frozen, in_vfork;   /* stopped as its control group is frozen; waits for its child to exec or end */
	uint32_t over_high;      /* pages it charged to a group beyond what that should have, and did not wait for yet */
	uint32_t oom_victim, oom_rounds; /* whose end it waits for as memory has ended, and how often it looked: oom.c */
	struct kmm_oom_patience patience; /* with pages that are held for the moment: oom.c */
	struct proc *forking;    /* the child that it copies its space for */
	uint32_t core_locks;     /* the core's: which of its sleeping locks the task holds */
	struct x86_context *context;
	char *stack;             /* lowest byte; NULL: the boot context */
	struct x86_tls tls;

	const void *sleep_key;
	uint64_t deadline;       /* ns, 0: none */
	int wake_reason;         /* 0, -EINTR, -ETIMEDOUT */

	sigset blocked, saved_blocked;
	bool restore_blocked;    /* saved_blocked comes back when the handler was set up, or none ran */
	struct pending pending;
	struct sig_stack alt_stack;
	uint32_t personality;    /* PER_ bits */
	bool call_is_64;         /* the convention of that call */
	uint8_t nr_held;         /* files that the call looks at: file_arg() */
	struct open_file *held[MAX_HELD];
	sword call_nr;           /* number of the system call that is running, -1: not in one */
	uint64_t restart_deadline; /* of the sleep that restart_syscall goes on with */
	uword restart_rem;         /* where it reports what is left */
	bool restart_rem64;

	uword fault_address;     /* of its last page fault: the processor's register is anybody's */
	uword clear_child_tid;   /* user address to clear at the end, 0: none */
	uword robust_list;       /* user address of the list of locks to give up at the end, 0: none */
	bool robust_64;          /* its pointers are 64-bit */
	uint32_t ticks;          /* clock ticks that hit this task */
	struct x86_fpu fpu;      /* last: task_new() clears what lies before */
};

/* Where a process is, and what it never lets others do with what it makes. */
struct fs_place {
	uint32_t refs;           /* processes */
	uint32_t umask;
	struct inode *cwd;       /* NULL: of nobody any more */
};

struct sig_actions {
	uint32_t refs;           /* processes */
	struct sig_action of[NSIG];
};

enum proc_state { PROC_ALIVE, PROC_ZOMBIE };

struct proc {
	struct list all_link;    /* every process, by age */
	struct list sibling;     /* in parent->children */
	struct list children;
	struct list tasks;
	struct proc *parent;
	uint32_t pid, pgid, sid, nr_tasks;
	uint32_t ppid;           /* parent->pid, for who asks without the kernel lock */
	enum proc_state state;

	uword vdso;              /* where a 32-bit program has it (sig/vdso.c) */
	bool is_64;              /* which system calls and structures its program uses */
	struct kmm_mm *mm;       /* NULL: kernel, or already ended */
	bool borrows_space;      /* mm is the parent's, until exec */
	struct cgroup *cgroup;   /* of a living process: cgroup.h */
	struct fd_table *fds;        /* these three: shared with other processes, perhaps (share.c) */
	struct fs_place *fs;
	struct sig_actions *actions; /* of a zombie too */
	struct inode *exe;
	char *exe_path;
	struct dir_entry *exe_entry; /* the name it was started by, with a reference; NULL: exe_path is all there is */
	char comm[16];
	uword arg_start, arg_end; /* user addresses of the argument strings */
	struct capabilities { uint64_t effective, permitted, inheritable; } caps; /* bit per capability */
	struct rlimit { uint64_t soft, hard; } rlimit[NR_RLIMITS]; /* OS_UNLIMITED: none */

	struct pending pending;
	bool exiting;            /* all threads are on their way out */
	bool oom_killed;         /* because memory had ended: once is enough */
	int exit_status;         /* as wait4 reports it */
	int exit_signal;         /* sent to the parent at the end, 0: none */
	bool stopped, stop_reported, continued;
	int stop_signal;
	bool has_execed;
	bool freed;              /* proc_free() was called, the memory waits for the holds */
	uint32_t holds;          /* others that look at it and may sleep meanwhile */
	bool exec_waiting;       /* one thread waits for the others to end */

	struct task *vfork_parent; /* waits until exec or exit */
	uint64_t alarm_deadline, alarm_interval; /* ns */
	uint64_t start_ns;
	uint32_t ticks, child_ticks;     /* of ended threads; of waited-for children */
	uint32_t peak_rss_pages, faults, major_faults; /* kept for rusage after the space is gone */
};

#define CAPS_ALL ((1ull << 41) - 1)
#define CAP_IPC_LOCK (1ull << 14)
#define CAP_IPC_OWNER (1ull << 15)
#define CAP_SYS_RAWIO (1ull << 17)
#define CAP_SYS_PTRACE (1ull << 19)
#define CAP_SYS_ADMIN (1ull << 21)
uint32_t rights_of(const struct capabilities *caps); /* capability.c: what they mean to an address space, KMM_MAY_... */
#define OS_UNLIMITED (~(uint64_t)0)

#define current ((struct task *)x86_task())
extern struct list all_procs;
extern struct proc init_proc;

/* ---- sched.c ---- */
void sched_init(void);
void sched_add(struct task *task);  /* a new task becomes runnable */
void sched_started(void);           /* first call of a new task's context */
void sched_yield(void);             /* others first; returns when it is our turn again */
void sched_notify(struct task *task);                    /* sets notify, and makes a running task look */
void sched_set_allowed(struct task *task, uint32_t cpus); /* at least one of the machine's */
__attribute__((noreturn)) void sched_exit_current(void); /* its memory is freed by the next task */
void sched_tick(void);
__attribute__((noreturn)) void sched_idle_loop(void);
__attribute__((noreturn)) void sched_run_idle(void); /* for good: nothing else runs any more */
void leave_if_asked(void);               /* leave.c; called by the idle loop */
void sched_kicked(void);                 /* leave.c; another processor wants us to look */
void space_activate(struct kmm_mm *mm); /* NULL: the kernel's tables only */

/* ---- sleep.c ---- */
/* Runs others until wake(key), and says why it goes on: 0, -EINTR (interruptible and a signal came), -ETIMEDOUT
 * (deadline in ns, 0: none). The caller checks its condition again. Who sleeps gives up the kernel lock meanwhile. */
int sched_sleep(const void *key, bool interruptible, uint64_t deadline);
/* The same for conditions that the kernel lock does not protect: done() is asked when no wake can slip through any more,
 * under a spin lock. SLEEP_DONE: it was true, and the task did not sleep. */
struct sleep {
	const void *key;
	bool interruptible;
	uint64_t deadline;
	bool (*done)(void *arg);
	void *arg;
};
enum { SLEEP_DONE = 1 };
int sched_sleep_on(const struct sleep *sleep);
void sched_wake(const void *key);
void sched_interrupt(struct task *task); /* sched_notify(), and ends an interruptible sleep */
void sched_stop_current(void);           /* until sched_continue() */
void sched_continue(struct task *task);
void port_wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg);
void port_wake(struct kmm_port *port, const void *key);
uint32_t port_owner_id(struct kmm_port *port);
uint32_t *port_thread_locks(struct kmm_port *port);
void port_above_high(struct kmm_port *port, unsigned pages);
struct kmm_mm *port_running_space(struct kmm_port *port);
unsigned port_stall(struct kmm_port *port, enum kmm_stall what);
void port_group_event(struct kmm_port *port);
bool port_group_busy(struct kmm_port *port, struct kmm_group *group); /* sched.c */

/* ---- proc.c ---- */
int proc_init(void);
struct proc *proc_new(struct proc *parent);  /* with a pid, without threads or space */
void proc_free(struct proc *proc);           /* a zombie, or one that never ran */
struct proc *proc_find(uint32_t pid);
/* For who looks at a process by calls that may sleep: proc itself, and its space of now, stay until they are let go. The
 * process may end or exec meanwhile. */
struct kmm_mm *proc_hold(struct proc *proc);
void proc_let_go(struct proc *proc, struct kmm_mm *mm);
struct task *task_find(uint32_t tid);
struct task *task_new(struct proc *proc, uint32_t tid); /* with a stack; its frame is task_frame() */
void task_free(struct task *task);
uint32_t pid_new(void);
static inline struct x86_frame *task_frame(const struct task *task)
{
	return x86_user_frame(task->stack + KERNEL_STACK_SIZE);
}
void task_start(void *arg); /* where a new task's context begins */

/* ---- share.c ---- */
void share_init(void); /* of the kernel itself */
/* What the first program begins with. -ENOMEM: nothing. */
int share_start(struct proc *p, struct inode *cwd);
/* The child's files, place and actions: the parent's with CLONE_FILES, CLONE_FS, CLONE_SIGHAND, else copies. -ENOMEM: nothing. */
int share_or_copy(struct proc *child, struct proc *parent, uint64_t flags);
/* From now on the process, which has one thread, has those of the flags for itself. -ENOMEM: some, perhaps. */
int share_end(struct proc *p, uint64_t flags);
void share_leave(struct proc *p);         /* files and place */
void share_leave_actions(struct proc *p);

/* ---- fork.c, exec.c, exit.c ---- */
struct clone_args {
	uint64_t flags;
	uword pidfd;             /* user address for the descriptor of CLONE_PIDFD */
	uword stack, parent_tid, child_tid, tls; /* user addresses */
	int exit_signal;
};
int proc_clone(const struct x86_frame *frame, const struct clone_args *args);

/* Strings of a new program, back to back with their zeros: argc arguments, then envc variables. */
struct exec_args {
	char *data;
	uint32_t size, used;
	uint32_t argc, envc;
};
int exec_args_add(struct exec_args *args, const char *string, uint32_t len);
int exec_args_add_user(struct exec_args *args, uword at); /* a string of current's space: also -EFAULT */
void exec_args_free(struct exec_args *args);
/* Replaces the program of current's process. On failure nothing has changed. */
int exec_program(struct x86_frame *frame, const char *path, struct exec_args *args);
/* Starts the first program as process FIRST_PID. */
int exec_first(const char *path, struct exec_args *args, const char *input);

__attribute__((noreturn)) void task_exit(void);                /* only this thread */
__attribute__((noreturn)) void proc_exit(int wait_status);     /* the whole process */
void proc_kill_threads(int wait_status);                       /* the others; ours goes on */
/* What rusage says and this kernel knows. */
struct usage {
	uint32_t ticks, max_rss_kib, minor_faults, major_faults;
};
struct wait_request {
	int32_t which;       /* as waitpid's pid */
	uint32_t options;
};
struct wait_result {
	uint32_t pid;
	int status;
	struct usage usage;
};
/* 0 with pid 0: WNOHANG and nothing yet. */
int proc_wait(const struct wait_request *request, struct wait_result *out);
void proc_usage(struct proc *proc, struct usage *out);

/* Is the running system call, or outside of one the program, a 64-bit one? Known at compile time where it cannot. */
static inline bool abi_64(void)
{
	return sizeof(uword) == 8 && current->call_is_64;
}

/* The same of the program itself, which decides about its signal frames. */
static inline bool proc_64(const struct proc *proc)
{
	return sizeof(uword) == 8 && proc->is_64;
}

/* Where the addresses of a 64-bit or 32-bit program end; the stack lies below. */
uint64_t user_end_of(bool is_64);

/* ---- user.c: user memory, always of current's space. 0 or -EFAULT ---- */
int copy_in(void *to, uword from, size_t len);
int copy_out(uword to, const void *from, size_t len);
/* The same up to the first byte that cannot be reached: bytes copied. */
size_t copy_in_some(void *to, uword from, size_t len);
size_t copy_out_some(uword to, const void *from, size_t len);
/* As the core's. */
enum kmm_status copy_in_string(char *to, uword from, size_t size, size_t *len);
/* 0 or -EFAULT. */
int compare_swap(uword at, uint32_t *expected, uint32_t desired, bool *swapped);
/* A path or other string into a fresh buffer of PATH_SIZE: -EFAULT, -ENAMETOOLONG, -ENOMEM. Free with os_free. */
int copy_in_path(uword from, char **out);
/* `long`s, sizes and pointers of a program: 32 or 64 bits each in its memory. At most MAX_WORDS. */
enum { MAX_WORDS = 20 };
int get_words(uword *to, uword from, unsigned count);
int put_words(uword to, const uword *from, unsigned count);
/* One of those words as a signed number. */
static inline sword signed_word(uword w)
{
	return abi_64() ? (sword)w : (sword)(int32_t)w;
}
static inline int put_u32(uword to, uint32_t value)
{
	return copy_out(to, &value, sizeof(value));
}

#endif
