/* SPDX-License-Identifier: MIT */
/*
 * The host's LZ4 library (liblz4) as a compressor of swapped pages.
 */
#ifndef KMM_APP_COMPRESS_H
#define KMM_APP_COMPRESS_H

#include "kmm/swap.h"

const struct kmm_compressor *host_compressor(void);

#endif
