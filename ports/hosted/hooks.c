/* SPDX-License-Identifier: MIT */
/*
 * The port's hooks, and the simulated processors behind them.
 *
 * TLB flushes do what a kernel for x86 does with the instructions it has: INVLPG for a few pages, otherwise
 * a reload of CR3, or all of it for kernel addresses, whose translations are global. A flush on another CPU
 * takes that CPU's lock instead of an interrupt: when it returns, no access uses the old translation.
 */
#include "internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* More pages than this are dropped wholesale. */
enum { FLUSH_PAGES = 32 };

_Thread_local unsigned hosted_this_cpu;
static _Thread_local unsigned long irq_off;
static _Thread_local uint32_t sleeping_held; /* locks of the core, by class */

void hosted_set_cpu(unsigned cpu)
{
	hosted_this_cpu = cpu;
}

unsigned hosted_cpu(void)
{
	return hosted_this_cpu;
}

struct softmmu *hosted_mmu(struct hosted_machine *m, unsigned cpu)
{
	return &m->cpu[cpu].mmu;
}

/* ---- tier a ---- */

unsigned long hosted_irq_save(struct kmm_port *port)
{
	unsigned long before = irq_off;

	(void)port;
	irq_off = 1;
	return before;
}

static void irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	irq_off = flags;
}

static unsigned cpu_id(struct kmm_port *port)
{
	return kmm_port_cpu(port);
}

static void fatal(struct kmm_port *port, const char *file, int line, const char *what)
{
	struct hosted_machine *m = hosted_of_port(port);

	snprintf(m->fatal_text, sizeof(m->fatal_text), "%s:%d: %s", file, line, what);
	if (m->catcher)
		longjmp(*m->catcher, 1);
	fprintf(stderr, "kmm: broken invariant at %s\n", m->fatal_text);
	abort();
}

bool hosted_catch_fatal(struct hosted_machine *m, void (*fn)(void *arg), void *arg, const char **what)
{
	jmp_buf here;

	m->catcher = &here;
	if (setjmp(here) == 0) {
		fn(arg);
		m->catcher = NULL;
		return false;
	}
	m->catcher = NULL;
	irq_off = 0; /* whoever held them off is gone */
	sleeping_held = 0;
	if (what)
		*what = m->fatal_text;
	return true;
}

static void log_line(struct kmm_port *port, const char *line)
{
	struct hosted_machine *m = hosted_of_port(port);

	pthread_mutex_lock(&m->log_lock);
	if (m->config.log == HOSTED_LOG_STDERR) {
		fprintf(stderr, "%s\n", line);
	} else if (m->config.log == HOSTED_LOG_KEEP) {
		m->log.sink.write(&m->log.sink, line, strlen(line));
		m->log.sink.write(&m->log.sink, "\n", 1);
	}
	pthread_mutex_unlock(&m->log_lock);
}

const char *hosted_log_text(const struct hosted_machine *m)
{
	return m->log.text;
}

void hosted_log_clear(struct hosted_machine *m)
{
	m->log.len = 0;
	m->log.text[0] = '\0';
}

static void relax(struct kmm_port *port)
{
	(void)port;
	sched_yield();
}

/* ---- tier b: flushing ---- */

static uint64_t flush_pages(const struct kmm_flush *flush)
{
	return flush->end > flush->start ? ((uint64_t)flush->end - flush->start) / KMM_PAGE_SIZE : UINT64_MAX;
}

static void reload_cr3(struct hosted_machine *m, struct softmmu *mmu)
{
	struct softmmu_fault fault;

	if (!softmmu_load_cr3(mmu, mmu->cr3, &fault))
		fatal(&m->port, __FILE__, __LINE__, "reserved bit in CR3 or a PDPTE");
}

/* cpu->lock is held. */
static void flush_cpu(struct hosted_machine *m, struct hosted_processor *cpu, const struct kmm_flush *flush)
{
	bool kernel = flush->root.v == 0;

	if (!cpu->paging || (!kernel && flush->root.v != cpu->mmu.cr3))
		return;
	if (!flush->tables && flush_pages(flush) <= FLUSH_PAGES)
		for (uint64_t va = flush->start; va < flush->end; va += KMM_PAGE_SIZE)
			softmmu_invlpg(&cpu->mmu, va);
	else if (kernel)
		softmmu_flush_all(&cpu->mmu);
	else
		reload_cr3(m, &cpu->mmu);
}

