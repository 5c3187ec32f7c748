/* SPDX-License-Identifier: MIT */
/* exceptions.c - see exceptions.h. */
#include "oracle/exceptions.h"

#include "oracle/look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- areas that only one of the two has merged ---- */

enum { MOST_AREAS = 512 };
struct area {
	unsigned long start, end, offset;
	char rights[5], name[64];
};

static bool next_line(const char **text, const char *end, char line[256])
{
	const char *stop;
	size_t len;

	if (*text >= end)
		return false;
	stop = memchr(*text, '\n', (size_t)(end - *text));
	len = (size_t)((stop ? stop : end) - *text);
	if (len > 255)
		len = 255;
	memcpy(line, *text, len);
	line[len] = 0;
	*text = stop ? stop + 1 : end;
	return true;
}

static unsigned long long hex(const char *p, char **end)
{
	return strtoull(p, end, 16);
}

static void parse_area(const char *line, struct area *a)
{
	char *p;

	memset(a, 0, sizeof(*a));
	a->start = hex(line, &p);
	a->end = hex(p + 1, &p);
	memcpy(a->rights, p + 1, 4);
	a->offset = hex(p + 6, &p);
	strncpy(a->name, p + 1, sizeof(a->name) - 1);
	if (strcmp(a->name, "[heap]") == 0) /* what is called so depends on what it was merged with */
		a->name[0] = 0;
}

static bool continues(const struct area *a, const struct area *b)
{
	bool file = strncmp(a->name, "file", 4) == 0;

	return a->end == b->start && !strcmp(a->rights, b->rights) && !strcmp(a->name, b->name) &&
	       (!file || a->offset + (a->end - a->start) == b->offset);
}

/* The areas of a look, neighbours that look alike taken together. */
static unsigned united_areas(const char *text, uint32_t len, struct area *out, unsigned room)
{
	const char *end = text + len;
	char line[256];
	unsigned nr = 0;

	while (next_line(&text, end, line)) {
		struct area area;

		if (line[0] == ' ' || line[0] == '=')
			continue;
		parse_area(line, &area);
		if (nr && continues(&out[nr - 1], &area))
			out[nr - 1].end = area.end;
		else if (nr < room)
			out[nr++] = area;
	}
	return nr;
}

/* Is the page shown however the area is cut? Looks show the pages near both ends of each area only. */
static bool is_always_shown(const struct area *area, unsigned nr, unsigned long at)
{
	for (unsigned i = 0; i < nr; i++)
		if (at >= area[i].start && at < area[i].end)
			return at - area[i].start < LOOK_MOST_PAGES * ORACLE_PAGE || area[i].end - at <= LOOK_MOST_PAGES * ORACLE_PAGE;
	return true;
}

/* The answer, and the pages that are shown however the areas are cut, as one sum. */
static uint64_t sum_of_others(const char *text, uint32_t len, const struct area *area, unsigned nr)
{
	const char *end = text + len;
	uint64_t sum = 14695981039346656037u;
	char line[256];

	while (next_line(&text, end, line)) {
		if (line[0] != '=' && !(line[0] == ' ' && is_always_shown(area, nr, (unsigned long)strtoull(line, NULL, 16))))
			continue;
		for (const char *p = line; *p; p++)
			sum = (sum ^ (uint8_t)*p) * 1099511628211u;
	}
	return sum;
}

/* 6.1 calls an area the heap that begins where the heap ends. */
static bool differs_by_heap_name(const struct difference *d)
{
	const char *a = d->native_text, *b = d->machine_text, *a_end = a + d->native_len, *b_end = b + d->machine_len;
	char la[256], lb[256];
	bool more = true;

	while (more) {
		more = next_line(&a, a_end, la);
		if (more != next_line(&b, b_end, lb))
			return false;
		if (more && strcmp(la, lb) != 0 && !(strstr(lb, " [heap]") && strncmp(la, lb, strlen(lb) - 6) == 0))
			return false;
	}
	return true;
}

static struct area united[2][MOST_AREAS]; /* of the live kernel, of the machine */

/* Are they the same but for where they are cut? Returns how many; 0: no. */
static unsigned united_alike(const struct difference *d)
{
	struct area *a = united[0], *b = united[1];
	unsigned nr = united_areas(d->native_text, d->native_len, a, MOST_AREAS);

	if (nr != united_areas(d->machine_text, d->machine_len, b, MOST_AREAS))
		return 0;
	for (unsigned i = 0; i < nr; i++)
		if (a[i].start != b[i].start || a[i].end != b[i].end || strcmp(a[i].rights, b[i].rights) || strcmp(a[i].name, b[i].name))
			return 0;
	return nr;
}

