/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine: its memory map, both modes, accesses of ring 3 and of the kernel through the software
 * MMU, flushes between CPUs, sleeping, fatal errors.
 */
#include "harness/test.h"

#include "hosted.h"
#include "kmm/kmap.h"
#include "kmm/observe.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = KMM_PAGE_SIZE };
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

static struct hosted_machine *boot(enum kmm_format_id format, uint64_t ram, bool strict)
{
	struct hosted_config config = { .machine.format = format, .ram_bytes = ram, .strict = strict,
					.log = HOSTED_LOG_KEEP };
	struct hosted_machine *m;

	return hosted_boot(&config, &m, NULL) == KMM_OK ? m : NULL;
}

/* Does fn crash? In a child, silently. */
static bool crashes(void (*fn)(void *arg), void *arg)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		close(STDERR_FILENO);
		fn(arg);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void read_byte(void *arg)
{
	(void)*(volatile char *)arg;
}

/* ---- the map ---- */

KMM_TEST(hosted_pc_map_moves_ram_behind_the_devices)
{
	struct kmm_memrange map[HOSTED_PC_RANGES];

	CHECK_EQ(hosted_pc_map(MIB(1), map), 0);
	CHECK_EQ(hosted_pc_map(GIB(1), map), 7);
	CHECK_EQ(map[4].start, MIB(1));
	CHECK_EQ(map[4].start + map[4].size, GIB(1) - 128 * 1024);
	CHECK_EQ(hosted_pc_map(GIB(4), map), 8);
	CHECK_EQ(map[4].start + map[4].size, GIB(3) - 128 * 1024);
	CHECK_EQ(map[7].start, GIB(4));
	CHECK_EQ(map[7].size, GIB(1));
	CHECK_EQ(hosted_pc_map(GIB(3) + MIB(256), map), 7); /* less than 3.5 GiB stay in one piece */
}

/* Spanned and present pages of Debian's 6.1 686-pae kernel in QEMU with 3 GiB. */
KMM_TEST(hosted_zones_of_a_pc_match_linux)
{
	struct hosted_config config = { .machine.format = KMM_I386_PAE, .ram_bytes = GIB(3) };
	static const uint64_t spanned[] = { 4095, 0, 221182, 561122 }, present[] = { 3998, 0, 221182, 561122 };
	struct hosted_machine *m;
	struct kmm_zone_info zone;

	config.machine.windows = kmm_windows_linux_6_1();
	CHECK_OK(hosted_boot(&config, &m, NULL));
	CHECK_EQ(kmm_layout_of(hosted_kmm(m))->lowmem_end, 0x36ffe000);
	for (unsigned z = KMM_ZONE_DMA; z <= KMM_ZONE_HIGHMEM; z++) {
		if (!kmm_zone_info(hosted_kmm(m), (enum kmm_zone_id)z, &zone))
			continue;
		CHECK_EQ(zone.spanned, spanned[z]);
		CHECK_EQ(zone.present, present[z]);
	}
	hosted_shutdown(m);
}

KMM_TEST(hosted_boot_refuses_with_a_sentence)
{
	struct hosted_config tiny = { .machine.format = KMM_I386, .ram_bytes = MIB(1) };
	struct kmm_memrange none = { 0, GIB(1), KMM_MEM_RESERVED, NULL };
	struct hosted_config empty = { .machine = { .format = KMM_I386, .map = &none, .nr_map = 1 } };
	struct hosted_machine *m;
	const char *why = NULL;

	CHECK_EQ(hosted_boot(&tiny, &m, &why), KMM_EINVAL);
	CHECK(why && *why);
	CHECK_EQ(hosted_boot(&empty, &m, &why), KMM_ERANGE);
	CHECK(why && *why);
}

KMM_TEST(hosted_boots_64_tib_sparsely)
{
	struct hosted_machine *m = boot(KMM_X86_64, UINT64_C(64) << 40, false);
	struct hosted_usage usage;

	CHECK(m);
	hosted_usage(m, &usage);
	CHECK(usage.ram_bytes + usage.state_bytes < GIB(1));
	CHECK(usage.arena_bytes >= UINT64_C(63) << 40);
	hosted_shutdown(m);
}

