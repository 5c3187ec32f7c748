/* SPDX-License-Identifier: MIT */
/* Starting a machine for a benchmark; see machine.h. */
#include "common/machine.h"
#include "common/bench.h"
#include "kmm/kmap.h"

#include <stdlib.h>

struct hosted_machine *bench_machine(uint64_t ram_bytes)
{
	return bench_machine_smp(ram_bytes, 1);
}

struct hosted_machine *bench_machine_smp(uint64_t ram_bytes, unsigned nr_cpus)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = nr_cpus }, .ram_bytes = ram_bytes,
					.threads = nr_cpus > 1 };
	struct hosted_machine *machine;
	const char *why = NULL;
	enum kmm_status status = hosted_boot(&config, &machine, &why);

	if (status != KMM_OK)
		bench_die("cannot start a machine of %llu bytes: %s (%s)", (unsigned long long)ram_bytes,
			  why ? why : "no reason given", kmm_status_name(status));
	return machine;
}

void bench_touch_ram(struct kmm *k, uint64_t nr_pages)
{
	struct kmm_page **page = malloc(nr_pages * sizeof(struct kmm_page *));

	if (page == NULL)
		bench_die("not enough host memory");
	for (uint64_t i = 0; i < nr_pages; i++) {
		page[i] = kmm_alloc_pages(k, KMM_GFP_KERNEL, 0);
		if (page[i] == NULL)
			bench_die("the machine is too small");
		kmm_clear_page(k, page[i]);
	}
	for (uint64_t i = nr_pages; i > 0; i--)
		kmm_free_pages(k, page[i - 1], 0);
	free(page);
}
