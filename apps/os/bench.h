/* SPDX-License-Identifier: MIT */
/* The in-kernel benchmarks (bench.c). */
#ifndef OS_BENCH_H
#define OS_BENCH_H

/* Runs them all and writes the results to the log. After the core has started, before the first program;
 * interrupts off. Leaves memory as it was. */
void bench_run(void);

#endif
