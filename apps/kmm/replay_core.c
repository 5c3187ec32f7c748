/* SPDX-License-Identifier: MIT */
/*
 * Replaying on a simulated machine.
 *
 * A program's share cannot be set exactly: tables, watermarks and batches take some frames too. So the machine is built
 * with too many, of which a kernel allocation holds a part; a first run of the first program says how many that
 * got, and the part is corrected by the difference.
 */
#include "replay_core.h"

#include "command.h"
#include "compress.h"
#include "hosted.h"
#include "kmm/reclaim.h"

#include <stdlib.h>

#define PAGE_SHIFT 12
#define BASE UINT64_C(0x100000000) /* where the program has its pages */
#define LOOK_EVERY 16
#define SPARE_FRAMES 8192u         /* of the kernel: image of the machine, tables, watermarks */

static const struct kmm_reclaim_policy *const policies[NR_CORE_POLICIES] = { &kmm_policy_idle, &kmm_policy_clock, &kmm_policy_gen };
static const char *const names[NR_CORE_POLICIES] = { "kmm-idle", "kmm-clock", "kmm-gen" };

struct run {
	const char *command;
	const struct sequence *s;
	struct hosted_machine *m;
	struct hosted_swap *swap;
	struct kmm_mm *mm;
	unsigned zswap_percent; /* of the frames; 0: no compressed swap */
	uint32_t peak;     /* frames had at most, as far as was seen */
	uint32_t *written; /* by page: its last access, counted from 1 */
};

const char *core_policy_name(unsigned i)
{
	return names[i];
}

/* ---- the machine ---- */

/* Frames that nobody else gets; they go with the machine. */
static void hold(const struct run *r, uint32_t nr)
{
	struct kmm_page *page;

	while (nr--)
		if (!(page = kmm_alloc_pages(hosted_kmm(r->m), KMM_GFP_KERNEL, 0)))
			fail(r->command, EXIT_UNSUPPORTED, "the simulated machine has no memory left for itself");
}

/* The core's part is one of all memory. */
static void start_zswap(const struct run *r, uint32_t frames)
{
	unsigned percent = (unsigned)(((uint64_t)frames * r->zswap_percent + (frames + SPARE_FRAMES) / 2) / (frames + SPARE_FRAMES));
	enum kmm_status status = KMM_OK;

	if (r->zswap_percent)
		status = kmm_zswap_on(hosted_kmm(r->m), host_compressor(), percent ? percent : 1);
	if (status != KMM_OK)
		fail(r->command, EXIT_UNSUPPORTED, "no room for compressed swap");
}

/* A new program, of r->s. */
static void start_program(struct run *r)
{
	uint64_t bytes = (uint64_t)r->s->nr_pages << PAGE_SHIFT;
	struct kmm_uva at;

	r->written = must_alloc(calloc(r->s->nr_pages, sizeof(r->written[0])));
	if (kmm_mm_create(hosted_kmm(r->m), &r->mm) != KMM_OK ||
	    kmm_mmap(r->mm, kmm_uva(BASE), bytes, KMM_PROT_READ | KMM_PROT_WRITE,
		     KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS | KMM_MAP_FIXED | KMM_MAP_NORESERVE, NULL, 0, &at) != KMM_OK)
		fail(r->command, EXIT_UNSUPPORTED, "the simulated machine is too small for the sequence");
	hosted_run_space(r->m, r->mm);
}

static void end_program(struct run *r)
{
	hosted_put_space(r->m, r->mm);
	free(r->written);
}

/* swap_pages: what the largest program may need. */
static void build(struct run *r, unsigned policy, uint32_t frames, uint32_t held, uint32_t swap_pages)
{
	struct hosted_config config = { .ram_bytes = ((uint64_t)frames + SPARE_FRAMES) << PAGE_SHIFT };
	uint64_t bytes = (uint64_t)swap_pages << PAGE_SHIFT;
	const char *why = "";

	config.machine.format = KMM_X86_64;
	if (hosted_boot(&config, &r->m, &why) != KMM_OK)
		fail(r->command, EXIT_UNSUPPORTED, "the simulated machine does not boot: %s", why);
	kmm_reclaim_set_policy(hosted_kmm(r->m), policies[policy]);
	r->swap = hosted_swap_open(r->m, bytes + (UINT64_C(1) << 20));
	if (!r->swap || kmm_swap_on(hosted_kmm(r->m), hosted_swap_device(r->swap), -1) != KMM_OK)
		fail(r->command, EXIT_UNSUPPORTED, "no room for %llu MiB of swap", (unsigned long long)(bytes >> 20));
	start_zswap(r, frames);
	hold(r, held);
}

static void tear_down(struct run *r)
{
	r->peak = 0;
	hosted_shutdown(r->m);
	hosted_swap_close(r->swap);
}

