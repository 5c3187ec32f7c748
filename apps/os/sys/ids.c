/* SPDX-License-Identifier: MIT */
/*
 * ids.c - users and groups. There is user 0 and group 0, and no other: the machine answers as Linux does in a user namespace
 * that maps these two (user_namespaces(7)). So who asks to become another is refused and knows it. What a process may
 * is a matter of its capabilities (capability.c).
 */
#include "sys/sys.h"

#define KEEP 0xffffffffu /* of several ids, one that stays as it is */

/* Numbers of the older calls have 16 bits, and their -1 too. */
static uint32_t from_16(uword id)
{
	return (uint16_t)id == 0xffff ? KEEP : (uint16_t)id;
}

sword sys_getresuid(const uword *a)
{
	for (int i = 0; i < 3; i++)
		if (put_u32(a[i], 0) != 0)
			return -EFAULT;
	return 0;
}

sword sys_set_id(const uword *a)
{
	return (uint32_t)a[0] ? -EINVAL : 0;
}

sword sys_set_id_16(const uword *a)
{
	return from_16(a[0]) ? -EINVAL : 0;
}

static bool may_be(uint32_t id)
{
	return id == 0 || id == KEEP;
}

sword sys_set_two_ids(const uword *a)
{
	return may_be((uint32_t)a[0]) && may_be((uint32_t)a[1]) ? 0 : -EINVAL;
}

sword sys_set_two_ids_16(const uword *a)
{
	return may_be(from_16(a[0])) && may_be(from_16(a[1])) ? 0 : -EINVAL;
}

sword sys_set_three_ids(const uword *a)
{
	return may_be((uint32_t)a[0]) && may_be((uint32_t)a[1]) && may_be((uint32_t)a[2]) ? 0 : -EINVAL;
}

/* Supplementary groups: more than once group 0 says no more than none. size: of a number. */
static sword set_groups(const uword *a, unsigned size)
{
	enum { GROUPS_MOST = 65536 };
	uint32_t nr = (uint32_t)a[0];

	if (nr > GROUPS_MOST)
		return -EINVAL;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t id = 0;

		if (copy_in(&id, a[1] + (uword)i * size, size) != 0)
			return -EFAULT;
		if (id)
			return -EINVAL;
	}
	return 0;
}

sword sys_setgroups(const uword *a) { return set_groups(a, 4); }
sword sys_setgroups_16(const uword *a) { return set_groups(a, 2); }
