/* SPDX-License-Identifier: MIT */
/*
 * layout.c - see layout.h. Three layouts of struct shmid_ds: that of x86-64, that of i386, and i386's first. Written from
 * shmctl(2) and the headers programs are compiled with; sizes are asserted because programs depend on them.
 */
#include "ipc/layout.h"
#include "proc/task.h"

struct perm {
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t seq, pad;
};

struct shmid64 {
	struct perm perm;
	uint32_t pad;
	uint64_t unused[2];
	uint64_t size;
	int64_t atime, dtime, ctime;
	uint32_t cpid, lpid;
	uint64_t nattch, unused2[2];
};
_Static_assert(sizeof(struct shmid64) == 112, "struct shmid64_ds of x86-64");

struct shmid32 {
	struct perm perm;
	uint32_t unused[2];
	uint32_t size;
	uint32_t atime, atime_high, dtime, dtime_high, ctime, ctime_high;
	uint32_t cpid, lpid, nattch, unused2[2];
};
_Static_assert(sizeof(struct shmid32) == 84, "struct shmid64_ds of i386");

struct shmid_old {
	int32_t key;
	uint16_t uid, gid, cuid, cgid, mode, seq;
	uint32_t size;
	int32_t atime, dtime, ctime;
	uint16_t cpid, lpid, nattch, unused;
	uint32_t unused2[2];
};
_Static_assert(sizeof(struct shmid_old) == 48, "the first struct shmid_ds of i386");

static void fill_perm(struct perm *to, const struct segment_info *info)
{
	*to = (struct perm){ .key = info->key, .uid = info->uid, .gid = info->gid, .cuid = info->cuid, .cgid = info->cgid,
			     .mode = info->mode, .seq = (uint16_t)info->seq };
}

static int put_64(uword to, const struct segment_info *info)
{
	struct shmid64 s = { .size = info->size, .atime = info->atime, .dtime = info->dtime, .ctime = info->ctime,
			     .cpid = info->cpid, .lpid = info->lpid, .nattch = info->nattch };

	fill_perm(&s.perm, info);
	return copy_out(to, &s, sizeof(s));
}

static int put_32(uword to, const struct segment_info *info)
{
	struct shmid32 s = {
		.size = (uint32_t)info->size, .atime = (uint32_t)info->atime, .atime_high = (uint32_t)(info->atime >> 32),
		.dtime = (uint32_t)info->dtime, .dtime_high = (uint32_t)(info->dtime >> 32), .ctime = (uint32_t)info->ctime,
		.ctime_high = (uint32_t)(info->ctime >> 32), .cpid = info->cpid, .lpid = info->lpid,
		.nattch = (uint32_t)info->nattch,
	};

	fill_perm(&s.perm, info);
	return copy_out(to, &s, sizeof(s));
}

static int put_old(uword to, const struct segment_info *info)
{
	struct shmid_old s = {
		.key = info->key, .uid = (uint16_t)info->uid, .gid = (uint16_t)info->gid, .cuid = (uint16_t)info->cuid,
		.cgid = (uint16_t)info->cgid, .mode = (uint16_t)info->mode, .seq = (uint16_t)info->seq,
		.size = info->size > INT32_MAX ? INT32_MAX : (uint32_t)info->size, .atime = (int32_t)info->atime,
		.dtime = (int32_t)info->dtime, .ctime = (int32_t)info->ctime, .cpid = (uint16_t)info->cpid,
		.lpid = (uint16_t)info->lpid, .nattch = (uint16_t)info->nattch,
	};

	return copy_out(to, &s, sizeof(s));
}

int put_segment(uword to, const struct segment_info *info, bool old)
{
	if (old)
		return put_old(to, info);
	return abi_64() ? put_64(to, info) : put_32(to, info);
}

int get_segment(struct segment_info *out, uword from, bool old)
{
	struct shmid_old s;
	struct perm perm;

	if (!old) { /* both begin with the same */
		if (copy_in(&perm, from, sizeof(perm)) != 0)
			return -EFAULT;
		*out = (struct segment_info){ .uid = perm.uid, .gid = perm.gid, .mode = perm.mode };
		return 0;
	}
	if (copy_in(&s, from, sizeof(s)) != 0)
		return -EFAULT;
	*out = (struct segment_info){ .uid = s.uid, .gid = s.gid, .mode = s.mode };
	return 0;
}

static uword no_more_than(uint64_t value, uword most)
{
	return value > most ? most : (uword)value;
}

int put_segment_limits(uword to, const struct segment_limits *limits, bool old)
{
	enum { SHMMIN = 1, OLD_FIELDS = 5, FIELDS = 9 };
	/* What a program's int or a narrower program's long cannot hold is as much as that can. */
	uword most = old || (sizeof(uword) == 8 && !abi_64()) ? INT32_MAX : (uword)-1;
	uword field[FIELDS] = { no_more_than(limits->max_bytes, most), SHMMIN, limits->max_segments, limits->max_segments,
				(uword)limits->all_pages };

	return put_words(to, field, old ? OLD_FIELDS : FIELDS);
}

int put_segment_sums(uword to, const struct segment_sums *sums)
{
	/* used_ids is an int, with a hole behind it in the wider layout; nothing of shared memory is in swap. */
	uword field[6] = { sums->nr, (uword)sums->pages, (uword)sums->in_memory };

	return put_words(to, field, 6);
}
