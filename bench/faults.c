/* SPDX-License-Identifier: MIT */
/*
 * User address spaces on the hosted machine: the software cost of faults, mmap and fork, beside the same work
 * done by the host's kernel for this very process in the same run. The two are not the same measurement:
 *
 *   kmm    kmm_handle_fault() and kmm_mmap() as functions: the page is really cleared or copied and the entries
 *          really written, but no exception, system call or hardware TLB is involved (the simulated TLB is flushed)
 *   host   real accesses and real system calls, exception and TLB misses included, in a virtual machine with nested
 *          tables; its kernel also does accounting (memory groups) and makes a process where kmm makes a space
 *
 * Both clear and copy 4 KiB pages: huge pages are off for the host. The machine is x86_64 with 8 GiB, its RAM
 * touched once before, as RAM is.
 *
 * A first write costs at least what clearing its page costs, and that depends on whether the pages fit into a cache. So
 * each is measured over 64 MiB and over 4 MiB, beside clearing as many frames of the same machine by memset() alone.
 */
#include "common/bench.h"
#include "common/machine.h"
#include "kmm/mm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_PAGES = 16384, FEW_PAGES = 1024, FORK_PAGES = 1000, COW_PAGES = 4096, PAIR_BYTES = 8 * KMM_PAGE_SIZE };

/* One side. map/unmap act on the current space; touch makes page i of the area present. */
struct side {
	char name[160];
	uint64_t (*map)(uint64_t bytes);
	void (*unmap)(uint64_t at, uint64_t bytes);
	void (*protect)(uint64_t at, uint64_t bytes, unsigned prot);
	void (*touch)(uint64_t at, uint64_t nr_pages, enum kmm_access access);
	double (*fork_ns)(void);                            /* one fork, seen by the parent */
	double (*cow_ns)(uint64_t at, uint64_t nr_pages);   /* per page written by a fresh child */
};

struct run {
	const struct bench_options *options;
	const struct side *side;
	uint64_t nr_pages;
};

/* ---- kmm ---- */

static struct hosted_machine *machine;
static struct kmm *k;
static struct kmm_mm *mm;

static void must(enum kmm_status status, const char *what)
{
	if (status != KMM_OK)
		bench_die("%s: %s", what, kmm_status_name(status));
}

static uint64_t kmm_map(uint64_t bytes)
{
	struct kmm_uva at;

	must(kmm_mmap(mm, kmm_uva(0), bytes, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS,
		      NULL, 0, &at), "kmm_mmap");
	return at.v;
}

static void kmm_unmap(uint64_t at, uint64_t bytes)
{
	must(kmm_munmap(mm, kmm_uva(at), bytes), "kmm_munmap");
}

static void kmm_protect(uint64_t at, uint64_t bytes, unsigned prot)
{
	must(kmm_mprotect(mm, kmm_uva(at), bytes, prot), "kmm_mprotect");
}

static void fault_all(struct kmm_mm *space, uint64_t at, uint64_t nr_pages, enum kmm_access access)
{
	struct kmm_fault_info info = { .access = access };

	for (uint64_t i = 0; i < nr_pages; i++) {
		info.addr = kmm_uva(at + i * KMM_PAGE_SIZE);
		if (kmm_handle_fault(space, &info) != KMM_FAULT_OK)
			bench_die("fault at page %llu refused", (unsigned long long)i);
	}
}

static void kmm_touch(uint64_t at, uint64_t nr_pages, enum kmm_access access)
{
	fault_all(mm, at, nr_pages, access);
}

static struct kmm_mm *fork_space(double *ns)
{
	struct kmm_mm *child;
	uint64_t t = bench_now_ns();

	must(kmm_mm_fork(mm, &child), "kmm_mm_fork");
	*ns = (double)(bench_now_ns() - t);
	return child;
}

static double kmm_fork_ns(void)
{
	double ns;

	kmm_mm_put(fork_space(&ns));
	return ns;
}

static double kmm_cow_ns(uint64_t at, uint64_t nr_pages)
{
	double ns;
	struct kmm_mm *child = fork_space(&ns);
	uint64_t t;

	hosted_run_space(machine, child);
	t = bench_now_ns();
	fault_all(child, at, nr_pages, KMM_WRITE);
	ns = (double)(bench_now_ns() - t) / (double)nr_pages;
	hosted_run_space(machine, mm);
	kmm_mm_put(child);
	return ns;
}

static void start_machine(void)
{
	machine = bench_machine((uint64_t)8 << 30);
	k = hosted_kmm(machine);
	bench_touch_ram(k, 4 * NR_PAGES);
	must(kmm_mm_create(k, &mm), "kmm_mm_create");
	hosted_run_space(machine, mm);
}

static void stop_machine(void)
{
	hosted_put_space(machine, mm);
	hosted_shutdown(machine);
}

/* ---- the host's kernel ---- */

