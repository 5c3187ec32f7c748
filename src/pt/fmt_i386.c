/* SPDX-License-Identifier: MIT */
/* The 2-level i386 format as a constant; its meaning is in fmt_i386.h. */
#include "pt/fmt_i386.h"

const struct kmm_format kmm_fmt_i386 = KMM_FMT_I386_INIT;
