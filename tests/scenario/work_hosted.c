/* SPDX-License-Identifier: MIT */
/* The work that tests/bare runs on the real machine, on simulated ones: each kind on each format, windows real (strict). */
#include "harness/formats.h"
#include "harness/test.h"
#include "scenario/ground_hosted.h"
#include "scenario/work.h"

static void on_each(void (*work)(struct ground *g, uint64_t seed, unsigned steps), unsigned steps)
{
	static const enum kmm_format_id formats[] = TEST_FORMATS;

	for (unsigned f = 0; f < TEST_NR_FORMATS; f++) {
		struct hosted_config config = { .machine = { .format = formats[f], .nr_cpus = 1 },
						.ram_bytes = 1200ull << 20, .strict = true };
		struct ground_hosted g;

		CALL(ground_hosted_open(&g, &config));
		CALL(work(&g.ground, kmm_test_seed(), steps));
		ground_hosted_close(&g);
	}
}

KMM_TEST(work_on_frames) { CALL(on_each(work_frames, 2000)); }
KMM_TEST(work_on_objects) { CALL(on_each(work_objects, 4000)); }
KMM_TEST(work_on_windows) { CALL(on_each(work_windows, 1000)); }
KMM_TEST(work_on_spaces) { CALL(on_each(work_spaces, 6000)); }