/* ---- both modes, all formats ---- */

/* A pattern written through a pointer is read at its kernel address by the CPU. */
static bool cpu_reads(struct hosted_machine *m, const char *ptr, size_t len)
{
	char buf[256];
	uint64_t va = kmm_ptr_to_kva(hosted_kmm(m), ptr).v;

	return len <= sizeof(buf) && hosted_kernel_access(m, va, KMM_READ, buf, len, NULL) && memcmp(buf, ptr, len) == 0;
}

static void check_vmalloc(struct hosted_machine *m)
{
	char *area = kmm_vmalloc(hosted_kmm(m), 9 * PAGE, "test");

	CHECK(area);
	for (unsigned i = 0; i < 9 * PAGE; i++)
		area[i] = (char)(i * 7);
	CHECK(cpu_reads(m, area + 3 * PAGE - 100, 200));
	CHECK(crashes(read_byte, area + 9 * PAGE));
	kmm_vfree(hosted_kmm(m), area);
}

static void check_views(struct hosted_machine *m, bool strict)
{
	struct kmm *k = hosted_kmm(m);
	struct kmm_page *page = kmm_alloc_cleared_page(k, KMM_GFP_HIGHUSER);
	char *view;

	CHECK(page);
	view = kmm_kmap_local(k, page);
	strcpy(view, "seen by the bus");
	CHECK_STR((char *)hosted_phys(m, (uint64_t)kmm_page_to_pfn(k, page).v * PAGE), "seen by the bus");
	if (strict)
		CHECK(cpu_reads(m, view, 16));
	kmm_kunmap_local(k, view);
	view = kmm_kmap(k, page);
	CHECK_STR(view, "seen by the bus");
	if (strict)
		CHECK(cpu_reads(m, view, 16));
	kmm_kunmap(k, page);
	kmm_put_page(k, page);
}

static void check_machine(enum kmm_format_id format, uint64_t ram, bool strict)
{
	struct hosted_machine *m = boot(format, ram, strict);
	char *object;

	CHECK(m);
	object = kmm_kmalloc(hosted_kmm(m), 100, KMM_GFP_KERNEL);
	CHECK(object);
	memset(object, 'k', 100);
	CHECK(cpu_reads(m, object, 100));
	kmm_kfree(hosted_kmm(m), object);
	CALL(check_vmalloc(m));
	CALL(check_views(m, strict));
	hosted_shutdown(m);
}

KMM_TEST(hosted_fast_machines_of_all_formats)
{
	for (unsigned f = 0; f < KMM_NR_FORMATS; f++)
		CALL(check_machine((enum kmm_format_id)f, GIB(2), false));
}

KMM_TEST(hosted_strict_machines_of_all_formats)
{
	for (unsigned f = 0; f < KMM_NR_FORMATS; f++)
		CALL(check_machine((enum kmm_format_id)f, GIB(2), true));
}

KMM_TEST(hosted_strict_mode_hides_high_frames)
{
	struct hosted_machine *m = boot(KMM_I386_PAE, GIB(2), true);
	struct kmm_page *page;
	char *view, *arena;

	CHECK(m);
	page = kmm_alloc_pages(hosted_kmm(m), KMM_GFP_HIGHUSER, 0);
	CHECK(page);
	CHECK(kmm_page_to_pfn(hosted_kmm(m), page).v >= kmm_layout_of(hosted_kmm(m))->lowmem_end / PAGE);
	arena = kmm_port_of(hosted_kmm(m))->direct_map;
	CHECK(crashes(read_byte, arena + (uint64_t)kmm_page_to_pfn(hosted_kmm(m), page).v * PAGE));
	CHECK(!crashes(read_byte, arena + MIB(2)));
	view = kmm_kmap_local(hosted_kmm(m), page);
	CHECK(!crashes(read_byte, view));
	kmm_kunmap_local(hosted_kmm(m), view);
	CHECK(crashes(read_byte, view));
	hosted_shutdown(m);
}

