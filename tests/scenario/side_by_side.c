/* SPDX-License-Identifier: MIT */
/*
 * Machines share nothing: four formats live at once in one process, their lives interleaved, and each stays sound.
 */
#include <stdio.h>

#include "harness/test.h"
#include "kmm/observe.h"
#include "kmm/page.h"
#include "scenario/ground_hosted.h"
#include "scenario/life.h"

KMM_TEST(machines_of_all_formats_side_by_side)
{
	struct ground_hosted m[KMM_NR_FORMATS];
	struct kmm_page *held[KMM_NR_FORMATS];
	const char *wrong;

	for (unsigned f = 0; f < KMM_NR_FORMATS; f++) {
		struct hosted_config config = { .machine = { .format = (enum kmm_format_id)f, .nr_cpus = 1 },
						.ram_bytes = (uint64_t)(f + 1) << 30 };

		CALL(ground_hosted_open(&m[f], &config));
		held[f] = kmm_alloc_pages(m[f].ground.k, KMM_GFP_HIGHUSER, 3);
		CHECK(held[f] != NULL);
	}
	for (unsigned round = 0; round < 3; round++)
		for (unsigned f = 0; f < KMM_NR_FORMATS; f++) {
			const char *failed = life_run(&m[f].ground, &wrong);

			CHECK_STR(failed ? failed : "", "");
			CHECK_STR(wrong ? wrong : "", "");
		}
	for (unsigned f = 0; f < KMM_NR_FORMATS; f++) {
		kmm_free_pages(m[f].ground.k, held[f], 3);
		CHECK_EQ(kmm_audit(m[f].ground.k, m[f].ground.log), 0);
		ground_hosted_close(&m[f]);
	}
}
