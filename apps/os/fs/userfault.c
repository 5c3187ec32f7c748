/* SPDX-License-Identifier: MIT */
/*
 * userfault.c - descriptors by which a program resolves faults of its own memory (userfaultfd(2)), over kmm/userfault.h.
 *
 *	a fault     puts a waiter, which lies on its stack, into the list and sleeps; in the list it stays until it goes on
 *	an event    (a fork, memory moved, dropped, unmapped) waits the same way in a list of its own, until it was told of
 *	read()      tells of the oldest waiter that was not yet told of, or else of the oldest event
 *	ioctl()     provides pages, and wakes the waiters whose addresses lie in them
 *	close()     forgets the areas and wakes all, whose accesses are then ordinary ones
 *
 * All under the kernel lock, which who sleeps gives up. Each waiter has a reference, so the descriptor's own part may go first.
 * Missing pages are told of and, on 64-bit kernels as on Linux, writes to pages and pages of shared memory that are not mapped.
 * A fork's event makes the reader a descriptor for the child's memory, which watches there from the beginning.
 */
#include "fs/userfault.h"
#include "kmm/userfault.h"
#include "proc/task.h"
#include "sig/sig.h"

bool userfault_for_all;

/* Of linux/userfaultfd.h. */
#define UFFD_API 0xaaull
enum {
	FEATURE_WRITES = 1 << 0, FEATURE_FORK = 1 << 1, FEATURE_REMAP = 1 << 2, FEATURE_REMOVE = 1 << 3, FEATURE_UNMAP = 1 << 6,
	FEATURE_MISSING_HUGETLBFS = 1 << 4, FEATURE_MINOR_HUGETLBFS = 1 << 9, FEATURE_WRITES_SHMEM = 1 << 12,
	FEATURE_MISSING_SHMEM = 1 << 5, FEATURE_SIGBUS = 1 << 7, FEATURE_THREAD_ID = 1 << 8, FEATURE_MINOR_SHMEM = 1 << 10,
	FEATURE_EXACT_ADDRESS = 1 << 11,
	FEATURES_OF_64 = FEATURE_WRITES | FEATURE_WRITES_SHMEM | FEATURE_MINOR_SHMEM | FEATURE_MINOR_HUGETLBFS,
	FEATURES = FEATURE_FORK | FEATURE_REMAP | FEATURE_REMOVE | FEATURE_UNMAP | FEATURE_MISSING_SHMEM |
		   FEATURE_MISSING_HUGETLBFS | FEATURE_SIGBUS | FEATURE_THREAD_ID | FEATURE_EXACT_ADDRESS |
		   (sizeof(uword) == 8 ? FEATURES_OF_64 : 0)
};
enum { NR_REGISTER, NR_UNREGISTER, NR_WAKE, NR_COPY, NR_ZEROPAGE, NR_WRITEPROTECT = 6, NR_CONTINUE = 7, NR_API = 0x3f };
enum { MODES = KMM_USERFAULT_MISSING | (sizeof(uword) == 8 ? KMM_USERFAULT_MINOR | KMM_USERFAULT_WRITES : 0) };
enum { DONT_WAKE = 1, COPY_WATCHED = 2, FLAG_WRITE = 1, FLAG_WATCHED = 2, FLAG_MINOR = 4 };
#define UFFDIO_API 0xc018aa3fu
#define UFFDIO_REGISTER 0xc020aa00u
#define UFFDIO_UNREGISTER 0x8010aa01u
#define UFFDIO_WAKE 0x8010aa02u
#define UFFDIO_COPY 0xc028aa03u
#define UFFDIO_ZEROPAGE 0xc020aa04u
#define UFFDIO_WRITEPROTECT 0xc018aa06u
#define UFFDIO_CONTINUE 0xc020aa07u

enum { EVENT_PAGEFAULT = 0x12, EVENT_FORK, EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP };

struct message {
	uint8_t event, reserved[7];
	uint64_t a, b, c; /* a fault: flags, address, thread; FORK: descriptor; REMAP: from, to, length; others: start, end */
};
_Static_assert(sizeof(struct message) == 32, "struct uffd_msg");

struct range {
	uint64_t start, len;
};