KMM_TEST(hosted_machines_share_nothing)
{
	struct hosted_machine *a = boot(KMM_I386, GIB(1), false), *b = boot(KMM_X86_64, GIB(8), true);
	struct kmm_memory_stats before, after;
	void *object;

	CHECK(a && b);
	kmm_memory_stats(hosted_kmm(b), &before);
	object = kmm_kmalloc(hosted_kmm(a), 5000, KMM_GFP_KERNEL);
	memset(object, 0xee, 5000);
	kmm_memory_stats(hosted_kmm(b), &after);
	CHECK_EQ(before.free_pages, after.free_pages);
	hosted_shutdown(a);
	CHECK(kmm_kmalloc(hosted_kmm(b), 5000, KMM_GFP_KERNEL));
	hosted_shutdown(b);
}

/* ---- ring 3 ---- */

static uint64_t map_anonymous(struct kmm_mm *mm, uint64_t pages, unsigned prot)
{
	struct kmm_uva at;

	if (kmm_mmap(mm, kmm_uva(0), pages * PAGE, prot, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL, 0, &at))
		return 0;
	return at.v;
}

#define SIGNAL(result, number, how, where)          \
	do {                                        \
		struct hosted_result got = (result); \
		CHECK(!got.ok);                     \
		CHECK_EQ(got.signal, (number));     \
		CHECK_EQ(got.code, (how));          \
		CHECK_EQ(got.addr, (where));        \
	} while (0)

static void check_user_access(enum kmm_format_id format)
{
	struct hosted_machine *m = boot(format, GIB(1), false);
	const struct kmm_layout *l;
	struct kmm_mm *mm;
	char text[16] = "over the edge";
	uint64_t at, readonly;

	CHECK(m);
	l = kmm_layout_of(hosted_kmm(m));
	CHECK_OK(kmm_mm_create(hosted_kmm(m), &mm));
	at = map_anonymous(mm, 4, KMM_PROT_READ | KMM_PROT_WRITE);
	readonly = map_anonymous(mm, 1, KMM_PROT_READ);
	CHECK(at && readonly);
	CHECK(hosted_write_user(m, mm, at + PAGE - 5, text, sizeof(text)).ok);
	memset(text, 0, sizeof(text));
	CHECK(hosted_read_user(m, mm, at + PAGE - 5, text, sizeof(text)).ok);
	CHECK_STR(text, "over the edge");
	CHECK(hosted_read_user(m, mm, readonly, text, 1).ok);
	CHECK_EQ(text[0], 0);
	SIGNAL(hosted_write_user(m, mm, readonly + 7, text, 1), 11, 2, readonly + 7);
	SIGNAL(hosted_read_user(m, mm, 8, text, 1), 11, 1, 8);
	SIGNAL(hosted_read_user(m, mm, l->page_offset, text, 1), 11, 1, l->page_offset);
	if (format == KMM_I386)
		CHECK(hosted_exec_user(m, mm, at, text, 1).ok); /* no NX there */
	else
		SIGNAL(hosted_exec_user(m, mm, at, text, 1), 11, 2, at);
	if (format >= KMM_X86_64)
		SIGNAL(hosted_read_user(m, mm, UINT64_C(1) << 63, text, 1), 11, 128, 0);
	hosted_put_space(m, mm);
	hosted_shutdown(m);
}

KMM_TEST(hosted_user_accesses_give_linux_signals)
{
	for (unsigned f = 0; f < KMM_NR_FORMATS; f++)
		CALL(check_user_access((enum kmm_format_id)f));
}

KMM_TEST(hosted_access_beyond_a_file_is_sigbus)
{
	struct hosted_machine *m = boot(KMM_I386_PAE, GIB(1), true);
	struct kmm_file file;
	struct kmm_mm *mm;
	struct kmm_uva at;
	char byte;

	CHECK(m);
	CHECK_OK(kmm_mm_create(hosted_kmm(m), &mm));
	kmm_file_init(&file, hosted_kmm(m), PAGE + 1, "f");
	CHECK_OK(kmm_mmap(mm, kmm_uva(0), 3 * PAGE, KMM_PROT_READ, KMM_MAP_SHARED, &file.backing, 0, &at));
	CHECK(hosted_read_user(m, mm, at.v + 2 * PAGE - 1, &byte, 1).ok);
	SIGNAL(hosted_read_user(m, mm, at.v + 2 * PAGE, &byte, 1), 7, 2, at.v + 2 * PAGE);
	hosted_put_space(m, mm);
	kmm_backing_put(&file.backing);
	hosted_shutdown(m);
}

