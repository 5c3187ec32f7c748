/* SPDX-License-Identifier: MIT */
/*
 * shoot.c - translations dropped on other processors ("shootdown").
 *
 * Each processor has one request of its own and a word of mail, a bit for each sender. A sender fills its request, sets
 * its bit in the mail of every processor concerned, interrupts those whose mail was empty, and waits until all have
 * cleared theirs in request.waiting. One interrupt may so serve several senders, and one request covers a whole range.
 *
 * Nobody waits for ever: the kernel runs with interrupts off, but whoever spins (for a lock, or for an answer here) reads
 * its mail in x86_relax().
 *
 * Who is concerned:
 *   a user space   processors that have its root loaded, or are about to load or leave it. Roots are published before they
 *                  are loaded, and read after the entries were changed: one that loads the root later, loads no old
 *                  translations.
 *                  With identifiers (pcid.h) the others drop what they kept when they load it.
 *   the kernel     all but idle ones. An idle processor holds a state; who finds it IDLE makes it STALE, and the idle one
 *                  drops everything before it touches the kernel's addresses again.
 */
#include <stdatomic.h>

#include "common/cpu.h"
#include "common/pcid.h"
#include "kmm/port.h"

enum { RUNNING, IDLE, STALE };

struct shoot_cpu {
	_Atomic x86_word root, next; /* the same but while a root is being loaded */
	_Atomic uint32_t mail, state;
	_Atomic uint32_t waiting;       /* its own request: who has not answered */
	const struct kmm_flush *flush;  /* constant while waiting is not 0 */
} __attribute__((aligned(64)));

static struct shoot_cpu cpus[X86_MAX_CPUS];
uint32_t x86_online = 1;
bool x86_pcid_on;

_Static_assert(X86_PCID_CPUS >= X86_MAX_CPUS, "identifiers for every processor");

void x86_tlb_online(unsigned cpu)
{
	cpus[cpu].root = cpus[cpu].next = (x86_word)x86_kernel_root;
	__atomic_fetch_or(&x86_online, 1u << cpu, __ATOMIC_SEQ_CST);
}

/* The load in between is a barrier. */
void x86_tlb_load_root(uint64_t root_pa)
{
	unsigned self = x86_cpu_id();
	struct shoot_cpu *cpu = &cpus[self];

	atomic_store_explicit(&cpu->next, (x86_word)root_pa, memory_order_relaxed);
	x86_write_cr3((x86_word)(x86_pcid_on ? x86_pcid_cr3(self, root_pa) : root_pa));
	atomic_store_explicit(&cpu->root, (x86_word)root_pa, memory_order_relaxed);
}

static void serve(unsigned self)
{
	uint32_t senders = atomic_exchange(&cpus[self].mail, 0);

	while (senders) {
		unsigned sender = (unsigned)__builtin_ctz(senders);

		senders &= senders - 1;
		x86_tlb_do(cpus[sender].flush);
		atomic_fetch_and(&cpus[sender].waiting, ~(1u << self));
	}
}

void x86_tlb_serve(void)
{
	unsigned self = x86_cpu_id();

	if (atomic_load_explicit(&cpus[self].mail, memory_order_relaxed))
		serve(self);
}

/* A pause as long as this, in cycles, was a turn of another processor. */
#define A_TURN (UINT64_C(1) << 20)

/*
 * An emulator that runs its processors in turns ends a turn at a pause or when a timer is due, and who comes after a timer
 * finds it not yet served and has no turn (QEMU with -icount). Beside a program that never pauses a third processor so
 * stands still, while it is waited for. Who sees that there are turns has the others pause, in the interrupt's handler.
 */
static void give_turns(void)
{
	unsigned self = x86_cpu_id();

	for (uint32_t others = x86_online & ~(1u << self); others; others &= others - 1)
		x86_lapic_send((unsigned)__builtin_ctz(others), X86_VECTOR_FLUSH);
}

void x86_relax(void)
{
	uint64_t before = x86_rdtsc();

	x86_pause();
	if (x86_rdtsc() - before > A_TURN)
		give_turns();
	x86_tlb_serve();
}

void x86_tlb_interrupt(void)
{
	x86_tlb_serve();
	x86_pause(); /* see give_turns() */
}

/* With identifiers, who has the space not loaded may have translations of it all the same. */
void x86_tlb_mark(const struct kmm_flush *flush)
{
	unsigned self = x86_cpu_id();

	if (!x86_pcid_on || !flush->root.v)
		return;
	for (unsigned cpu = 0; cpu < X86_MAX_CPUS; cpu++)
		if (cpu != self || flush->root.v != x86_current_root())
			x86_pcid_mark(cpu, flush->root.v);
	atomic_thread_fence(memory_order_seq_cst);
}

/* An idle processor that is marked STALE is none that must be told. */
static bool is_concerned(struct shoot_cpu *cpu, const struct kmm_flush *flush)
{
	uint32_t state = IDLE;

	if (flush->root.v)
		return atomic_load(&cpu->root) == (x86_word)flush->root.v || atomic_load(&cpu->next) == (x86_word)flush->root.v;
	return !atomic_compare_exchange_strong(&cpu->state, &state, STALE) && state == RUNNING;
}

void x86_tlb_others(uint64_t wanted, const struct kmm_flush *flush)
{
	unsigned self = x86_cpu_id();
	uint32_t others = (uint32_t)wanted & x86_online & ~(1u << self), told = 0;

	if (!others)
		return;
	atomic_thread_fence(memory_order_seq_cst); /* the entries have changed before the questions are asked */
	for (unsigned cpu = 0; cpu < X86_MAX_CPUS; cpu++)
		if (others >> cpu & 1 && is_concerned(&cpus[cpu], flush))
			told |= 1u << cpu;
	if (!told)
		return;
	cpus[self].flush = flush;
	atomic_store(&cpus[self].waiting, told);
	for (unsigned cpu = 0; cpu < X86_MAX_CPUS; cpu++)
		if (told >> cpu & 1 && atomic_fetch_or(&cpus[cpu].mail, 1u << self) == 0)
			x86_lapic_send(cpu, X86_VECTOR_FLUSH);
	while (atomic_load(&cpus[self].waiting))
		x86_relax();
}

void x86_tlb_leave(void)
{
	struct shoot_cpu *cpu = &cpus[x86_cpu_id()];

	if (atomic_load_explicit(&cpu->state, memory_order_relaxed) == RUNNING)
		return;
	if (atomic_exchange(&cpu->state, RUNNING) == STALE)
		x86_tlb_flush_all();
}

void x86_idle(void)
{
	if (x86_nr_cpus > 1)
		atomic_store(&cpus[x86_cpu_id()].state, IDLE);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	x86_tlb_leave();
}
