/* SPDX-License-Identifier: MIT */
/*
 * segment.c - see segment.h.
 *
 * Locks: `making` (sleeping) while a key is looked for and its segment made. `lock` (SPIN_SHM): the list and all that changes
 * in a segment; the core takes it too, by way of segment_areas, with a space's mutex held, so nothing sleeps under it.
 *
 * Numbers are Linux's: a place in the table and, above 15 bits, how often the places were gone round, so that a number that
 * is gone does not soon mean another segment. Places are taken in turn, at least 64 of them before the first again.
 */
#include "ipc/segment.h"
#include "kmm/mm.h"
#include "proc/task.h"

enum { PLACE_BITS = 15, MAX_PLACES = 1 << PLACE_BITS, FEWEST_IN_TURN = 64, MAX_SEQ = INT32_MAX >> PLACE_BITS };
#define NAME_FORMAT "/SYSV%08x (deleted)"

struct segment {
	struct kmm_file file; /* first */
	struct list link;     /* segments, by place */
	int32_t key;
	uint32_t place, seq;
	uint32_t mode, uid, gid, cuid, cgid;
	uint32_t cpid, lpid;
	int64_t atime, dtime, ctime;
	uint64_t size, nattch;
	char name[sizeof(NAME_FORMAT) + 8];
};

static struct spin lock = SPIN_OF(SPIN_SHM);
static struct sleep_lock making;
static struct list segments = { &segments, &segments };
static uint32_t nr_segments, next_place, seq;
static int32_t last_place = -1;
static uint64_t total_pages, locked_pages;
static struct segment_limits limits = { (uword)-1 - (1u << 24), (uword)-1 - (1u << 24), 4096 };

static int64_t seconds_now(void)
{
	return (int64_t)div_u64(os_wall(), 1000000000, NULL);
}

static uint64_t pages_of(const struct segment *s)
{
	return (s->size >> KMM_PAGE_SHIFT) + ((s->size & (KMM_PAGE_SIZE - 1)) != 0);
}

static int32_t id_of(const struct segment *s)
{
	return (int32_t)(s->seq << PLACE_BITS | s->place);
}

/* ---- rights ---- */

static bool is_capable(uint64_t cap)
{
	return (current->proc->caps.effective & cap) != 0;
}

/* Everybody is user 0 here, but a segment may have been given to another. */
static bool is_owner(const struct segment *s)
{
	return s->uid == 0 || s->cuid == 0;
}

/* flags: wanted rights in any of the three places of a mode. */
static bool may(const struct segment *s, uint32_t flags)
{
	uint32_t wanted = (flags >> 6 | flags >> 3 | flags) & 7, granted = s->mode;

	if (is_owner(s))
		granted >>= 6;
	else if (s->gid == 0 || s->cgid == 0)
		granted >>= 3;
	return !(wanted & ~granted) || is_capable(CAP_IPC_OWNER);
}

/* ---- finding; lock held ---- */

static struct segment *find_key(int32_t key)
{
	struct segment *s;

	list_for_each(s, &segments, link)
		if (s->key == key)
			return s;
	return NULL;
}

static struct segment *find_place(uint32_t place)
{
	struct segment *s;

	list_for_each(s, &segments, link)
		if (s->place == place)
			return s;
	return NULL;
}

static struct segment *find(int32_t id)
{
	struct segment *s = id < 0 ? NULL : find_place((uint32_t)id & (MAX_PLACES - 1));

	return s && id_of(s) == id ? s : NULL;
}

/* ---- numbers; lock held ---- */

/* The lowest free place from `from` on; the list is in their order. */
static uint32_t free_place(uint32_t from)
{
	struct segment *s;

	list_for_each(s, &segments, link) {
		if (s->place > from)
			break;
		if (s->place == from)
			from++;
	}
	return from;
}

/* false: there are as many as may be. */
static bool choose_place(struct segment *s)
{
	uint32_t end = nr_segments + nr_segments / 2;

	if (nr_segments >= limits.max_segments)
		return false;
	if (end < FEWEST_IN_TURN)
		end = FEWEST_IN_TURN;
	if (end > MAX_PLACES)
		end = MAX_PLACES;
	s->place = free_place(next_place);
	if (s->place >= end)
		s->place = free_place(0);
	if (s->place >= end)
		return false;
	next_place = s->place + 1;
	if ((int32_t)s->place <= last_place)
		seq = seq >= MAX_SEQ - 1 ? 0 : seq + 1;
	last_place = (int32_t)s->place;
	s->seq = seq;
	return true;
}

static void insert(struct segment *s)
{
	struct segment *after;

	list_for_each(after, &segments, link)
		if (after->place > s->place)
			break;
	list_add_tail(&s->link, &after->link);
	nr_segments++;
	total_pages += pages_of(s);
}

/* ---- life ---- */

static void set_locked(struct segment *s, bool locked)
{
	s->mode = locked ? s->mode | SHM_LOCKED : s->mode & ~(uint32_t)SHM_LOCKED;
	__atomic_store_n(&s->file.keeps_pages, locked, __ATOMIC_RELAXED);
	locked_pages += locked ? pages_of(s) : -pages_of(s);
}

