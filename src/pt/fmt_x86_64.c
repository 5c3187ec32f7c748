/* SPDX-License-Identifier: MIT */
/* The 4- and 5-level formats as constants; their meaning is in fmt_x86_64.h. */
#include "pt/fmt_x86_64.h"

const struct kmm_format kmm_fmt_x86_64 = KMM_FMT_X86_64_INIT;
const struct kmm_format kmm_fmt_x86_64_la57 = KMM_FMT_LA57_INIT;
