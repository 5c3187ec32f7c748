/* SPDX-License-Identifier: MIT */
/*
 * Reuse distance against idle time. The idea is LIRS's (Jiang and Zhang, 2002): of two pages the one with the shorter time
 * between its last two uses stays, whatever was used last; so a scan or a loop larger than memory does not wash out what is
 * used again and again. Time is the clock of evictions.
 *
 *	guest   a page that has not yet shown that it is worth its frame. Met unused, it goes. (Touched: a call on its file used it.)
 *	host    stays as long as it is used more often than guests come back.
 *
 *	fresh (0) -----------------------> guest --used, and worth it--> host --idle for longest--> guest --unused--> out
 *	                                     ^                             ^
 *	   comes back: not worth it ---------+     comes back: worth it ---+
 *
 * Worth it: the time since the page left, known from its slot when it comes back, is shorter than some host has been idle. That
 * host's place is taken: hosts are counted by idle time now and then, when their marks are looked at, and each guest that
 * becomes a host uses one of the most idle up; those are made guests as the hand meets them unused. A first touch always leaves a
 * mark, so the first meeting of a fresh page says nothing. While there are places for hosts it becomes one.
 *
 * Guests are a quarter of the pages: many enough that what is used again soon is seen to be, as by a plain clock, few enough that a
 * loop larger than memory keeps most of it; and the fewer they are, the more hosts the hand passes for each page that goes
 * (decision 010 has the figures). But only hosts that are COLD make room for that: as long as more of memory is used again and
 * again, guests have a sixteenth.
 *
 * Learning: at first, and when more fresh pages are met than went out, because programs have ended and others came, nothing is known.
 * Then all become hosts for a turn, which takes their marks; and the guests' part begins small: new pages, which have to show
 * their worth, in the places of a few. It grows when hosts have had the time to show theirs, and then slowly.
 *
 * A host's byte holds when it was last seen used, so its idle time is a lower bound; what passed since hosts were counted is
 * added to it. In a loop all are equal, and few change places. A host that is seen used twice within a short time counts
 * half its idle time.
 *
 * own[]: see the enum. Faults call refault() while the hand moves on, with no lock: so words are read and written whole, and
 * those that faults change (hosts, the histogram) may lose a count; a turn makes them true again.
 */
#include "kmm/reclaim.h"

enum { GUEST = 1, TOUCHED = 2, HOST = 0x80, OFTEN = 0x40, STAMP = 0x3f, LONGEST = 47 };
/* UNITS: of time, in which as many pages as there are went out. Parts are of all pages, the rest times in units; FEWEST: pages, about
 * as many as are wanted at a time, so that small groups have some, too. */
enum { FEWEST = 32, UNITS = 16, GUEST_PART = 4, LEAST_PART = 16, FIRST_PART = 128, SLOWLY = 4, LOST_PART = 16, LOOK_EVERY = 3, SHORT = 8, COLD = 7 };
enum { HOSTS, HOSTS_MET, FRESH_MET, KNOWS, KNEW, LOOKS, LOOKED, WENT, BEGAN, BEGAN_BEFORE, TOP, CALLED, IDLE,
       IDLE_MET = IDLE + LONGEST + 1, END = IDLE_MET + LONGEST + 1 };
/* HOSTS: now; HOSTS_MET, FRESH_MET: in this turn. KNOWS: it is not learning, since the clock was KNEW. LOOKS: hosts are looked at
 * in this turn; LOOKED: the clock then. WENT: pages that went in this turn. BEGAN: the clock when this turn began, and the one before. TOP: no host was idle for
 * longer. CALLED: hosts so idle shall become guests. IDLE: hosts by idle time; IDLE_MET: those met in this turn. */

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

static kmm_word own_pages(const struct kmm_reclaim_zone *z)
{
	return __atomic_load_n(&z->pages, __ATOMIC_RELAXED);
}

static kmm_word unit(const struct kmm_reclaim_zone *z)
{
	return all_pages(z) / UNITS + 1;
}

static uint32_t clock_of(const struct kmm_reclaim_zone *z)
{
	return __atomic_load_n(&z->clock, __ATOMIC_RELAXED);
}

/* Evictions since own[i] was the clock. */
static uint32_t since(const struct kmm_reclaim_zone *z, kmm_word i)
{
	return clock_of(z) - (uint32_t)get(z, i);
}

static uint8_t now(const struct kmm_reclaim_zone *z)
{
	return (uint8_t)(clock_of(z) / (uint32_t)unit(z) & STAMP);
}

static kmm_word all_but(const struct kmm_reclaim_zone *z, kmm_word guests)
{
	return own_pages(z) > guests ? own_pages(z) - guests : 0;
}

/* As many as there should be. One guest at least, or the last pages would stay for ever. */
static kmm_word host_places(const struct kmm_reclaim_zone *z)
{
	return all_but(z, own_pages(z) / GUEST_PART + 1);
}

/* As many as there may be. cold: such a host is about to make room. */
static kmm_word most_hosts(const struct kmm_reclaim_zone *z, bool cold)
{
	kmm_word learned = since(z, KNEW), shown = COLD * unit(z), guests, most;

	if (cold) {
		guests = learned / GUEST_PART;
		most = own_pages(z) / GUEST_PART;
	} else {
		guests = learned > shown ? (learned - shown) / SLOWLY : 0; /* before that a host that is used may not have shown it */
		most = own_pages(z) / LEAST_PART;
	}
	guests += own_pages(z) / FIRST_PART;
	guests = guests < most ? guests : most;
	return all_but(z, (guests > FEWEST ? guests : FEWEST) + 1);
}