struct userfault {
	struct kmm_userfault core; /* first */
	uint32_t pid;            /* of whose memory it is about, and that space, compared only: it may be gone */
	const struct kmm_mm *mm;
	uint64_t features;
	bool ready, closed;      /* UFFDIO_API was; nobody has it open */
	bool user_only;          /* accesses by system calls fail instead of waiting */
	uint32_t flags;          /* O_CLOEXEC, O_NONBLOCK: of the descriptors for children */
	struct list waiters;     /* oldest first */
	struct list events;      /* the same */
};

struct waiter {
	struct list link;
	uint64_t address, flags;
	uint32_t tid;
	bool told, woken;
};

/* Lies on the stack of who waits until it was read. */
struct event {
	struct list link;
	struct message m;
	struct userfault *child; /* FORK: becomes a descriptor when it is read */
	bool told;
};

/* ---- the side that faults ---- */

static bool is_ending(void)
{
	const sigset kill = sig_bit(SIGKILL);

	return current->proc->exiting || ((current->pending.set | current->proc->pending.set) & kill);
}

/* A system call's access waits for whatever else may come, but for the end. */
static bool sleep_once(struct waiter *w, bool from_user)
{
	const uint64_t look_again = 10 * 1000 * 1000;

	if (from_user)
		return sched_sleep(w, true, 0) != -EINTR;
	sched_sleep(w, false, os_now() + look_again);
	return !is_ending();
}

static void wait_for_page(struct userfault *u, struct waiter *w, struct kmm_mm *mm, struct kmm_uva addr, unsigned why)
{
	bool from_user = current->call_nr < 0;

	list_add_tail(&w->link, &u->waiters);
	sched_wake(u);
	poll_changed();
	if (kmm_userfault_waits(mm, addr, why))
		while (!w->woken && !u->closed)
			if (!sleep_once(w, from_user))
				break;
	list_del(&w->link);
}

static enum kmm_status on_fault(struct kmm_userfault *core, struct kmm_mm *mm, struct kmm_uva addr, enum kmm_access access,
				unsigned why)
{
	struct userfault *u = (struct userfault *)core;
	struct waiter w = { .address = addr.v, .tid = current->tid };

	if (u->features & FEATURE_SIGBUS)
		return KMM_ERANGE;
	if (u->user_only && current->call_nr >= 0)
		return KMM_EFAULT;
	if (!(u->features & FEATURE_EXACT_ADDRESS))
		w.address &= ~(uint64_t)(KMM_PAGE_SIZE - 1);
	w.flags = (access == KMM_WRITE ? FLAG_WRITE : 0) | (why == KMM_USERFAULT_MINOR ? FLAG_MINOR : 0) |
		  (why == KMM_USERFAULT_WRITES ? FLAG_WATCHED : 0);
	kernel_lock();
	wait_for_page(u, &w, mm, addr, why);
	kernel_unlock();
	return current->call_nr >= 0 && is_ending() ? KMM_EFAULT : KMM_OK;
}

static void on_release(struct kmm_userfault *core)
{
	os_free(core);
}

/* ---- events ---- */

static void init(struct userfault *u, const struct kmm_mm *mm, uint32_t pid);

/* The child has a number already; its space it gets with the event. */
static struct kmm_userfault *on_fork(struct kmm_userfault *core, struct kmm_mm *child)
{
	const struct userfault *u = (const struct userfault *)core;
	struct userfault *of_child = os_alloc(sizeof(*of_child));

	if (!of_child)
		return NULL;
	init(of_child, child, current->forking->pid);
	of_child->features = u->features;
	of_child->ready = true;
	of_child->user_only = u->user_only;
	of_child->flags = u->flags;
	of_child->core.events = core->events;
	return &of_child->core;
}

static struct message message_of(const struct kmm_userfault_event *e)
{
	switch (e->what) {
	case KMM_USERFAULT_FORK:
		return (struct message){ .event = EVENT_FORK };
	case KMM_USERFAULT_REMAP:
		return (struct message){ .event = EVENT_REMAP, .a = e->start.v, .b = e->to.v, .c = e->end.v - e->start.v };
	case KMM_USERFAULT_REMOVE:
		return (struct message){ .event = EVENT_REMOVE, .a = e->start.v, .b = e->end.v };
	default:
		return (struct message){ .event = EVENT_UNMAP, .a = e->start.v, .b = e->end.v };
	}
}