/* Lock held. The caller then puts the table's reference. */
static void forget(struct segment *s)
{
	if (s->mode & SHM_LOCKED)
		set_locked(s, false);
	list_del(&s->link);
	nr_segments--;
	total_pages -= pages_of(s);
}

static void area_opened(struct kmm_backing *backing)
{
	struct segment *s = (struct segment *)backing;

	spin_lock(&lock);
	s->nattch++;
	s->atime = seconds_now();
	s->lpid = current->proc->pid;
	spin_unlock(&lock);
}

/* An attach less, by an area or by who was just about to make one. The caller has a reference. */
static void drop_attach(struct segment *s, bool by_area)
{
	bool is_over;

	spin_lock(&lock);
	if (by_area) {
		s->dtime = seconds_now();
		s->lpid = current->proc->pid;
	}
	s->nattch--;
	is_over = s->nattch == 0 && (s->mode & SHM_DEST);
	if (is_over)
		forget(s);
	spin_unlock(&lock);
	if (is_over)
		kmm_backing_put(&s->file.backing);
}

static void area_closed(struct kmm_backing *backing)
{
	drop_attach((struct segment *)backing, true);
}

const struct kmm_area_ops segment_areas = { .opened = area_opened, .closed = area_closed };

static void destroy(struct kmm_file *file)
{
	os_free(file);
}

static struct segment *new_segment(int32_t key, uword size, uint32_t flags)
{
	struct segment *s = os_zalloc(sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct segment){ .key = key, .mode = flags & IPC_MODE, .size = size, .cpid = current->proc->pid,
			       .ctime = seconds_now() };
	x86_snprintf(s->name, sizeof(s->name), NAME_FORMAT, (unsigned)key);
	kmm_file_init(&s->file, os.k, size, s->name);
	s->file.destroy = destroy;
	s->file.is_shared_memory = true;
	s->file.backing.areas = &segment_areas;
	s->file.backing.dev_minor = 1;
	return s;
}

/* A segment of huge pages, of which there are none in reserve; with a size that no page has it is another mistake. */
static int refuse_huge(uint32_t flags)
{
	enum { SIZE_SHIFT = 26 };
	uint32_t size_log = flags >> SIZE_SHIFT & 63;

	return !size_log || size_log == kmm_format_get(kmm_machine_of(os.k)->format)->level[1].shift ? -ENOMEM : -EINVAL;
}

static bool counts_promises(uint32_t flags)
{
	struct kmm_overcommit now;

	kmm_overcommit(os.k, &now);
	return !(flags & SHM_NORESERVE) || now.mode == KMM_OVERCOMMIT_NEVER;
}

static int check_size(uword size)
{
	uint64_t pages = ((uint64_t)size >> KMM_PAGE_SHIFT) + ((size & (KMM_PAGE_SIZE - 1)) != 0);

	if (size < 1 || size > limits.max_bytes)
		return -EINVAL;
	return total_pages + pages > limits.all_pages ? -ENOSPC : 0;
}

/* `making` held. */
static sword make(int32_t key, uword size, uint32_t flags)
{
	struct segment *s;
	bool found;
	int err = check_size(size);

	if (err == 0 && (flags & SHM_HUGETLB))
		err = refuse_huge(flags);
	if (err)
		return err;
	s = new_segment(key, size, flags);
	if (!s)
		return -ENOMEM;
	if (counts_promises(flags))
		err = os_errno(kmm_file_commit(current->proc->mm, &s->file));
	spin_lock(&lock);
	found = err == 0 && choose_place(s);
	if (found) {
		s->file.backing.ino = (uint64_t)id_of(s);
		insert(s);
	}
	spin_unlock(&lock);
	if (found)
		return id_of(s);
	kmm_backing_put(&s->file.backing);
	return err ? err : -ENOSPC;
}

/* false: no segment has the key. Lock held. */
static bool open_existing(int32_t key, uword size, uint32_t flags, sword *result)
{
	struct segment *s = key == IPC_PRIVATE ? NULL : find_key(key);

	if (!s)
		return false;
	if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
		*result = -EEXIST;
	else if (s->size < size)
		*result = -EINVAL;
	else
		*result = may(s, flags) ? id_of(s) : -EACCES;
	return true;
}

sword segment_get(int32_t key, uword size, uint32_t flags)
{
	sword result = -ENOENT;
	bool found;

	sleep_lock(&making);
	spin_lock(&lock);
	found = open_existing(key, size, flags, &result);
	spin_unlock(&lock);
	if (!found && (key == IPC_PRIVATE || (flags & IPC_CREAT)))
		result = make(key, size, flags);
	sleep_unlock(&making);
	return result;
}

/* ---- attaching ---- */

