/* SPDX-License-Identifier: MIT */
/*
 * Every attempt to allocate fails once, on simulated machines of each format (life.h). The names of the sites that were
 * failed go to the file named by KMM_SITES_OUT, if set; scripts/check-sites compares them with the names in the source.
 */
#include "harness/sites.h"
#include "harness/test.h"
#include "kmm/observe.h"
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