/* Until it was read, nobody will read it, or we are ending. */
static void on_event(struct kmm_userfault *core, struct kmm_mm *mm, const struct kmm_userfault_event *e)
{
	const uint64_t look_again = 10 * 1000 * 1000;
	struct event event = { .m = message_of(e), .child = (struct userfault *)e->child };
	struct userfault *u = (struct userfault *)core;

	(void)mm;
	kernel_lock();
	if (e->child)
		current->forking->mm = e->child_mm; /* who reads of it may provide pages at once */
	list_add_tail(&event.link, &u->events);
	sched_wake(u);
	poll_changed();
	while (!event.told && !u->closed && !is_ending())
		sched_sleep(&event, false, os_now() + look_again);
	list_del(&event.link);
	kernel_unlock();
	if (!event.told && e->child) {
		kmm_userfault_forget(e->child, e->child_mm);
		kmm_userfault_put(e->child);
	}
}

static const struct kmm_userfault_ops core_ops = { .fault = on_fault, .event = on_event, .fork = on_fork, .release = on_release };

static void wake(struct userfault *u, uint64_t start, uint64_t len)
{
	struct waiter *w;

	list_for_each(w, &u->waiters, link) {
		if (w->address < start || w->address - start >= len)
			continue;
		w->woken = true;
		sched_wake(w);
	}
}

/* ---- reading ---- */

static struct waiter *next_waiter(const struct userfault *u)
{
	struct waiter *w;

	list_for_each(w, &u->waiters, link)
		if (!w->told && !w->woken)
			return w;
	return NULL;
}

static struct event *next_event(const struct userfault *u)
{
	struct event *e;

	list_for_each(e, &u->events, link)
		if (!e->told)
			return e;
	return NULL;
}

static struct message tell_of_waiter(const struct userfault *u, struct waiter *w)
{
	w->told = true;
	return (struct message){ .event = EVENT_PAGEFAULT, .a = w->flags, .b = w->address,
				 .c = u->features & FEATURE_THREAD_ID ? w->tid : 0 };
}

static int make_descriptor(struct userfault *u);

/* An event that cannot be told of stays. */
static int tell_of_event(struct event *e, struct message *m)
{
	int fd = e->child ? make_descriptor(e->child) : 0;

	if (fd < 0)
		return fd;
	*m = e->m;
	if (e->child)
		m->a = (uint32_t)fd;
	e->told = true;
	sched_wake(e);
	return 0;
}

static int next_message(struct userfault *u, bool nonblock, struct message *m)
{
	for (;;) {
		struct waiter *w = next_waiter(u);
		struct event *e = w ? NULL : next_event(u);

		if (w) {
			*m = tell_of_waiter(u, w);
			return 0;
		}
		if (e)
			return tell_of_event(e, m);
		if (nonblock)
			return -EAGAIN;
		if (sched_sleep(u, true, 0) == -EINTR)
			return -ERESTARTSYS;
	}
}

static int userfault_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	struct userfault *u = file->priv;
	size_t done = 0;

	(void)pos;
	if (!u->ready || len < sizeof(struct message))
		return -EINVAL;
	for (; len - done >= sizeof(struct message); done += sizeof(struct message)) {
		struct message m;
		int err = next_message(u, nonblock || done, &m);

		if (err)
			return done ? (int)done : err;
		memcpy((char *)to + done, &m, sizeof(m));
	}
	return (int)done;
}

static unsigned userfault_poll(struct open_file *file)
{
	const struct userfault *u = file->priv;

	if (!u->ready || !(file->flags & O_NONBLOCK))
		return POLLERR;
	return next_waiter(u) || next_event(u) ? POLLIN : 0;
}

/* ---- providing ---- */

/* The space it is about stays until let go. -ESRCH: it is gone. */
static int hold_space(const struct userfault *u, struct proc **proc, struct kmm_mm **mm)
{
	*proc = proc_find(u->pid);
	if (!*proc || !(*proc)->mm || (*proc)->mm != u->mm)
		return -ESRCH;
	*mm = proc_hold(*proc);
	return 0;
}