int segment_attach(int32_t id, uint32_t mode, struct kmm_backing **out, uint64_t *size)
{
	struct segment *s;
	int err;

	spin_lock(&lock);
	s = find(id);
	err = !s ? -EINVAL : !may(s, mode) ? -EACCES : 0;
	if (err == 0) {
		s->nattch++;
		kmm_backing_get(&s->file.backing);
		*out = &s->file.backing;
		*size = s->size;
	}
	spin_unlock(&lock);
	return err;
}

void segment_attached(struct kmm_backing *backing)
{
	drop_attach((struct segment *)backing, false);
	kmm_backing_put(backing);
}

/* ---- control ---- */

static void fill_info(const struct segment *s, struct segment_info *out)
{
	*out = (struct segment_info){
		.id = id_of(s), .key = s->key, .mode = s->mode, .uid = s->uid, .gid = s->gid, .cuid = s->cuid, .cgid = s->cgid,
		.seq = s->seq, .cpid = s->cpid, .lpid = s->lpid, .size = s->size, .nattch = s->nattch,
		.pages = s->file.nr_pages, .atime = s->atime, .dtime = s->dtime, .ctime = s->ctime,
	};
}

int segment_stat(int32_t id, bool by_index, bool checked, struct segment_info *out)
{
	struct segment *s;
	int err;

	spin_lock(&lock);
	s = by_index ? find_place((uint32_t)id & (MAX_PLACES - 1)) : find(id);
	err = !s ? -EINVAL : checked && !may(s, 0444) ? -EACCES : 0;
	if (err == 0)
		fill_info(s, out);
	spin_unlock(&lock);
	return err;
}

/* For who may change it; lock held. */
static int find_own(int32_t id, struct segment **out)
{
	*out = find(id);
	if (!*out)
		return -EINVAL;
	return is_owner(*out) || is_capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

int segment_set(int32_t id, uint32_t uid, uint32_t gid, uint32_t mode)
{
	struct segment *s;
	int err;

	spin_lock(&lock);
	err = find_own(id, &s);
	if (err == 0 && (uid == UINT32_MAX || gid == UINT32_MAX))
		err = -EINVAL;
	if (err == 0) {
		s->uid = uid;
		s->gid = gid;
		s->mode = (s->mode & ~(uint32_t)IPC_MODE) | (mode & IPC_MODE);
		s->ctime = seconds_now();
	}
	spin_unlock(&lock);
	return err;
}

int segment_remove(int32_t id)
{
	bool is_over = false;
	struct segment *s;
	int err;

	spin_lock(&lock);
	err = find_own(id, &s);
	if (err == 0 && s->nattch) {
		s->mode |= SHM_DEST;
		s->key = IPC_PRIVATE; /* not found by it any more */
	} else if (err == 0) {
		is_over = true;
		forget(s);
	}
	spin_unlock(&lock);
	if (is_over)
		kmm_backing_put(&s->file.backing);
	return err;
}

/* Would its pages pass RLIMIT_MEMLOCK? Those of all segments count together, as there is one user. */
static bool lock_fits(const struct segment *s)
{
	uint64_t limit = current->proc->rlimit[RLIMIT_MEMLOCK].soft;

	return is_capable(CAP_IPC_LOCK) || limit == OS_UNLIMITED || locked_pages + pages_of(s) <= limit >> KMM_PAGE_SHIFT;
}

static int may_lock(const struct segment *s, bool locks)
{
	if (is_capable(CAP_IPC_LOCK))
		return 0;
	if (!is_owner(s) || (locks && current->proc->rlimit[RLIMIT_MEMLOCK].soft == 0))
		return -EPERM;
	return 0;
}

int segment_lock(int32_t id, bool locks)
{
	struct segment *s;
	int err;

	spin_lock(&lock);
	s = find(id);
	err = s ? may_lock(s, locks) : -EINVAL;
	if (err == 0 && locks != ((s->mode & SHM_LOCKED) != 0)) {
		if (locks && !lock_fits(s))
			err = -ENOMEM;
		else
			set_locked(s, locks);
	}
	spin_unlock(&lock);
	return err;
}

/* ---- all of them ---- */

bool segment_next(int32_t *index, struct segment_info *out)
{
	struct segment *s;
	bool found = false;

	spin_lock(&lock);
	list_for_each(s, &segments, link) {
		if ((int32_t)s->place < *index)
			continue;
		fill_info(s, out);
		*index = (int32_t)s->place + 1;
		found = true;
		break;
	}
	spin_unlock(&lock);
	return found;
}

void segment_sums(struct segment_sums *out)
{
	struct segment *s;

	*out = (struct segment_sums){ .max_index = -1 };
	spin_lock(&lock);
	out->nr = nr_segments;
	out->pages = total_pages;
	list_for_each(s, &segments, link) {
		out->max_index = (int32_t)s->place;
		out->in_memory += s->file.nr_pages;
	}
	spin_unlock(&lock);
}

struct segment_limits segment_limits(void)
{
	struct segment_limits now;

	spin_lock(&lock);
	now = limits;
	spin_unlock(&lock);
	return now;
}

void segment_set_limits(const struct segment_limits *to)
{
	spin_lock(&lock);
	limits = *to;
	spin_unlock(&lock);
}
