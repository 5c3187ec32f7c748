/* SPDX-License-Identifier: MIT */
/*
 * life.c - the story of one page: with life=ADDRESS on the command line each thing that happens at that address, in whatever
 * space, is a line of the log, for `kmm life` to tell:
 *
 *	life: zero FRAME                 the frame that untouched memory reads from
 *	life: map|unmap 0 0              an area begins or ends to cover the address
 *	life: fault ACCESS 0             0 read, 1 write, 2 fetch
 *	life: entry RAW ROOT             the entry became this, in the space with these tables
 *
 * The core tells it by its trace hook, with its locks held, so nothing is asked back.
 */
#include "kmm/observe.h"
#include "os.h"

static uint64_t life_at;

static void say(const char *what, uint64_t a, uint64_t b)
{
	klog("life: %s %llx %llx", what, (unsigned long long)a, (unsigned long long)b);
}

static void note(void *arg, const struct kmm_trace_event *e)
{
	bool here = (e->a & ~(uint64_t)(KMM_PAGE_SIZE - 1)) == life_at, around = e->a <= life_at && life_at < e->b;

	(void)arg;
	if (e->id == KMM_EV_PT_SET && here && e->c == 0)
		say("entry", e->b, e->d);
	else if (e->id == KMM_EV_FAULT && here)
		say("fault", e->b, 0);
	else if (e->id == KMM_EV_MMAP && around)
		say("map", 0, 0);
	else if (e->id == KMM_EV_MUNMAP && around)
		say("unmap", 0, 0);
}

/* What a space of nothing but untouched memory reads. 0: there is no memory for one. */
static uint64_t zero_frame(void)
{
	const struct kmm_uva at = kmm_uva(0x10000000);
	struct kmm_walk walk = { .mapped = false };
	struct kmm_uva got;
	struct kmm_mm *mm;
	char byte;

	if (kmm_mm_create(os.k, &mm) != KMM_OK)
		return 0;
	if (kmm_mmap(mm, at, KMM_PAGE_SIZE, KMM_PROT_READ, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS | KMM_MAP_FIXED, NULL, 0, &got) ==
		    KMM_OK && kmm_copy_in(mm, &byte, got, 1, NULL) == KMM_OK)
		kmm_walk(os.k, kmm_mm_root(mm), got.v, &walk);
	kmm_mm_put(mm);
	return walk.mapped ? walk.pa.v >> KMM_PAGE_SHIFT : 0;
}

void life_start(const char *address)
{
	uint64_t at = 0;

	for (const char *p = address; *p; p++) {
		unsigned digit = *p <= '9' ? (unsigned)(*p - '0') : (unsigned)((*p | 32) - 'a') + 10;

		if (digit > 15)
			os_leave(OS_EXIT_INPUT, "life=ADDRESS: hexadecimal digits alone");
		at = at << 4 | digit;
	}
	life_at = at & ~(uint64_t)(KMM_PAGE_SIZE - 1);
	say("zero", zero_frame(), 0);
	kmm_set_trace(os.k, note, NULL);
}