/* The program's frames, and those with its compressed pages; the largest sum of both that was seen. */
static uint32_t peak(struct run *r)
{
	struct kmm_zswap_stats zswap;
	struct kmm_mm_stats stats;
	uint64_t now;

	kmm_mm_stats(r->mm, &stats);
	kmm_zswap_stats(hosted_kmm(r->m), &zswap);
	now = r->zswap_percent ? (uint64_t)stats.rss_anon + zswap.frames : stats.peak_rss;
	r->peak = now > r->peak ? (uint32_t)now : r->peak;
	return r->peak;
}

/* ---- accesses ---- */

/* All but the first bytes of a page; the second half of it is chance. */
static struct hosted_result fill_half(struct run *r, uint32_t page)
{
	uint32_t words[(1u << PAGE_SHIFT) / sizeof(uint32_t)], state = page + 1;
	const size_t skip = 4;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		state = state * 1664525u + 1013904223u;
		words[i] = i < sizeof(words) / sizeof(words[0]) / 2 ? page : state;
	}
	return hosted_write_user(r->m, r->mm, BASE + ((uint64_t)page << PAGE_SHIFT) + skip * sizeof(words[0]), words + skip,
				 sizeof(words) - skip * sizeof(words[0]));
}

static void access_page(struct run *r, size_t i)
{
	uint32_t page = r->s->page[i];
	uint64_t value = (uint64_t)page << 32 | (i + 1);
	struct hosted_result done = hosted_write_user(r->m, r->mm, BASE + ((uint64_t)page << PAGE_SHIFT), &value, sizeof(value));

	if (done.ok && r->zswap_percent && !r->written[page])
		done = fill_half(r, page);
	if (!done.ok)
		fail(r->command, EXIT_NO, "access %zu: signal %d; the machine is out of memory", i, done.signal);
	r->written[page] = (uint32_t)(i + 1);
	if (r->zswap_percent && i % LOOK_EVERY == 0)
		peak(r);
}

static void verify(struct run *r)
{
	for (uint32_t page = 0; page < r->s->nr_pages; page++) {
		uint64_t value, expected = (uint64_t)page << 32 | r->written[page];
		struct hosted_result done = hosted_read_user(r->m, r->mm, BASE + ((uint64_t)page << PAGE_SHIFT), &value, sizeof(value));

		if (!done.ok || (r->written[page] && value != expected))
			fail(r->command, EXIT_NO, "page %u came back as 0x%llx, not 0x%llx: that is a mistake of kmm's", page,
			     (unsigned long long)value, (unsigned long long)expected);
	}
}

static uint64_t pages_read(const struct run *r)
{
	struct kmm_swap_stats stats;

	kmm_swap_stats(hosted_kmm(r->m), &stats);
	return (uint64_t)stats.in + stats.same_in;
}

static uint64_t pages_unpacked(const struct run *r)
{
	struct kmm_zswap_stats zswap;

	kmm_zswap_stats(hosted_kmm(r->m), &zswap);
	return zswap.in;
}

/* How many frames to hold, so that the program gets as many as it may have. */
static uint32_t calibrate(struct run *r, unsigned policy, uint32_t frames, uint32_t swap_pages)
{
	uint32_t held = 0, had;

	build(r, policy, frames, held, swap_pages);
	start_program(r);
	for (size_t i = 0; i < r->s->nr; i++)
		access_page(r, i);
	had = peak(r);
	end_program(r);
	tear_down(r);
	return had > frames ? had - frames : 0;
}

static void run_program(struct run *r, struct replay_counts out[SEQUENCE_PHASES])
{
	const struct sequence *s = r->s;
	size_t i = 0;

	start_program(r);
	for (unsigned phase = 0; phase < s->nr_phases; phase++) {
		uint64_t before = pages_read(r), unpacked = pages_unpacked(r), first = 0;

		for (out[phase].accesses = 0; i < s->phase[phase].end; i++, out[phase].accesses++) {
			first += !r->written[s->page[i]];
			access_page(r, i);
		}
		out[phase].first = first;
		out[phase].major = pages_read(r) - before;
		out[phase].unpacked = pages_unpacked(r) - unpacked;
	}
	peak(r);
	verify(r);
	end_program(r);
}

void core_run(const char *command, unsigned policy, const struct sequence *s, unsigned nr, unsigned zswap_percent, uint32_t *frames,
	      struct replay_counts out[][SEQUENCE_PHASES])
{
	struct run r = { .command = command, .s = s, .zswap_percent = zswap_percent };
	uint32_t most = 0;

	for (unsigned i = 0; i < nr; i++)
		most = s[i].nr_pages > most ? s[i].nr_pages : most;
	build(&r, policy, *frames, calibrate(&r, policy, *frames, most), most);
	for (unsigned i = 0; i < nr; i++) {
		r.s = &s[i];
		run_program(&r, out[i]);
	}
	*frames = r.peak;
	tear_down(&r);
}
