/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine of the hosted benchmarks: x86_64, fast mode (all RAM is visible to the core, as in the direct
 * map of a real 64-bit kernel). Failure ends the program.
 */
#ifndef KMM_BENCH_MACHINE_H
#define KMM_BENCH_MACHINE_H

#include "hosted.h"

struct hosted_machine *bench_machine(uint64_t ram_bytes);
/* With several CPUs, each to be played by a thread. */
struct hosted_machine *bench_machine_smp(uint64_t ram_bytes, unsigned nr_cpus);

/* Takes nr_pages frames, clears them, gives them back: from then on the host holds memory for them, as a real machine
 * does for its RAM. Without it the first use of each frame would be a fault of the host inside the measurement. */
void bench_touch_ram(struct kmm *k, uint64_t nr_pages);

#endif
