/* SPDX-License-Identifier: MIT */
/*
 * Reuse distance against idle time. The idea is LIRS's (Jiang and Zhang, 2002): of two pages the one with the shorter time
 * between its last two uses stays, whatever was used last; so a scan or a loop larger than memory does not wash out what is
 * used again and again. Time is the clock of evictions.
 *
 *	guest   a page that has not yet shown that it is worth its frame. Met unused, it goes. About 1/16 of the pages.
 *	host    stays as long as it is used more often than guests come back.
 *
 *	fresh (0) -----------------------> guest --used, and worth it--> host --idle for longest--> guest --unused--> out
 *	                                     ^                             ^
 *	   comes back: not worth it ---------+     comes back: worth it ---+
 *
 * Worth it: the time since the page's last use, known from its slot when it comes back, is shorter than some host has been
 * idle. That host's place is taken: hosts are counted by idle time once in four turns, when their marks are looked at, and
 * each guest that becomes a host uses one of the most idle up; those are made guests as the hand meets them. A first touch
 * always leaves a mark, so the first meeting of a fresh page says nothing. While there are places for hosts it becomes one.
 *
 * A host's byte holds when it was last seen used, so its idle time is a lower bound, and the time of a guest that comes back
 * an upper one: in a loop all are equal, and nobody changes places. One that is seen used twice within a short time counts half
 * its idle time.
 *
 * own[]: see the enum. Faults call refault() while the hand moves on, with no lock: so words are read and written whole, and
 * those that faults change (hosts, the histogram) may lose a count; a turn makes them true again.
 */
#include "kmm/reclaim.h"

enum { GUEST = 1, HOST = 0x80, OFTEN = 0x40, STAMP = 0x3f, LONGEST = 47 };
enum { UNITS = 16, GUEST_PART = 16, SHORT = 4, LOOK_EVERY = 4 };
enum { HOSTS, HOSTS_MET, TOP, CALLED, IDLE, IDLE_MET = IDLE + LONGEST + 1, END = IDLE_MET + LONGEST + 1 };
/* HOSTS: now; HOSTS_MET: in this turn. TOP: no host was idle for longer. CALLED: hosts so idle shall become guests.
 * IDLE: hosts by idle time; IDLE_MET: those met in this turn. */

_Static_assert(END <= KMM_RECLAIM_OWN, "fits what a policy has");

static kmm_word get(const struct kmm_reclaim_zone *z, kmm_word i)
{
	return __atomic_load_n(&z->own[i], __ATOMIC_RELAXED);
}

static void put(struct kmm_reclaim_zone *z, kmm_word i, kmm_word value)
{
	__atomic_store_n(&z->own[i], value, __ATOMIC_RELAXED);
}

static void add(struct kmm_reclaim_zone *z, kmm_word i, kmm_word nr)
{
	put(z, i, get(z, i) + nr);
}

/* One less, but never less than none. */
static void take(struct kmm_reclaim_zone *z, kmm_word i)
{
	kmm_word nr = get(z, i);

	if (nr)
		put(z, i, nr - 1);
}

static kmm_word all_pages(const struct kmm_reclaim_zone *z)
{
	return __atomic_load_n(&z->all_pages, __ATOMIC_RELAXED);
}

static kmm_word unit(const struct kmm_reclaim_zone *z)
{
	return all_pages(z) / UNITS + 1;
}

static uint8_t now(const struct kmm_reclaim_zone *z)
{
	return (uint8_t)(__atomic_load_n(&z->clock, __ATOMIC_RELAXED) / (uint32_t)unit(z) & STAMP);
}

static kmm_word host_places(const struct kmm_reclaim_zone *z)
{
	kmm_word pages = __atomic_load_n(&z->pages, __ATOMIC_RELAXED);
	kmm_word guests = pages / GUEST_PART + 1; /* one at least, or the last pages would stay for ever */

	return pages > guests ? pages - guests : 0;
}

/* Units, at most LONGEST. */
static unsigned idle_of(const struct kmm_reclaim_zone *z, uint8_t age)
{
	unsigned idle = (unsigned)(now(z) - age) & STAMP;

	if (age & OFTEN)
		idle /= 2;
	return idle < LONGEST ? idle : LONGEST;
}