static bool differs_by_merging(const struct difference *d)
{
	unsigned nr = united_alike(d);

	return nr && sum_of_others(d->native_text, d->native_len, united[0], nr) ==
			     sum_of_others(d->machine_text, d->machine_len, united[1], nr);
}

/* How many rows begin in the area. */
static unsigned rows_in(const char *text, uint32_t len, const struct area *area)
{
	const char *end = text + len;
	unsigned nr = 0;
	char line[256];

	while (next_line(&text, end, line))
		if (line[0] != ' ' && line[0] != '=') {
			unsigned long start = (unsigned long)strtoull(line, NULL, 16);

			nr += start >= area->start && start < area->end;
		}
	return nr;
}

/* Is each page that only the first text shows in an area that the two cut differently? */
static bool only_cut_areas_have_more(const struct difference *d, const char *text, uint32_t len, const char *other, uint32_t other_len,
				     unsigned nr)
{
	const char *end = text + len;
	char line[256];

	while (next_line(&text, end, line)) {
		const struct area *area = united[0];
		unsigned long at = (unsigned long)strtoull(line, NULL, 16);

		if (line[0] != ' ' || memmem(other, other_len, line, strlen(line)))
			continue;
		while (area < united[0] + nr && !(at >= area->start && at < area->end))
			area++;
		if (area == united[0] + nr || rows_in(d->native_text, d->native_len, area) == rows_in(d->machine_text, d->machine_len, area))
			return false;
	}
	return true;
}

/* What is read around a fault ends with its area, and the areas are cut differently because of a flag that only later Linux has. */
static bool maps_stacks_apart(const struct difference *d)
{
	enum { STACK = 0x20000 };
	bool has_stack = false, access = d->native.sig || d->machine.sig;
	unsigned nr;

	for (unsigned i = 0; i < d->at; i++)
		has_stack |= d->steps[i].op == OP_MMAP && (d->steps[i].flags & STACK);
	nr = has_stack && !access && d->native.err == d->machine.err && d->native.ret == d->machine.ret ? united_alike(d) : 0;
	return nr && only_cut_areas_have_more(d, d->native_text, d->native_len, d->machine_text, d->machine_len, nr) &&
	       only_cut_areas_have_more(d, d->machine_text, d->machine_len, d->native_text, d->native_len, nr);
}

/* ---- orders of checks ---- */

static bool mremap_arguments_first(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MREMAP && d->native.err && (d->machine.err || s->new_len > INT64_MAX);
}

static bool moves_many_areas(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MREMAP && (s->flags & 3) == 3 && (s->len - 1) / ORACLE_PAGE == (s->new_len - 1) / ORACLE_PAGE &&
	       d->machine.err == EFAULT && d->native.err != EFAULT;
}

static bool rounds_lengths_first(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MREMAP && (s->flags & 5) == 5 && s->len != s->new_len && d->machine.err == EINVAL &&
	       (s->len - 1) / ORACLE_PAGE == (s->new_len - 1) / ORACLE_PAGE;
}

/* Since 6.17 or so what is moved is counted once more. */
static bool counts_locks_twice(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];
	bool left = false, refused = d->native.err == EAGAIN || (d->native.err == ENOMEM && (s->op == OP_MLOCK || s->op == OP_MLOCKALL));

	for (unsigned i = 0; i < d->at; i++)
		left |= d->steps[i].op == OP_MREMAP && (d->steps[i].flags & 5) == 5;
	return left && refused && d->machine.err != d->native.err;
}

static bool forgets_soft_dirty(const struct difference *d)
{
	bool cleared = false;

	for (unsigned i = 0; i < d->at; i++)
		cleared |= d->steps[i].op == OP_CLEAR_REFS && d->steps[i].flags == 4;
	return cleared && d->steps[d->at].op == OP_REMAP_PAGES && !d->native.err && d->machine.err == EINVAL;
}

static bool is_advice(const struct difference *d, uint32_t least, uint32_t most)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MADVISE && s->flags >= least && s->flags <= most;
}

static bool breaks_hardware(const struct difference *d)
{
	return is_advice(d, 100, 101) && d->native.err == EINVAL;
}

