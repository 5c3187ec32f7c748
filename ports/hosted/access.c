/* SPDX-License-Identifier: MIT */
/*
 * Memory accesses of programs and of the kernel on a simulated CPU: what the processor and a trap handler
 * do together. Translation and copy happen under the CPU's lock, so that a flush from another CPU waits
 * for the access, as an interrupt would.
 */
#include "internal.h"

#include <stdatomic.h>
#include <string.h>

/* A fault that was handled may come back because another CPU changed the entry; not this often. */
enum { MAX_RETRIES = 1000 };

/* Flushes from other CPUs reload it. */
static uint64_t root_of(struct hosted_machine *m, unsigned cpu)
{
	uint64_t root;

	pthread_mutex_lock(&m->cpu[cpu].lock);
	root = m->cpu[cpu].mmu.cr3;
	pthread_mutex_unlock(&m->cpu[cpu].lock);
	return root;
}

void hosted_run_space(struct hosted_machine *m, struct kmm_mm *mm)
{
	uint64_t root = mm ? kmm_mm_root(mm).v : kmm_kernel_root(m->k).v;

	if (root_of(m, hosted_cpu()) != root)
		hosted_load_root(m, hosted_cpu(), root);
	m->cpu[hosted_cpu()].space = mm;
}

void hosted_put_space(struct hosted_machine *m, struct kmm_mm *mm)
{
	for (unsigned i = 0; i < m->config.machine.nr_cpus; i++) {
		struct kmm_mm *run = mm;

		atomic_compare_exchange_strong(&m->cpu[i].space, &run, NULL);
	}
	for (unsigned i = 0; i < m->config.machine.nr_cpus; i++)
		if (root_of(m, i) == kmm_mm_root(mm).v)
			hosted_load_root(m, i, kmm_kernel_root(m->k).v);
	kmm_mm_put(mm);
}

/* Bus accesses where no memory answers: ones are read, writes are lost. */
static void copy(struct hosted_machine *m, uint64_t pa, enum kmm_access access, void *buf, size_t len)
{
	void *at = hosted_phys(m, pa);

	if (access == KMM_WRITE) {
		if (at)
			memcpy(at, buf, len);
	} else if (at) {
		memcpy(buf, at, len);
	} else {
		memset(buf, 0xff, len);
	}
}

/* One piece inside a page. */
static bool access_once(struct hosted_machine *m, uint64_t va, enum kmm_access access, bool user, void *buf, size_t len,
			struct softmmu_fault *fault)
{
	struct hosted_processor *cpu = &m->cpu[hosted_cpu()];
	uint64_t pa;
	bool ok;

	pthread_mutex_lock(&cpu->lock);
	ok = softmmu_translate(&cpu->mmu, va, access, user, &pa, fault);
	if (ok)
		copy(m, pa, access, buf, len);
	pthread_mutex_unlock(&cpu->lock);
	return ok;
}

static size_t to_page_end(uint64_t va, size_t len)
{
	size_t rest = KMM_PAGE_SIZE - (va & (KMM_PAGE_SIZE - 1));

	return len < rest ? len : rest;
}

/* What a trap handler can know: 32-bit CPUs without NX report a fetch as a read. */
static enum kmm_access access_of(uint32_t error)
{
	if (error & SOFTMMU_W)
		return KMM_WRITE;
	return error & SOFTMMU_ID ? KMM_EXEC : KMM_READ;
}

/* true: retry. false: *r says which signal, by the rules of Linux on x86. */
static bool handle(struct hosted_machine *m, struct kmm_mm *mm, const struct softmmu_fault *fault,
		   struct hosted_result *r)
{
	struct kmm_fault_info info = { kmm_uva(fault->cr2), access_of(fault->error), kmm_uva(0) };

	r->addr = fault->cr2;
	if (fault->vector == SOFTMMU_GP) {
		r->signal = 11, r->code = 128, r->addr = 0;
		return false;
	}
	if (fault->error & SOFTMMU_RSVD)
		m->port.fatal(&m->port, __FILE__, __LINE__, "reserved bit set in a user page table");
	switch (kmm_handle_fault(mm, &info)) {
	case KMM_FAULT_OK:
		return true;
	case KMM_FAULT_SEGV_MAPERR:
		r->signal = 11, r->code = 1;
		return false;
	case KMM_FAULT_SEGV_ACCERR:
		r->signal = 11, r->code = 2;
		return false;
	case KMM_FAULT_BUS_ADRERR:
	case KMM_FAULT_BUS_EIO:
		r->signal = 7, r->code = 2;
		return false;
	case KMM_FAULT_OOM:
		break;
	}
	r->signal = 9, r->code = 128, r->addr = 0;
	return false;
}

struct hosted_result hosted_access(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, enum kmm_access access,
				   void *buf, size_t len)
{
	struct hosted_result r = { .ok = true };
	struct softmmu_fault fault;
	unsigned retries = 0;

	hosted_run_space(m, mm);
	while (r.ok && r.done < len) {
		size_t part = to_page_end(va + r.done, len - r.done);

		if (access_once(m, va + r.done, access, true, (char *)buf + r.done, part, &fault)) {
			r.done += part;
			retries = 0;
		} else {
			r.ok = handle(m, mm, &fault, &r);
			if (++retries > MAX_RETRIES)
				m->port.fatal(&m->port, __FILE__, __LINE__, "a handled page fault comes back for ever");
		}
	}
	if (r.ok)
		r.addr = 0;
	return r;
}

struct hosted_result hosted_read_user(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, void *buf, size_t len)
{
	return hosted_access(m, mm, va, KMM_READ, buf, len);
}

struct hosted_result hosted_write_user(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, const void *buf,
				       size_t len)
{
	return hosted_access(m, mm, va, KMM_WRITE, (void *)(uintptr_t)buf, len);
}

struct hosted_result hosted_exec_user(struct hosted_machine *m, struct kmm_mm *mm, uint64_t va, void *buf, size_t len)
{
	return hosted_access(m, mm, va, KMM_EXEC, buf, len);
}

bool hosted_kernel_access(struct hosted_machine *m, uint64_t va, enum kmm_access access, void *buf, size_t len,
			  struct softmmu_fault *fault)
{
	struct softmmu_fault unwanted;

	for (size_t done = 0; done < len;) {
		size_t part = to_page_end(va + done, len - done);

		if (!access_once(m, va + done, access, false, (char *)buf + done, part, fault ? fault : &unwanted))
			return false;
		done += part;
	}
	return true;
}
