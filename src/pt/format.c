/* SPDX-License-Identifier: MIT */
/* The table of formats. */
#include "kmm/pagetable.h"

const struct kmm_format *kmm_format_get(enum kmm_format_id id)
{
	static const struct kmm_format *const formats[KMM_NR_FORMATS] = {
		[KMM_I386] = &kmm_fmt_i386, [KMM_I386_PAE] = &kmm_fmt_i386_pae,
		[KMM_X86_64] = &kmm_fmt_x86_64, [KMM_X86_64_LA57] = &kmm_fmt_x86_64_la57,
	};

	return (unsigned)id < KMM_NR_FORMATS ? formats[id] : NULL;
}