KMM_TEST(hosted_unmapping_reaches_the_tlb_of_other_cpus)
{
	struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .nr_cpus = 2 }, .ram_bytes = GIB(1) };
	struct hosted_machine *m;
	struct kmm_mm *mm;
	uint64_t at;
	char byte = 1;

	CHECK_OK(hosted_boot(&config, &m, NULL));
	CHECK_OK(kmm_mm_create(hosted_kmm(m), &mm));
	at = map_anonymous(mm, 1, KMM_PROT_READ | KMM_PROT_WRITE);
	hosted_set_cpu(1);
	CHECK(hosted_write_user(m, mm, at, &byte, 1).ok);
	CHECK(hosted_read_user(m, mm, at, &byte, 1).ok);
	CHECK(hosted_mmu(m, 1)->stats.hits > 0);
	hosted_set_cpu(0);
	CHECK_OK(kmm_munmap(mm, kmm_uva(at), PAGE));
	hosted_set_cpu(1);
	SIGNAL(hosted_read_user(m, mm, at, &byte, 1), 11, 1, at);
	hosted_set_cpu(0);
	hosted_put_space(m, mm);
	hosted_shutdown(m);
}

/* ---- sleeping, dying ---- */

struct sleeper {
	struct hosted_machine *m;
	struct kmm_page *page;
	void *view;
};

static void *map_when_possible(void *arg)
{
	struct sleeper *s = arg;

	hosted_set_cpu(1);
	s->view = kmm_kmap(hosted_kmm(s->m), s->page); /* sleeps: the window is full */
	return NULL;
}

KMM_TEST(hosted_kmap_sleeps_until_a_slot_is_free)
{
	struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .nr_cpus = 2 }, .ram_bytes = GIB(2),
					.strict = true, .threads = true };
	struct kmm_page *page[1024];
	struct sleeper s = { .view = NULL };
	struct kmm_kmap_info info;
	pthread_t thread;
	unsigned nr, i;

	CHECK_OK(hosted_boot(&config, &s.m, NULL));
	kmm_kmap_info(hosted_kmm(s.m), &info);
	nr = info.slots - info.used;
	CHECK(nr > 0 && nr <= 1024);
	for (i = 0; i < nr; i++) {
		page[i] = kmm_alloc_pages(hosted_kmm(s.m), KMM_GFP_HIGHUSER, 0);
		CHECK(page[i] && kmm_kmap(hosted_kmm(s.m), page[i]));
	}
	s.page = kmm_alloc_pages(hosted_kmm(s.m), KMM_GFP_HIGHUSER, 0);
	CHECK_EQ(pthread_create(&thread, NULL, map_when_possible, &s), 0);
	do {
		usleep(1000);
		kmm_kmap_info(hosted_kmm(s.m), &info);
	} while (info.waits == 0);
	kmm_kunmap(hosted_kmm(s.m), page[7]);
	pthread_join(thread, NULL);
	CHECK(s.view);
	hosted_shutdown(s.m);
}

KMM_TEST(hosted_kmap_without_threads_does_not_sleep)
{
	struct hosted_machine *m = boot(KMM_I386_PAE, GIB(2), false);
	struct kmm_page *page;
	unsigned n = 0;

	CHECK(m);
	do {
		page = kmm_alloc_pages(hosted_kmm(m), KMM_GFP_HIGHUSER, 0);
		CHECK(page && n++ <= 1024);
	} while (kmm_kmap(hosted_kmm(m), page));
	hosted_shutdown(m);
}

struct worker {
	struct hosted_machine *m;
	struct kmm_mm *mm;
	unsigned cpu;
	bool failed;
};