/* Units until `at`, which is now(); at most LONGEST. */
static unsigned idle_of(uint8_t age, uint8_t at)
{
	unsigned idle = (unsigned)(at - age) & STAMP;

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
	if (top * unit(z) + since(z, LOOKED) <= interval)
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

static void met_fresh(struct kmm_reclaim_zone *z, uint8_t *age)
{
	*age = GUEST;
	add(z, FRESH_MET, 1);
	if (get(z, FRESH_MET) > since(z, BEGAN_BEFORE) + own_pages(z) / LOST_PART)
		put(z, KNOWS, 0);
	if (!get(z, KNOWS) || get(z, HOSTS) < host_places(z)) /* those that are not used again become guests in time */
		become_host(z, age);
}

static bool met_guest(struct kmm_reclaim_zone *z, uint8_t *age, bool referenced)
{
	referenced |= *age == TOUCHED;
	*age = GUEST;
	if (!referenced && get(z, KNOWS)) {
		add(z, WENT, 1);
		return true;
	}
	if (!referenced || is_worth(z, 0))
		become_host(z, age);
	return false;
}

/* Shall a host that is idle for so long make room for guests? */
static bool is_called(const struct kmm_reclaim_zone *z, unsigned idle)
{
	kmm_word hosts;

	if (idle < get(z, CALLED))
		return false;
	hosts = get(z, HOSTS);
	return hosts > host_places(z) && hosts > most_hosts(z, idle >= COLD);
}

static void met_host(struct kmm_reclaim_zone *z, uint8_t *age, bool referenced)
{
	uint8_t often = *age & OFTEN, at = now(z);

	if (referenced) {
		if (idle_of(*age, at) <= SHORT)
			often = OFTEN;
		*age = (uint8_t)(HOST | often | at);
	} else if (((unsigned)(at - *age) & STAMP) > LONGEST) {
		*age = (uint8_t)(HOST | often | ((at - LONGEST) & STAMP)); /* before it comes round */
	}
	if (!referenced && is_called(z, idle_of(*age, at))) {
		*age = GUEST;
		take(z, HOSTS);
		return;
	}
	add(z, HOSTS_MET, 1);
	add(z, IDLE_MET + idle_of(*age, at), 1);
}

static bool met(struct kmm_reclaim_zone *z, uint8_t *age, bool referenced)
{
	if (*age == 0)
		met_fresh(z, age);
	else if (*age & HOST)
		met_host(z, age, referenced);
	else
		return met_guest(z, age, referenced);
	return false;
}

static bool skip(struct kmm_reclaim_zone *z, uint8_t age)
{
	return (age & HOST) && !get(z, LOOKS) && !is_called(z, idle_of(age, now(z)));
}

static void passed(struct kmm_reclaim_zone *z, uint8_t age, kmm_word nr)
{
	(void)age; /* a host's */
	add(z, HOSTS_MET, nr);
}

static uint8_t refault(struct kmm_reclaim_zone *z, uint32_t distance, uint8_t was)
{
	uint8_t age = 0;

	(void)was;
	if (is_worth(z, distance))
		become_host(z, &age);
	return age;
}

/* Calls that follow each other within a unit are one use. */
static uint8_t touched(const struct kmm_reclaim_zone *z, uint8_t age)
{
	uint8_t at = now(z);
	unsigned idle = idle_of((uint8_t)(age & ~OFTEN), at);

	if (!(age & HOST))
		return age == GUEST ? TOUCHED : age;
	if (!idle)
		return age;
	return (uint8_t)(HOST | (idle <= SHORT ? OFTEN : age & OFTEN) | at);
}

/* More hosts than places: the most idle ones are called. */
static void call_hosts(struct kmm_reclaim_zone *z)
{
	kmm_word places = host_places(z), over = get(z, HOSTS) > places ? get(z, HOSTS) - places : 0;
	unsigned at = LONGEST;

	put(z, TOP, LONGEST);
	put(z, CALLED, LONGEST + 1);
	if (!over)
		return;
	for (; at && over > get(z, IDLE + at); at--)
		over -= get(z, IDLE + at);
	put(z, CALLED, at);
}

static void take_counts(struct kmm_reclaim_zone *z)
{
	put(z, HOSTS, get(z, HOSTS_MET));
	put(z, HOSTS_MET, 0);
	put(z, FRESH_MET, 0);
	for (unsigned i = 0; i <= LONGEST && get(z, LOOKS); i++)
		put(z, IDLE + i, get(z, IDLE_MET + i));
	for (unsigned i = 0; i <= LONGEST; i++)
		put(z, IDLE_MET + i, 0);
}

static void turned(struct kmm_reclaim_zone *z)
{
	bool looked = get(z, LOOKS) || z->turns == 1;

	take_counts(z);
	put(z, BEGAN_BEFORE, get(z, BEGAN));
	put(z, BEGAN, clock_of(z));
	if (!get(z, KNOWS) && get(z, HOSTS) >= all_but(z, own_pages(z) / LEAST_PART + 1)) {
		put(z, KNOWS, 1);
		put(z, KNEW, clock_of(z));
	}
	if (looked)
		call_hosts(z);
	put(z, LOOKS, !get(z, KNOWS) || !get(z, WENT) || since(z, LOOKED) >= LOOK_EVERY * unit(z));
	put(z, WENT, 0);
	if (get(z, LOOKS))
		put(z, LOOKED, clock_of(z));
}

const struct kmm_reclaim_policy kmm_policy_idle = {
	.name = "idle", .met = met, .skip = skip, .passed = passed, .refault = refault, .touched = touched,
	.turned = turned
};