static void tlb_flush_local(struct kmm_port *port, const struct kmm_flush *flush)
{
	struct hosted_machine *m = hosted_of_port(port);
	struct hosted_processor *cpu = &m->cpu[hosted_this_cpu];

	pthread_mutex_lock(&cpu->lock);
	flush_cpu(m, cpu, flush);
	pthread_mutex_unlock(&cpu->lock);
}

static void tlb_flush_others(struct kmm_port *port, uint64_t cpus, const struct kmm_flush *flush)
{
	struct hosted_machine *m = hosted_of_port(port);

	for (unsigned i = 0; i < m->config.machine.nr_cpus; i++) {
		if (!(cpus >> i & 1))
			continue;
		pthread_mutex_lock(&m->cpu[i].lock);
		flush_cpu(m, &m->cpu[i], flush);
		pthread_mutex_unlock(&m->cpu[i].lock);
	}
}

void hosted_load_root(struct hosted_machine *m, unsigned cpu, uint64_t root)
{
	struct hosted_processor *c = &m->cpu[cpu];

	pthread_mutex_lock(&c->lock);
	c->mmu.cr3 = root;
	c->paging = true;
	reload_cr3(m, &c->mmu);
	pthread_mutex_unlock(&c->lock);
}

static void activate_space(struct kmm_port *port, struct kmm_paddr root)
{
	hosted_load_root(hosted_of_port(port), hosted_this_cpu, root.v);
}

/* ---- tier c: sleeping ---- */

/* One condition for all keys: sleepers are few, and done() decides. */
static void wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	struct hosted_machine *m = hosted_of_port(port);

	(void)key;
	if (irq_off)
		fatal(port, __FILE__, __LINE__, "a sleep while interrupts are off");
	pthread_mutex_lock(&m->sleep_lock);
	while (!done(arg))
		pthread_cond_wait(&m->woken, &m->sleep_lock);
	pthread_mutex_unlock(&m->sleep_lock);
}

static void wake(struct kmm_port *port, const void *key)
{
	struct hosted_machine *m = hosted_of_port(port);

	(void)key;
	pthread_mutex_lock(&m->sleep_lock);
	pthread_cond_broadcast(&m->woken);
	pthread_mutex_unlock(&m->sleep_lock);
}

/* For all machines: nobody holds locks of two. */
static struct kmm_mm *running_space(struct kmm_port *port)
{
	return hosted_of_port(port)->cpu[hosted_cpu()].space;
}

static uint32_t *thread_locks(struct kmm_port *port)
{
	(void)port;
	return &sleeping_held;
}

/* ---- start and end ---- */

static void *bus_at(struct softmmu_memory *memory, uint64_t pa)
{
	struct hosted_machine *m = (struct hosted_machine *)((char *)memory - offsetof(struct hosted_machine, memory));

	return hosted_phys(m, pa);
}

static void init_processor(struct hosted_machine *m, struct hosted_processor *cpu)
{
	const struct kmm_machine *machine = &m->config.machine;
	struct softmmu_control control = softmmu_control_for(machine->format, machine->phys_bits, machine->no_nx);

	pthread_mutex_init(&cpu->lock, NULL);
	softmmu_init(&cpu->mmu, &m->memory, &control);
}

void hosted_hooks_init(struct hosted_machine *m)
{
	struct kmm_port *port = &m->port;

	port->irq_save = hosted_irq_save;
	port->irq_restore = irq_restore;
	port->cpu_id = cpu_id;
	port->fatal = fatal;
	port->log = log_line;
	port->relax = relax;
	port->tlb_flush_local = tlb_flush_local;
	port->tlb_flush_others = tlb_flush_others;
	port->activate_space = activate_space;
	port->wake = wake;
	port->thread_locks = thread_locks;
	port->running_space = running_space;
	port->wait = m->config.threads ? wait : NULL;
	m->memory.at = bus_at;
	pthread_mutex_init(&m->sleep_lock, NULL);
	pthread_cond_init(&m->woken, NULL);
	pthread_mutex_init(&m->log_lock, NULL);
	hosted_text_init(&m->log);
	for (unsigned i = 0; i < m->config.machine.nr_cpus; i++)
		init_processor(m, &m->cpu[i]);
}

void hosted_hooks_fini(struct hosted_machine *m)
{
	for (unsigned i = 0; i < m->config.machine.nr_cpus; i++)
		pthread_mutex_destroy(&m->cpu[i].lock);
	pthread_cond_destroy(&m->woken);
	pthread_mutex_destroy(&m->sleep_lock);
	pthread_mutex_destroy(&m->log_lock);
	hosted_text_free(&m->log);
}