static bool populates_beyond_holes(const struct difference *d)
{
	return is_advice(d, 22, 23) && d->native.err == ENOMEM && d->machine.err;
}

static bool maps_droppable(const struct difference *d)
{
	const struct step *s = &d->steps[d->at];

	return s->op == OP_MMAP && (s->flags & 15) == 8 && d->machine.err == EINVAL;
}

/* The machine has the host's vm.mmap_min_addr, which fixed places keep to. */
static bool grows_below_what_is_built_in(const struct difference *d)
{
	enum { SEGV = 11, BUILT_IN = 65536 };
	const struct step *s = &d->steps[d->at];
	bool is_call = s->op == OP_COPYIN || s->op == OP_PREAD;

	if (is_call)
		return d->native.err == EFAULT && !d->machine.err && s->at.base == BASE_ABSOLUTE && s->at.offset < BUILT_IN;
	return d->native.sig == SEGV && d->native.addr < BUILT_IN && !d->machine.sig;
}

/* ---- the list ---- */

struct exception oracle_exceptions[] = {
	{ "heap-name", "Linux up to 6.5 also calls an area [heap] that begins where the heap ends", differs_by_heap_name, true, 0 },
	{ "mremap-order", "6.1's mremap unmaps the target before all is checked, and shrinks by 0 whatever the length; later the checks "
			  "come first, in another order", mremap_arguments_first, false, 0 },
	{ "mremap-many", "Linux from 6.17 on moves several areas, and the holes between them, in one call", moves_many_areas, false, 0 },
	{ "mremap-rounds", "6.1 compares the lengths of MREMAP_DONTUNMAP as they are given, later ones what they are rounded to",
	  rounds_lengths_first, false, 0 },
	{ "dontunmap-locks", "the host's Linux counts locked pages that MREMAP_DONTUNMAP moves once more; 6.1 leaves the count as it was",
	  counts_locks_twice, false, 0 },
	{ "soft-dirty", "the host's Linux is built without MEM_SOFT_DIRTY; with it, remap_file_pages() over areas is refused when one of "
			"them is new since clear_refs and another is not", forgets_soft_dirty, false, 0 },
	{ "droppable", "Linux from 6.11 on has a type of mapping with the number 8, MAP_DROPPABLE", maps_droppable, false, 0 },
	{ "low-stack", "a stack grows down to the least address built into the host's Linux, even if vm.mmap_min_addr is less; Debian's "
		       "6.1 has the same number in both", grows_below_what_is_built_in, false, 0 },
	{ "hwpoison", "the host's Linux is built without MEMORY_FAILURE", breaks_hardware, false, 0 },
	{ "populate-hole", "6.1 goes on behind a hole when it populates; later ones stop there", populates_beyond_holes, false, 0 },
	{ "merge-6.1", "Linux from 6.2 on merges areas that 6.1 leaves apart, and the other way round", differs_by_merging, false, 0 },
	{ "stack-apart", "Linux from 6.7 on keeps MAP_STACK in mind, as no huge pages, so such areas do not merge with others, and less is "
			 "read around a fault in them", maps_stacks_apart, false, 0 },
};
const unsigned oracle_nr_exceptions = sizeof(oracle_exceptions) / sizeof(oracle_exceptions[0]);

const struct guest_exception oracle_guest_exceptions[] = {
	{ "pae-nx", "i386-pae", "qemu64,-nx", "6.1 keeps 32 bits of the 64 that protect a page (vm_get_page_prot()), so with PAE all that can be "
	  "read can be fetched; kmm forbids it where the processor can, so both run on one that cannot" },
};
const unsigned oracle_nr_guest_exceptions = sizeof(oracle_guest_exceptions) / sizeof(oracle_guest_exceptions[0]);

/* What is behind the hole may have got private pages on one side, which only a fork shows. */
const struct exception *oracle_hidden(const struct difference *d)
{
	for (unsigned i = 0; i < oracle_nr_exceptions; i++)
		if (oracle_exceptions[i].covers == populates_beyond_holes && populates_beyond_holes(d)) {
			oracle_exceptions[i].fired++;
			return &oracle_exceptions[i];
		}
	return NULL;
}

const struct exception *oracle_excuse(const struct difference *d)
{
	for (unsigned i = 0; i < oracle_nr_exceptions; i++)
		if (oracle_exceptions[i].covers(d)) {
			oracle_exceptions[i].fired++;
			return &oracle_exceptions[i];
		}
	return NULL;
}
