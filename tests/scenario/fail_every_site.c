/* SPDX-License-Identifier: MIT */
/*
 * Every attempt to allocate fails once, on simulated machines of each format (life.h). The names of the sites that were
 * failed go to the file named by KMM_SITES_OUT, if set; scripts/check-sites compares them with the names in the source.
 */
#include "harness/sites.h"
#include "harness/space.h"
#include "harness/test.h"
#include "scenario/ground_hosted.h"
#include "scenario/life.h"

#define RAM (1200ull << 20) /* enough for high memory on 32-bit machines */

static void fail_format(enum kmm_format_id format)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 1 }, .ram_bytes = RAM };
	struct ground_hosted g;

	CALL(ground_hosted_open(&g, &config));
	CALL(life_fail_each(&g.ground, note_site));
	ground_hosted_close(&g);
}

KMM_TEST(fail_every_site_i386) { CALL(fail_format(KMM_I386)); }
KMM_TEST(fail_every_site_i386_pae) { CALL(fail_format(KMM_I386_PAE)); }
KMM_TEST(fail_every_site_x86_64) { CALL(fail_format(KMM_X86_64)); }
KMM_TEST(fail_every_site_x86_64_la57) { CALL(fail_format(KMM_X86_64_LA57)); }

/* The same for start-up itself: tier b and c on a machine that has its frames. */
KMM_TEST(fail_every_site_of_start)
{
	const char *site = "", *why;

	for (uint64_t n = 1; site; n++) {
		struct hosted_config config = { .machine = { .format = KMM_I386_PAE, .nr_cpus = 1 },
						.ram_bytes = RAM, .tier = HOSTED_FRAMES };
		struct hosted_machine *m;
		enum kmm_status status;

		CHECK_OK(hosted_boot(&config, &m, &why));
		kmm_fail_nth(hosted_kmm(m), n);
		status = kmm_init_kernel(hosted_kmm(m));
		if (!status)
			status = kmm_init_spaces(hosted_kmm(m));
		kmm_fail_count(hosted_kmm(m), &site);
		note_site(site);
		CHECK_EQ(status, site ? KMM_ENOMEM : KMM_OK);
		hosted_shutdown(m);
		CHECK(n < 5000);
	}
}

/* A page that is pinned for long and must first be moved away. */
KMM_TEST(fail_every_site_of_a_long_pin)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 1, .movablecore_percent = 50 },
					.ram_bytes = 256ull << 20 };
	const uint64_t at = 0x20000000;
	const char *site = "", *why = "";
	enum kmm_status status = KMM_OK;
	struct kmm_page *page;
	struct space s;
	kmm_word done;

	CHECK_OK(hosted_boot(&config, &s.m, &why));
	s.k = hosted_kmm(s.m);
	CHECK_OK(kmm_mm_create(s.k, &s.mm));
	CHECK_EQ(space_map(&s, at, 1, SPACE_RW, SPACE_ANON), 0);
	CHECK_EQ(space_poke(&s, s.mm, at, 9), 0);
	for (uint64_t n = 1; site && n < 500; n++) {
		kmm_fail_nth(s.k, n);
		status = kmm_pin_user(s.mm, kmm_uva((kmm_word)at), 1, KMM_PIN_WRITE | KMM_PIN_LONGTERM, &page, &done);
		kmm_fail_count(s.k, &site);
		kmm_fail_nth(s.k, 0);
		note_site(site);
		CHECK_EQ(done, status == KMM_OK);
		CHECK_EQ(space_peek(&s, s.mm, at), 9);
		if (status == KMM_OK)
			kmm_unpin_user(s.k, &page, 1, false);
	}
	CHECK_OK(status);
	CALL(space_stop(&s));
}

enum { MOST_BLOCKS = 4096 };

/* Takes all memory that can be had at once, large blocks first. Returns the number of blocks. */
static unsigned take_all(struct kmm *k, struct kmm_page **block)
{
	unsigned nr = 0;

	for (unsigned order = KMM_NR_ORDERS; order-- > 0;)
		while (nr < MOST_BLOCKS && (block[nr] = kmm_alloc_pages(k, KMM_GFP_HIGHMEM | KMM_GFP_MOVABLE | KMM_GFP_NOWARN, order)))
			nr++;
	return nr;
}

/* A page of a file when memory is full: one more attempt is made without the file's lock, and if that fails nothing is written. */
KMM_TEST(fail_every_site_of_a_file_in_full_memory)
{
	static struct kmm_page *block[MOST_BLOCKS];
	const char *site = "";
	struct kmm_file file;
	struct space s;
	unsigned nr;
	size_t done;

	CALL(space_start(&s, KMM_X86_64));
	kmm_file_init(&file, s.k, 4 * SPACE_PAGE, "file");
	CHECK_OK(kmm_file_write(&file, 0, "x", 1, &done)); /* its index has a node */
	nr = take_all(s.k, block);
	CHECK(nr > 0 && nr < MOST_BLOCKS);
	for (uint64_t n = 1; site && n < 100; n++) {
		kmm_fail_nth(s.k, n);
		CHECK_EQ(kmm_file_write(&file, SPACE_PAGE, "y", 1, &done), KMM_ENOMEM);
		kmm_fail_count(s.k, &site);
		kmm_fail_nth(s.k, 0);
		note_site(site);
		CHECK_EQ(done, 0);
	}
	while (nr)
		kmm_put_page(s.k, block[--nr]);
	CHECK_OK(kmm_file_write(&file, SPACE_PAGE, "y", 1, &done));
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}