static uint64_t host_map(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bench_die("mmap failed");
	return (uint64_t)(uintptr_t)p;
}

static void host_unmap(uint64_t at, uint64_t bytes)
{
	if (munmap((void *)(uintptr_t)at, bytes) != 0)
		bench_die("munmap failed");
}

static void host_protect(uint64_t at, uint64_t bytes, unsigned prot)
{
	if (mprotect((void *)(uintptr_t)at, bytes, (int)prot) != 0)
		bench_die("mprotect failed");
}

static void host_touch(uint64_t at, uint64_t nr_pages, enum kmm_access access)
{
	volatile char *p = (volatile char *)(uintptr_t)at;

	for (uint64_t i = 0; i < nr_pages; i++, p += KMM_PAGE_SIZE) {
		if (access == KMM_WRITE)
			*p = 1;
		else
			(void)*p;
	}
}

static double host_fork_ns(void)
{
	uint64_t t = bench_now_ns();
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	t = bench_now_ns() - t;
	if (child < 0 || waitpid(child, NULL, 0) != child)
		bench_die("fork failed");
	return (double)t;
}

static double host_cow_ns(uint64_t at, uint64_t nr_pages)
{
	int ends[2];
	double ns = 0;
	pid_t child;

	if (pipe(ends) != 0 || (child = fork()) < 0)
		bench_die("fork failed");
	if (child == 0) {
		uint64_t t = bench_now_ns();

		host_touch(at, nr_pages, KMM_WRITE);
		ns = (double)(bench_now_ns() - t) / (double)nr_pages;
		_exit(write(ends[1], &ns, sizeof(ns)) != sizeof(ns));
	}
	if (read(ends[0], &ns, sizeof(ns)) != sizeof(ns) || waitpid(child, NULL, 0) != child)
		bench_die("the child failed");
	close(ends[0]);
	close(ends[1]);
	return ns;
}

/* ---- workloads: one repeat each ---- */

/* NR_PAGES are touched in all, nr_pages at a time. */
static double touch_once(struct run *run, uint64_t nr_pages, enum kmm_access access, double *unmap_ns)
{
	uint64_t bytes = nr_pages * KMM_PAGE_SIZE, touching = 0, unmapping = 0, all = 0;

	for (; all < run->nr_pages; all += nr_pages) {
		uint64_t at = run->side->map(bytes), t = bench_now_ns();

		run->side->touch(at, nr_pages, access);
		touching += bench_now_ns() - t;
		t = bench_now_ns();
		run->side->unmap(at, bytes);
		unmapping += bench_now_ns() - t;
	}
	*unmap_ns = (double)unmapping / (double)all;
	return (double)touching / (double)all;
}

/* Each size by itself, so that what stays in a cache is there when it is measured. unmaps may be NULL. */
static void sample_touch(struct run *run, uint64_t nr_pages, enum kmm_access access, const char *name, struct bench_samples *unmaps)
{
	struct bench_samples touches = { .nr = 0 };
	struct bench_rounds rounds = { .patient = true };
	double ns, unmap_ns;

	touch_once(run, nr_pages, access, &unmap_ns);
	while (bench_next(run->options, &rounds)) {
		ns = touch_once(run, nr_pages, access, &unmap_ns);
		if (!bench_counts(&rounds))
			continue;
		bench_add(&touches, ns);
		if (unmaps)
			bench_add(unmaps, unmap_ns);
	}
	bench_print(name, "ns", run->side->name, &touches);
}

static void bench_touch(struct run *run)
{
	struct bench_samples unmaps = { .nr = 0 };

	sample_touch(run, run->nr_pages, KMM_WRITE, "faults.anon-write", &unmaps);
	sample_touch(run, FEW_PAGES, KMM_WRITE, "faults.anon-write-4M", NULL);
	sample_touch(run, run->nr_pages, KMM_READ, "faults.zero-read", NULL);
	bench_print("faults.munmap-per-touched-page", "ns", run->side->name, &unmaps);
}

/* What no first write can be cheaper than: frames as a fault gets them, cleared and nothing else. */
static double clear_once(struct run *run, void *const *frame, uint64_t nr_pages)
{
	uint64_t t = bench_now_ns(), all = 0;

	for (; all < run->nr_pages; all += nr_pages) {
		for (uint64_t i = 0; i < nr_pages; i++) {
			memset(frame[i], 0, KMM_PAGE_SIZE);
			bench_keep(frame[i]);
		}
	}
	return (double)(bench_now_ns() - t) / (double)all;
}

static void take_frames(struct kmm_page **page, void **frame, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		page[i] = kmm_alloc_pages(k, KMM_GFP_HIGHUSER_MOVABLE, 0);
		if (!page[i])
			bench_die("the machine is too small");
		frame[i] = kmm_page_address(k, page[i]);
	}
}

