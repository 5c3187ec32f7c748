/* SPDX-License-Identifier: MIT */
/*
 * live.c - the scenarios on the machine that runs: its real frames, its real page tables, its processor's MMU. Their names
 * begin with live_.
 */
#include "cell.h"
#include "ground.h"
#include "scenario/life.h"
#include "scenario/work.h"

static int touch(struct ground *g, struct kmm_mm *mm, uint64_t va, enum kmm_access access, uint8_t *byte)
{
	(void)g;
	return cell_touch(mm, va, access, byte);
}

/* Nothing but a touch makes a space active. */
static void put(struct ground *g, struct kmm_mm *mm)
{
	(void)g;
	kmm_mm_put(mm);
}

struct ground *bare_ground(void)
{
	static struct ground ground = { .log = &bare_log, .touch = touch, .put = put };

	ground.k = cell_machine;
	return &ground;
}

KMM_TEST(live_frames) { CALL(work_frames(bare_ground(), kmm_test_seed(), 2000)); }
KMM_TEST(live_objects) { CALL(work_objects(bare_ground(), kmm_test_seed(), 3000)); }
KMM_TEST(live_windows) { CALL(work_windows(bare_ground(), kmm_test_seed(), 1000)); }
KMM_TEST(live_spaces) { CALL(work_spaces(bare_ground(), kmm_test_seed(), 6000)); }

/* Three lives in a row, untouched by failures. */
KMM_TEST(live_life)
{
	for (unsigned round = 0; round < 3; round++) {
		const char *wrong, *failed = life_run(bare_ground(), &wrong);

		CHECK_STR(wrong ? wrong : "", "");
		CHECK_STR(failed ? failed : "", "");
	}
}

KMM_TEST(live_fail_every_attempt) { CALL(life_fail_each(bare_ground(), NULL)); }
