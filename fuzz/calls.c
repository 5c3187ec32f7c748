/* SPDX-License-Identifier: MIT */
/*
 * Hostile arguments to the calls of an address space: overflowing lengths, unaligned and kernel addresses, flags that do
 * not exist, accesses anywhere. Nothing may crash, leak or leave the audit unhappy.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hosted.h"
#include "kmm/observe.h"
#include "reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Mostly page numbers near a few busy places, sometimes anything. */
static uint64_t take_address(struct reader *r)
{
	static const uint64_t base[] = { 0, 0x10000, 0x8048000, 0x40000000, 0xbffff000, 0xc0000000, 0x7ffffffff000,
					 0xffff888000000000 };
	uint8_t how = (uint8_t)take(r, 1);

	if (how & 0x80)
		return take(r, 8);
	return base[how & 7] + ((take(r, 1) & 63) << 12) + (how & 0x40 ? take(r, 1) : 0);
}

static uint64_t take_len(struct reader *r)
{
	uint8_t how = (uint8_t)take(r, 1);

	return how & 0x80 ? take(r, 8) : (uint64_t)(how & 31) << 12;
}

static void one_call(struct hosted_machine *m, struct kmm_mm *mm, struct kmm_file *file, struct reader *r)
{
	uint8_t what = (uint8_t)take(r, 1), buf[64] = { 0 };
	struct kmm_uva at = kmm_uva(take_address(r)), out;
	uint64_t len = take_len(r);
	enum kmm_status ignored = KMM_OK;

	switch (what % 10) {
	case 0:
	case 1:
		ignored = kmm_mmap(mm, at, len, (unsigned)take(r, 1), (unsigned)take(r, 3), what & 16 ? &file->backing : NULL,
				   take(r, 1), &out);
		break;
	case 2:
		ignored = kmm_munmap(mm, at, len);
		break;
	case 3:
		ignored = kmm_mprotect(mm, at, len, (unsigned)take(r, 1));
		break;
	case 4:
		ignored = kmm_mremap(mm, at, len, take_len(r), (unsigned)take(r, 1), kmm_uva(take_address(r)), &out);
		break;
	case 5:
		ignored = kmm_madvise(mm, at, len, (int)take(r, 1));
		break;
	case 6:
		kmm_brk(mm, at);
		break;
	case 7:
		ignored = kmm_copy_in(mm, buf, at, what, NULL);
		break;
	case 8:
		hosted_write_user(m, mm, at.v, buf, what & 63);
		break;
	default:
		hosted_read_user(m, mm, at.v, buf, what & 63);
	}
	(void)ignored;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = { data, size };
	struct hosted_config config = { .machine = { .nr_cpus = 1 }, .ram_bytes = 64 << 20 };
	struct hosted_machine *m;
	struct kmm_file file;
	struct kmm_mm *mm;
	size_t done;

	config.machine.format = (enum kmm_format_id)(take(&r, 1) % KMM_NR_FORMATS);
	if (hosted_boot(&config, &m, NULL) || kmm_mm_create(hosted_kmm(m), &mm))
		abort();
	kmm_file_init(&file, hosted_kmm(m), 0, "/fuzz");
	if (kmm_file_write(&file, 5000, "x", 1, &done))
		abort();
	kmm_mm_set_brk(mm, kmm_uva(0x8100000));
	while (r.left > 4)
		one_call(m, mm, &file, &r);
	if (kmm_audit(hosted_kmm(m), NULL))
		abort();
	hosted_put_space(m, mm);
	kmm_backing_put(&file.backing);
	if (kmm_audit(hosted_kmm(m), NULL))
		abort();
	hosted_shutdown(m);
	return 0;
}