static void sample_clear(struct run *run, void *const *frame, uint64_t nr_pages, const char *name)
{
	struct bench_samples samples = { .nr = 0 };
	struct bench_rounds rounds = { .patient = true };

	clear_once(run, frame, nr_pages);
	while (bench_next(run->options, &rounds)) {
		double ns = clear_once(run, frame, nr_pages);

		if (bench_counts(&rounds))
			bench_add(&samples, ns);
	}
	bench_print(name, "ns", "clearing alone", &samples);
}

static void bench_clear(struct run *run)
{
	static struct kmm_page *page[NR_PAGES];
	static void *frame[NR_PAGES];

	take_frames(page, frame, run->nr_pages);
	sample_clear(run, frame, run->nr_pages, "faults.anon-write");
	sample_clear(run, frame, FEW_PAGES < run->nr_pages ? FEW_PAGES : run->nr_pages, "faults.anon-write-4M");
	for (uint64_t i = run->nr_pages; i > 0; i--)
		kmm_free_pages(k, page[i - 1], 0);
}

static double pair_once(struct run *run)
{
	uint64_t nr = bench_scale(run->options, 100000, 100);
	uint64_t t = bench_now_ns();

	for (uint64_t i = 0; i < nr; i++)
		run->side->unmap(run->side->map(PAIR_BYTES), PAIR_BYTES);
	return (double)(bench_now_ns() - t) / (double)nr;
}

/* The middle page of eight touched ones: split on the way, merged on the way back. */
static double protect_once(struct run *run)
{
	uint64_t nr = bench_scale(run->options, 50000, 50), at = run->side->map(PAIR_BYTES);
	uint64_t middle = at + 4 * KMM_PAGE_SIZE;

	run->side->touch(at, PAIR_BYTES / KMM_PAGE_SIZE, KMM_WRITE);
	uint64_t t = bench_now_ns();
	for (uint64_t i = 0; i < nr; i++) {
		run->side->protect(middle, KMM_PAGE_SIZE, KMM_PROT_READ);
		run->side->protect(middle, KMM_PAGE_SIZE, KMM_PROT_READ | KMM_PROT_WRITE);
	}
	double ns = (double)(bench_now_ns() - t) / (double)nr;
	run->side->unmap(at, PAIR_BYTES);
	return ns;
}

static double fork_once(struct run *run)
{
	uint64_t bytes = (uint64_t)FORK_PAGES * KMM_PAGE_SIZE, at = run->side->map(bytes);

	run->side->touch(at, FORK_PAGES, KMM_WRITE);
	double ns = run->side->fork_ns();
	run->side->unmap(at, bytes);
	return ns;
}

static double cow_once(struct run *run)
{
	uint64_t bytes = (uint64_t)COW_PAGES * KMM_PAGE_SIZE, at = run->side->map(bytes);

	run->side->touch(at, COW_PAGES, KMM_WRITE);
	double ns = run->side->cow_ns(at, COW_PAGES);
	run->side->unmap(at, bytes);
	return ns;
}

static void measure(struct run *run, const char *name, double (*once)(struct run *run))
{
	struct bench_samples samples = { .nr = 0 };
	struct bench_rounds rounds = { .patient = true };

	if (!bench_wants(run->options, name))
		return;
	once(run);
	while (bench_next(run->options, &rounds)) {
		double ns = once(run);

		if (bench_counts(&rounds))
			bench_add(&samples, ns);
	}
	bench_print(name, "ns", run->side->name, &samples);
}

static void run_side(struct run *run, const struct side *side)
{
	run->side = side;
	if (bench_wants(run->options, "faults.touch"))
		bench_touch(run);
	measure(run, "faults.cow-copy", cow_once);
	measure(run, "faults.mmap+munmap-8-pages", pair_once);
	measure(run, "faults.mprotect-split+merge", protect_once);
	measure(run, "faults.fork-1000-pages", fork_once);
}

int main(int argc, char **argv)
{
	static const struct side kmm_side = { "kmm", kmm_map, kmm_unmap, kmm_protect, kmm_touch, kmm_fork_ns, kmm_cow_ns };
	struct side host_side = { "", host_map, host_unmap, host_protect, host_touch, host_fork_ns, host_cow_ns };
	struct bench_options options;
	struct run run = { .options = &options };
	struct utsname host;

	bench_parse(argc, argv, &options);
	run.nr_pages = bench_scale(&options, NR_PAGES, 512);
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
		bench_die("cannot turn huge pages off");
	if (uname(&host) != 0)
		bench_die("uname failed");
	snprintf(host_side.name, sizeof(host_side.name), "host %s %s (real faults)", host.sysname, host.release);
	run_side(&run, &host_side); /* first, while this process is small */
	start_machine();
	if (bench_wants(&options, "faults.touch"))
		bench_clear(&run);
	run_side(&run, &kmm_side);
	stop_machine();
	return 0;
}