static bool is_worth(struct kmm_reclaim_zone *z, kmm_word interval)
{
	kmm_word top = get(z, TOP); /* read once: another fault may lower it as well */

	if (get(z, HOSTS) < host_places(z))
		return true;
	while (top && !get(z, IDLE + top))
		top--;
	put(z, TOP, top);
	if (top * unit(z) <= interval)
		return false;
	take(z, IDLE + top);
	if (top < get(z, CALLED))
		put(z, CALLED, top);
	return true;
}

static void become_host(struct kmm_reclaim_zone *z, uint8_t *age)
{
	*age = HOST | now(z);
	add(z, HOSTS, 1);
	add(z, HOSTS_MET, 1);
}

static bool met_guest(struct kmm_reclaim_zone *z, uint8_t *age, bool referenced)
{
	if (*age == 0) {
		*age = GUEST;
		if (z->turns == 0 || get(z, HOSTS) < host_places(z)) /* those that are not used again become guests in time */
			become_host(z, age);
		return false;
	}
	if (referenced && is_worth(z, all_pages(z) / GUEST_PART))
		become_host(z, age);
	return !referenced;
}

static bool is_called(const struct kmm_reclaim_zone *z, uint8_t age)
{
	return get(z, HOSTS) > host_places(z) && idle_of(z, age) >= get(z, CALLED);
}

static void met_host(struct kmm_reclaim_zone *z, uint8_t *age, bool referenced)
{
	uint8_t often = *age & OFTEN;

	if (referenced) {
		if (idle_of(z, *age) <= SHORT)
			often = OFTEN;
		*age = (uint8_t)(HOST | often | now(z));
	} else if (((unsigned)(now(z) - *age) & STAMP) > LONGEST) {
		*age = (uint8_t)(HOST | often | ((now(z) - LONGEST) & STAMP)); /* before it comes round */
	}
	if (!referenced && is_called(z, *age)) {
		*age = GUEST;
		take(z, HOSTS);
		return;
	}
	add(z, HOSTS_MET, 1);
	add(z, IDLE_MET + idle_of(z, *age), 1);
}

static bool met(struct kmm_reclaim_zone *z, uint8_t *age, bool referenced)
{
	if (!(*age & HOST))
		return met_guest(z, age, referenced);
	met_host(z, age, referenced);
	return false;
}

static bool skip(struct kmm_reclaim_zone *z, uint8_t age)
{
	if (!(age & HOST) || z->turns % LOOK_EVERY == 0 || is_called(z, age))
		return false;
	add(z, HOSTS_MET, 1);
	return true;
}

static uint8_t refault(struct kmm_reclaim_zone *z, uint32_t distance, uint8_t was)
{
	uint8_t age = 0;

	(void)was;
	if (is_worth(z, distance + all_pages(z) / GUEST_PART))
		become_host(z, &age);
	return age;
}

/* More hosts than places: the most idle ones are called. */
static void call_hosts(struct kmm_reclaim_zone *z)
{
	kmm_word places = host_places(z), over = get(z, HOSTS) > places ? get(z, HOSTS) - places : 0;
	unsigned at = LONGEST;

	put(z, CALLED, LONGEST + 1);
	if (!over)
		return;
	for (; at && over > get(z, IDLE + at); at--)
		over -= get(z, IDLE + at);
	put(z, CALLED, at);
}

static void turned(struct kmm_reclaim_zone *z)
{
	put(z, HOSTS, get(z, HOSTS_MET));
	put(z, HOSTS_MET, 0);
	if ((z->turns - 1) % LOOK_EVERY == 0) {
		for (unsigned i = 0; i <= LONGEST; i++)
			put(z, IDLE + i, get(z, IDLE_MET + i));
		put(z, TOP, LONGEST);
		call_hosts(z);
	}
	for (unsigned i = 0; i <= LONGEST; i++)
		put(z, IDLE_MET + i, 0);
}

const struct kmm_reclaim_policy kmm_policy_idle = {
	.name = "idle", .met = met, .skip = skip, .refault = refault, .turned = turned
};
