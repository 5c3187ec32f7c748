/* SPDX-License-Identifier: MIT */
/*
 * Vector registers stay a thread's own: over switches of threads and processors, and over signal handlers that use them. SSE
 * everywhere; AVX where the processor has it and the kernel keeps it. Ends with "N passed, N failed".
 */
#include <cpuid.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

enum { NR_THREADS = 6, ROUNDS = 300 };

typedef struct {
	uint64_t word[4];
} __attribute__((aligned(32))) vector;

static int has_avx(void)
{
	unsigned a, b, c, d, low, high;

	__cpuid(1, a, b, c, d);
	if (!(c & bit_AVX) || !(c & bit_OSXSAVE))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6;
}

static int avx;
static volatile int handled;

static void load(const vector *v)
{
	if (avx)
		__asm__ volatile("vmovdqa %0, %%ymm5" : : "m"(*v));
	else
		__asm__ volatile("movdqa %0, %%xmm5" : : "m"(*v));
}

static vector store(void)
{
	vector v = { { 0 } };

	if (avx)
		__asm__ volatile("vmovdqa %%ymm5, %0" : "=m"(v));
	else
		__asm__ volatile("movdqa %%xmm5, %0" : "=m"(v));
	return v;
}

/* The value lives in the register alone while others run and signals come. */
static int keeps(const vector *want, int (*pass_time)(void))
{
	vector got;

	load(want);
	if (pass_time() < 0)
		return 0;
	got = store();
	return memcmp(got.word, want->word, avx ? 32 : 16) == 0;
}

/* System calls by hand: the C library may use the registers. */
static int yield(void)
{
	long result;

#ifdef __x86_64__
	__asm__ volatile("syscall" : "=a"(result) : "0"(24l) : "rcx", "r11", "memory");
#else
	__asm__ volatile("int $0x80" : "=a"(result) : "0"(158l) : "memory");
#endif
	return (int)result;
}

static int spin(void)
{
	for (volatile int i = 0; i < 20000; i++)
		;
	return 0;
}

static int wait_for_signal(void)
{
	int before = handled;

	for (volatile long i = 0; handled == before && i < 100000000; i++)
		;
	return handled == before ? -1 : 0;
}

static void on_alarm(int sig)
{
	const vector junk = { { ~0ull, ~0ull, ~0ull, ~0ull } };

	(void)sig;
	load(&junk);
	handled++;
}

static void *work(void *arg)
{
	uint64_t n = (uintptr_t)arg;
	uintptr_t bad = 0;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		vector v = { { n * 1000000 + i, ~n, i ^ n << 32, n * 7 + i * 13 } };

		bad += !keeps(&v, i % 4 ? yield : spin);
	}
	return (void *)bad;
}

int main(void)
{
	const vector mine = { { 0x0123456789abcdef, 2, 0xfedcba9876543210, 4 } };
	const struct itimerval often = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
	pthread_t thread[NR_THREADS];

	avx = has_avx();
	printf("%s\n", avx ? "AVX" : "SSE");
	for (int i = 0; i < NR_THREADS; i++)
		CHECK("thread", pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)(i + 1)) == 0);
	for (int i = 0; i < NR_THREADS; i++) {
		void *bad = thread;

		CHECK("kept by a thread", pthread_join(thread[i], &bad) == 0 && !bad);
	}
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 5; i++)
		CHECK("kept over a handler", keeps(&mine, wait_for_signal));
	setitimer(ITIMER_REAL, &never, NULL);
	return sum();
}
