/* SPDX-License-Identifier: MIT */
/*
 * capability.c - capget(2) and capset(2). Everybody is user 0 and starts with all; what a process gives up it does not get
 * back before it starts another program. What they mean to an address space is in rights_of().
 */
#include "sys/sys.h"

#define VERSION_1 0x19980330u
#define VERSION_2 0x20071026u
#define VERSION_3 0x20080522u
#define CAP_SETPCAP (1ull << 8)

struct header {
	uint32_t version;
	int32_t pid;
};
struct data {
	uint32_t effective, permitted, inheritable;
};

uint32_t rights_of(const struct capabilities *caps)
{
	return (caps->effective & CAP_IPC_LOCK ? KMM_MAY_LOCK : 0u) | (caps->effective & CAP_SYS_ADMIN ? KMM_MAY_ADMIN : 0u) |
	       (caps->effective & CAP_SYS_RAWIO ? KMM_MAY_MAP_LOW : 0u);
}

/* How many words of 32 capabilities a version has; 0: unknown, and the program is told which is best. */
static unsigned words_of(uint32_t version)
{
	return version == VERSION_1 ? 1 : version == VERSION_2 || version == VERSION_3 ? 2 : 0;
}

static int get_header(uword at, struct header *h, unsigned *words)
{
	if (copy_in(h, at, sizeof(*h)) != 0)
		return -EFAULT;
	*words = words_of(h->version);
	if (*words)
		return 0;
	return put_u32(at, VERSION_3) != 0 ? -EFAULT : -EINVAL;
}

sword sys_capget(const uword *a)
{
	struct data data[2] = { { 0 } };
	struct capabilities caps;
	struct header h;
	unsigned words;
	int err = get_header(a[0], &h, &words);

	if (err)
		return err == -EINVAL && !a[1] ? 0 : err; /* who only asks for the version passes no place for data */
	if (h.pid < 0)
		return -EINVAL;
	if (h.pid && !task_find((uint32_t)h.pid))
		return -ESRCH;
	caps = (h.pid ? task_find((uint32_t)h.pid) : current)->proc->caps;
	for (unsigned i = 0; i < words; i++)
		data[i] = (struct data){ (uint32_t)(caps.effective >> 32 * i), (uint32_t)(caps.permitted >> 32 * i),
					 (uint32_t)(caps.inheritable >> 32 * i) };
	return copy_out(a[1], data, words * sizeof(data[0]));
}

/* From old to new: nothing permitted comes back, nothing is effective that is not permitted. */
static bool may_change(const struct capabilities *old, const struct capabilities *new)
{
	return !(new->permitted & ~old->permitted) && !(new->effective & ~new->permitted) &&
	       !(new->inheritable & ~(old->inheritable | old->permitted | (old->effective & CAP_SETPCAP ? CAPS_ALL : 0)));
}

sword sys_capset(const uword *a)
{
	struct data data[2] = { { 0 } };
	struct capabilities caps;
	struct header h;
	unsigned words;
	int err = get_header(a[0], &h, &words);

	if (err)
		return err;
	if (h.pid && (uint32_t)h.pid != current->tid)
		return -EPERM;
	if (copy_in(data, a[1], words * sizeof(data[0])) != 0)
		return -EFAULT;
	caps = (struct capabilities){ .effective = (uint64_t)data[1].effective << 32 | data[0].effective,
				      .permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted,
				      .inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable };
	caps.effective &= CAPS_ALL, caps.permitted &= CAPS_ALL, caps.inheritable &= CAPS_ALL; /* unknown ones: ignored */
	if (!may_change(&current->proc->caps, &caps))
		return -EPERM;
	current->proc->caps = caps;
	kmm_mm_limits(current->proc->mm)->rights = rights_of(&caps);
	return 0;
}