static bool is_range(const struct range *r)
{
	uint64_t end = abi_64() ? kmm_layout_of(os.k)->user_end_max : user_end_of(false);

	return !((r->start | r->len) & (KMM_PAGE_SIZE - 1)) && r->len && r->start < end && r->len <= end - r->start;
}

static bool is_one_area(struct kmm_mm *mm, const struct range *r)
{
	struct kmm_vma_info area;

	return kmm_vma_find(mm, kmm_uva((uword)r->start), &area) && area.start.v <= r->start && r->start + r->len <= area.end.v;
}

/* An event that nobody has read yet: what is provided may be for memory as it was. */
static bool is_changing(const struct userfault *u)
{
	return __atomic_load_n(&u->core.changing, __ATOMIC_ACQUIRE) != 0;
}

/* Each page of the range, by what op says about it. Bytes done, or why the first could not be. */
struct providing {
	struct kmm_mm *mm;
	uint64_t source; /* UFFDIO_COPY */
	void *buf;
	bool watched;    /* writes to it are, from the start */
	int (*op)(const struct providing *p, uint64_t at, uint64_t offset);
};

static int copy_page(const struct providing *p, uint64_t at, uint64_t offset)
{
	if (copy_in(p->buf, (uword)(p->source + offset), KMM_PAGE_SIZE) != 0)
		return -EFAULT;
	return os_errno((p->watched ? kmm_userfault_fill_watched : kmm_userfault_fill)(p->mm, kmm_uva((uword)at), p->buf));
}

static int zero_page(const struct providing *p, uint64_t at, uint64_t offset)
{
	(void)offset;
	return os_errno(kmm_userfault_fill(p->mm, kmm_uva((uword)at), NULL));
}

static int map_page(const struct providing *p, uint64_t at, uint64_t offset)
{
	(void)offset;
	return os_errno(kmm_userfault_continue(p->mm, kmm_uva((uword)at)));
}

static int64_t provide_pages(const struct providing *p, const struct range *r)
{
	uint64_t done = 0;
	int err = is_one_area(p->mm, r) ? 0 : -ENOENT;

	for (; done < r->len && err == 0; done += KMM_PAGE_SIZE) {
		err = p->op(p, r->start + done, done);
		if (err)
			break;
	}
	return done ? (int64_t)done : err;
}

/* result: where the bytes done, or the error, are reported. */
static int provide(struct userfault *u, struct providing *p, const struct range *r, bool wakes, uword result)
{
	struct proc *proc;
	int64_t done;
	int err = hold_space(u, &proc, &p->mm);

	if (err)
		return err;
	done = provide_pages(p, r);
	proc_let_go(proc, p->mm);
	if (copy_out(result, &done, sizeof(done)) != 0)
		return -EFAULT;
	if (done < 0)
		return (int)done;
	if (wakes)
		wake(u, r->start, (uint64_t)done);
	return (uint64_t)done == r->len ? 0 : -EAGAIN;
}

static int ioctl_copy(struct userfault *u, uword arg)
{
	struct { uint64_t dst, src, len, mode; } a;
	struct providing p = { .op = copy_page };
	struct range r;
	int err;

	if (is_changing(u))
		return -EAGAIN;
	if (copy_in(&a, arg, sizeof(a)) != 0)
		return -EFAULT;
	r = (struct range){ a.dst, a.len };
	if (!is_range(&r) || a.src + a.len <= a.src || (a.mode & ~(uint64_t)(DONT_WAKE | COPY_WATCHED)))
		return -EINVAL;
	p.watched = a.mode & COPY_WATCHED;
	p.source = a.src;
	p.buf = os_alloc(KMM_PAGE_SIZE);
	if (!p.buf)
		return -ENOMEM;
	err = provide(u, &p, &r, !(a.mode & DONT_WAKE), arg + sizeof(a));
	os_free(p.buf);
	return err;
}

