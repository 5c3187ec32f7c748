/* SPDX-License-Identifier: MIT */
/* misc.c - small services of the kernel: string copies, random bytes. */
#include "lock.h"
#include "os.h"

char *os_strdup(const char *s)
{
	size_t size = str_len(s) + 1;
	char *copy = os_alloc(size);

	if (copy)
		memcpy(copy, s, size);
	return copy;
}

static struct spin random_lock = SPIN_OF(SPIN_RANDOM);

/* SplitMix64: a counter, well stirred. Not for secrets: the seed may be known. */
static uint64_t next_random(void)
{
	static uint64_t state;
	static bool started;
	uint64_t z;

	spin_lock(&random_lock);
	if (!started) {
		state = os.options.has_seed ? os.options.seed : os.port->random(os.port);
		started = true;
	}
	z = (state += 0x9e3779b97f4a7c15ull);
	spin_unlock(&random_lock);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void os_random(void *to, size_t len)
{
	uint8_t *out = to;

	while (len) {
		uint64_t r = next_random();
		size_t n = len < sizeof(r) ? len : sizeof(r);

		memcpy(out, &r, n);
		out += n;
		len -= n;
	}
}