/* Maps, fills, checks and unmaps; the other CPU does the same in the same space. */
static void *churn(void *arg)
{
	struct worker *w = arg;
	unsigned char page[PAGE], back[PAGE];

	hosted_set_cpu(w->cpu);
	memset(page, (int)w->cpu + 1, sizeof(page));
	for (unsigned round = 0; round < 200 && !w->failed; round++) {
		uint64_t at = map_anonymous(w->mm, 3, KMM_PROT_READ | KMM_PROT_WRITE);

		w->failed = !at || !hosted_write_user(w->m, w->mm, at + 100, page, PAGE).ok ||
			    !hosted_read_user(w->m, w->mm, at + 100, back, PAGE).ok || memcmp(page, back, PAGE) != 0 ||
			    kmm_munmap(w->mm, kmm_uva(at), 3 * PAGE) != KMM_OK;
	}
	return NULL;
}

KMM_TEST(hosted_two_cpus_in_one_space)
{
	struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .nr_cpus = 2 }, .ram_bytes = GIB(2),
					.threads = true };
	struct worker w[2];
	pthread_t thread[2];
	struct hosted_machine *m;
	struct kmm_mm *mm;

	CHECK_OK(hosted_boot(&config, &m, NULL));
	CHECK_OK(kmm_mm_create(hosted_kmm(m), &mm));
	for (unsigned i = 0; i < 2; i++) {
		w[i] = (struct worker){ m, mm, i, false };
		CHECK_EQ(pthread_create(&thread[i], NULL, churn, &w[i]), 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	CHECK(!w[0].failed && !w[1].failed);
	CHECK_EQ(kmm_audit(hosted_kmm(m), NULL), 0);
	hosted_put_space(m, mm);
	hosted_shutdown(m);
}

static void fail_now(void *arg)
{
	struct hosted_machine *m = arg;
	struct kmm_port *port = kmm_port_of(hosted_kmm(m));

	port->fatal(port, "somewhere.c", 12, "two and two");
}

static void do_nothing(void *arg)
{
	(void)arg;
}

KMM_TEST(hosted_fatal_can_be_caught)
{
	struct hosted_machine *m = boot(KMM_I386, MIB(64), false);
	const char *what = NULL;

	CHECK(m);
	CHECK(!hosted_catch_fatal(m, do_nothing, m, &what));
	CHECK(hosted_catch_fatal(m, fail_now, m, &what));
	CHECK_STR(what, "somewhere.c:12: two and two");
	CHECK(crashes(fail_now, m));
	hosted_shutdown(m);
}

KMM_TEST(hosted_keeps_the_log)
{
	struct hosted_machine *m = boot(KMM_I386, MIB(64), false);
	struct kmm_port *port;

	CHECK(m);
	hosted_log_clear(m);
	port = kmm_port_of(hosted_kmm(m));
	port->log(port, "one");
	port->log(port, "two");
	CHECK_STR(hosted_log_text(m), "one\ntwo\n");
	hosted_shutdown(m);
}

/* More than the host has addresses: the descriptors alone span 32 TiB. */
KMM_TEST(hosted_machine_of_4_pib)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64_LA57 }, .ram_bytes = (uint64_t)4 << 50 };
	struct kmm_memory_stats stats;
	struct hosted_machine *m;
	struct hosted_usage usage;
	const char *why = "";
	enum kmm_status status;

	config.ram_bytes -= (uint64_t)1 << 30; /* the hole below 4 GiB moves the end up */
	status = hosted_boot(&config, &m, &why);
	if (status == KMM_ENOTSUP)
		SKIP("this host does not map 64 TiB");
	CHECK_OK(status);
	kmm_memory_stats(hosted_kmm(m), &stats);
	CHECK(stats.ram_pages > ((uint64_t)4 << 38) - (2 << 18));
	CHECK_EQ(stats.sections, (uint64_t)4 << 23);
	for (unsigned i = 0; i < 1000; i++) {
		struct kmm_page *page = kmm_alloc_pages(hosted_kmm(m), KMM_GFP_KERNEL | KMM_GFP_ZERO, i % 4);

		CHECK(page != NULL);
	}
	CHECK(kmm_pfn_to_page(hosted_kmm(m), kmm_pfn((kmm_word)3 << 38)) != NULL);
	hosted_usage(m, &usage);
	CHECK(usage.ram_bytes < (uint64_t)1 << 30);
	hosted_shutdown(m);
}