/* UFFDIO_ZEROPAGE and UFFDIO_CONTINUE. */
static int ioctl_provide(struct userfault *u, uword arg, int (*op)(const struct providing *, uint64_t, uint64_t))
{
	struct { struct range range; uint64_t mode; } a;
	struct providing p = { .op = op };

	if (is_changing(u))
		return -EAGAIN;
	if (copy_in(&a, arg, sizeof(a)) != 0)
		return -EFAULT;
	if (!is_range(&a.range) || (a.mode & ~(uint64_t)DONT_WAKE))
		return -EINVAL;
	return provide(u, &p, &a.range, !(a.mode & DONT_WAKE), arg + sizeof(a));
}

/* ---- ranges ---- */

static int ioctl_register(struct userfault *u, uword arg)
{
	struct { struct range range; uint64_t mode; } a;
	uint64_t ioctls = 1u << NR_WAKE | 1u << NR_COPY | 1u << NR_ZEROPAGE;
	struct kmm_mm *mm;
	struct proc *proc;
	int err;

	if (copy_in(&a, arg, sizeof(a)) != 0)
		return -EFAULT;
	if (!a.mode || (a.mode & ~(uint64_t)MODES) || !is_range(&a.range))
		return -EINVAL;
	err = hold_space(u, &proc, &mm);
	if (err)
		return err == -ESRCH ? -ENOMEM : err;
	err = os_errno(kmm_userfault_register(&u->core, mm, kmm_uva((uword)a.range.start), a.range.len, (unsigned)a.mode));
	proc_let_go(proc, mm);
	if (err)
		return err;
	if (a.mode & KMM_USERFAULT_WRITES)
		ioctls |= 1u << NR_WRITEPROTECT;
	if (a.mode & KMM_USERFAULT_MINOR)
		ioctls |= 1u << NR_CONTINUE;
	return copy_out(arg + sizeof(a), &ioctls, sizeof(ioctls));
}

static int ioctl_unregister(struct userfault *u, uword arg)
{
	struct kmm_mm *mm;
	struct proc *proc;
	struct range r;
	int err;

	if (copy_in(&r, arg, sizeof(r)) != 0)
		return -EFAULT;
	if (!is_range(&r))
		return -EINVAL;
	err = hold_space(u, &proc, &mm);
	if (err)
		return err == -ESRCH ? -ENOMEM : err;
	err = os_errno(kmm_userfault_unregister(mm, kmm_uva((uword)r.start), r.len));
	proc_let_go(proc, mm);
	if (err == 0)
		wake(u, r.start, r.len);
	return err;
}

static int ioctl_wake(struct userfault *u, uword arg)
{
	struct range r;

	if (copy_in(&r, arg, sizeof(r)) != 0)
		return -EFAULT;
	if (!is_range(&r))
		return -EINVAL;
	wake(u, r.start, r.len);
	return 0;
}

static int ioctl_protect(struct userfault *u, uword arg)
{
	enum { PROTECT = 1, NO_WAKE = 2 };
	struct { struct range range; uint64_t mode; } a;
	struct kmm_mm *mm;
	struct proc *proc;
	int err;

	if (is_changing(u))
		return -EAGAIN;
	if (copy_in(&a, arg, sizeof(a)) != 0)
		return -EFAULT;
	if (!is_range(&a.range) || (a.mode & ~(uint64_t)(PROTECT | NO_WAKE)) || a.mode == (PROTECT | NO_WAKE))
		return -EINVAL;
	err = hold_space(u, &proc, &mm);
	if (err)
		return err;
	err = os_errno(kmm_userfault_protect(mm, kmm_uva((uword)a.range.start), a.range.len, a.mode & PROTECT));
	proc_let_go(proc, mm);
	if (err == 0 && !a.mode)
		wake(u, a.range.start, a.range.len);
	return err;
}

/* ---- the descriptor ---- */

