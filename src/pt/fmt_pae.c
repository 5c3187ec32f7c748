/* SPDX-License-Identifier: MIT */
/* The 3-level PAE format as a constant; its meaning is in fmt_pae.h. */
#include "pt/fmt_pae.h"

const struct kmm_format kmm_fmt_i386_pae = KMM_FMT_PAE_INIT;
