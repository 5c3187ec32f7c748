/* SPDX-License-Identifier: MIT */
/* cpu.h - processors, for the scheduler and those who start and stop them. */
#ifndef OS_PROC_CPU_H
#define OS_PROC_CPU_H

#include "proc/task.h"

/* l: its lock; else its own processor's. */
struct cpu {
	struct spin lock;     /* SPIN_QUEUE */
	struct list queue;    /* l: runnable tasks */
	struct task *idle;    /* what it does when there is nothing to do; constant */
	struct task *prev;    /* left by the switch that is under way */
	struct kmm_mm *mm;    /* loaded; NULL: the kernel's tables */
	struct kmm_group *group; /* that mm belonged to when it was loaded, atomic: it is there as long as mm is */
	bool stalled;         /* atomic: who runs here waits for memory */
	uint32_t idle_ticks, busy_ticks;
} __attribute__((aligned(64)));

extern struct cpu os_cpus[X86_MAX_CPUS];
extern uint32_t os_cpus_online; /* bit per processor that runs tasks; constant once the first program runs */

static inline struct cpu *cpu_here(void)
{
	return &os_cpus[x86_cpu_id()];
}

/* cpus.c: starts them. The last step of the boot. And again, in a machine that was off. */
void cpus_start(void);
void cpus_restart(void);

/* background.c: the kernel's own threads. */
void background_start(void);
/* How often dirty pages of files are looked at, in hundredths of a second; 0: only when there are too many. */
extern uint32_t background_interval_cs;
void background_set_interval(uint32_t cs);

/* sched.c, for sleep.c */
void sched_enqueue(struct task *task);
void sched_leave_cpu(void); /* gives up the kernel lock meanwhile */

/* sleep.c, for sched.c */
void sleep_init(void);
void sleep_tick(void);
unsigned sched_busy(void); /* tasks that run or are ready to */

/* sched.c, for hibernation: are all tasks that are ready to run about to go back to ring 3? */
bool sched_all_rest(void);

/* leave.c */
bool os_is_leaving(void);
void leave_ask(void); /* everybody shall come to rest */

#endif
