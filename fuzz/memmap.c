/* SPDX-License-Identifier: MIT */
/*
 * Firmware maps from hell: any list of ranges, overlapping, wrapping, empty, of unknown types, on any format. The core
 * must refuse it with a sentence or start with an audit that finds nothing, and then serve what it says is free.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hosted.h"
#include "kmm/observe.h"
#include "reader.h"

#define MAX_RANGES 24
#define LIMIT ((uint64_t)1 << 38) /* what the arena may span */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Sizes and starts by exponent and mantissa, so that pages, megabytes and wrap-around all come up. */
static uint64_t take_number(struct reader *r)
{
	unsigned shift = (unsigned)take(r, 1) & 63;

	return (take(r, 2) << shift) + take(r, 1) - 1;
}

static unsigned take_map(struct reader *r, struct kmm_memrange *map)
{
	unsigned nr = 0;

	while (r->left > 4 && nr < MAX_RANGES) {
		uint64_t start = take_number(r), len = take_number(r);
		uint32_t type = (uint32_t)take(r, 1) & 7;

		if (type == KMM_MEM_RAM && start < ((uint64_t)1 << 60)) { /* keep RAM where an arena can be */
			start %= LIMIT;
			len %= LIMIT - start;
		}
		map[nr++] = (struct kmm_memrange){ start, len, type, NULL };
	}
	return nr;
}

static void serve(struct kmm *k)
{
	struct kmm_page *page[64];
	unsigned nr = 0;

	while (nr < 64 && (page[nr] = kmm_alloc_pages(k, KMM_GFP_HIGHUSER | KMM_GFP_NOWARN, nr % 4)) != NULL)
		nr++;
	if (kmm_audit(k, NULL))
		abort();
	while (nr--)
		kmm_free_pages(k, page[nr], nr % 4);
	if (kmm_audit(k, NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kmm_memrange map[MAX_RANGES + 1];
	struct reader r = { data, size };
	struct hosted_config config = { .machine = { .nr_cpus = 1, .map = map }, .tier = HOSTED_FRAMES };
	struct hosted_machine *m;
	const char *why = NULL;

	config.machine.format = (enum kmm_format_id)(take(&r, 1) % KMM_NR_FORMATS);
	config.machine.nr_map = take_map(&r, map);
	if (hosted_boot(&config, &m, &why)) {
		if (!why || !why[0])
			abort(); /* refused without a reason */
		return 0;
	}
	serve(hosted_kmm(m));
	hosted_shutdown(m);
	return 0;
}
