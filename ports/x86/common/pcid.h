/* SPDX-License-Identifier: MIT */
/*
 * pcid.h - which process-context identifier stands for which root on which processor (Intel SDM vol. 3, 4.10.1). With them,
 * translations of spaces that are not loaded stay in the TLB: a space that comes back finds its own. No instruction is here,
 * only what CR3 is to be; tests/model/pcid_host.c runs it against a model of the TLB.
 */
#ifndef KMM_PORTS_X86_PCID_H
#define KMM_PORTS_X86_PCID_H

#include <stdint.h>

enum { X86_PCID_CPUS = 8, X86_PCIDS = 6 };
#define X86_CR3_NOFLUSH (1ull << 63)

/* What to load CR3 with so that this root is current on this processor, by whom it is called, with interrupts off. Others
 * that flush the root from now on must find out that it is loaded: that was published before. */
uint64_t x86_pcid_cr3(unsigned cpu, uint64_t root);
/* The processor's translations of this root are old: dropped when it is loaded there next. Any processor may call it, after
 * it changed entries and before it asks who has the root loaded. */
void x86_pcid_mark(unsigned cpu, uint64_t root);

#endif