/* What is wanted, then what there is. A refusal clears the structure. */
static int ioctl_api(struct userfault *u, uword arg)
{
	struct { uint64_t api, features, ioctls; } a, none = { 0, 0, 0 };
	uint64_t wanted;
	int err = 0;

	if (copy_in(&a, arg, sizeof(a)) != 0)
		return -EFAULT;
	wanted = a.features;
	if (a.api != UFFD_API)
		err = -EINVAL;
	else if ((wanted & FEATURE_FORK) && !(current->proc->caps.effective & CAP_SYS_PTRACE))
		err = -EPERM;
	else if (wanted & ~(uint64_t)FEATURES)
		err = -EINVAL;
	if (err)
		return copy_out(arg, &none, sizeof(none)) != 0 ? -EFAULT : err;
	a.features = FEATURES;
	a.ioctls = 1ull << NR_REGISTER | 1ull << NR_UNREGISTER | 1ull << NR_API;
	if (copy_out(arg, &a, sizeof(a)) != 0)
		return -EFAULT;
	if (u->ready)
		return copy_out(arg, &none, sizeof(none)) != 0 ? -EFAULT : -EINVAL;
	u->features = wanted;
	u->core.events = (wanted & FEATURE_FORK ? KMM_USERFAULT_FORK : 0u) | (wanted & FEATURE_REMAP ? KMM_USERFAULT_REMAP : 0u) |
			 (wanted & FEATURE_REMOVE ? KMM_USERFAULT_REMOVE : 0u) | (wanted & FEATURE_UNMAP ? KMM_USERFAULT_UNMAP : 0u);
	u->ready = true;
	return 0;
}

static int userfault_ioctl(struct open_file *file, uint32_t request, uword arg)
{
	struct userfault *u = file->priv;

	if (request == UFFDIO_API)
		return ioctl_api(u, arg);
	if (!u->ready)
		return -EINVAL;
	switch (request) {
	case UFFDIO_REGISTER: return ioctl_register(u, arg);
	case UFFDIO_UNREGISTER: return ioctl_unregister(u, arg);
	case UFFDIO_WAKE: return ioctl_wake(u, arg);
	case UFFDIO_COPY: return ioctl_copy(u, arg);
	case UFFDIO_ZEROPAGE: return ioctl_provide(u, arg, zero_page);
	case UFFDIO_CONTINUE: return sizeof(uword) == 8 ? ioctl_provide(u, arg, map_page) : -EINVAL;
	case UFFDIO_WRITEPROTECT: return ioctl_protect(u, arg);
	default: return -EINVAL;
	}
}

static void userfault_release(struct open_file *file)
{
	struct userfault *u = file->priv;
	struct kmm_mm *mm;
	struct proc *proc;

	if (!u) /* there was no descriptor for it */
		return;
	kernel_lock();
	u->closed = true;
	if (hold_space(u, &proc, &mm) == 0) {
		kmm_userfault_forget(&u->core, mm);
		proc_let_go(proc, mm);
	}
	wake(u, 0, UINT64_MAX);
	kernel_unlock();
	kmm_userfault_put(&u->core);
}

static const struct file_ops userfault_ops = {
	.read = userfault_read, .poll = userfault_poll, .ioctl = userfault_ioctl, .release = userfault_release, .message = true,
};

static void init(struct userfault *u, const struct kmm_mm *mm, uint32_t pid)
{
	*u = (struct userfault){ .pid = pid, .mm = mm };
	kmm_userfault_init(&u->core, &core_ops);
	list_init(&u->waiters);
	list_init(&u->events);
}

/* For current, who has read of the fork: u's first reference goes there. */
static int make_descriptor(struct userfault *u)
{
	uint32_t limit = (uint32_t)current->proc->rlimit[RLIMIT_NOFILE].soft;
	struct open_file *file;
	int fd, err = file_anonymous(&userfault_ops, "anon_inode:[userfaultfd]", O_RDONLY | (u->flags & O_NONBLOCK), &file);

	if (err)
		return err;
	file->priv = u;
	fd = fd_install(current->proc->fds, file, 0, limit, u->flags & O_CLOEXEC);
	if (fd < 0) {
		file->priv = NULL;
		file_put(file);
	}
	return fd;
}

int userfault_create(bool user_only, uint32_t flags, struct open_file **out)
{
	struct userfault *u = os_alloc(sizeof(*u));

	if (!u || file_anonymous(&userfault_ops, "anon_inode:[userfaultfd]", O_RDONLY | (flags & O_NONBLOCK), out) != 0) {
		os_free(u);
		return -ENOMEM;
	}
	init(u, current->proc->mm, current->proc->pid);
	u->user_only = user_only;
	u->flags = flags;
	(*out)->priv = u;
	return 0;
}
