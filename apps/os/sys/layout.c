/* SPDX-License-Identifier: MIT */
/* layout.c - structures that i386 and x86-64 programs lay out differently, written to user memory. */
#include "abi32.h"
#include "abi64.h"
#include "sig/sig.h"
#include "sys/sys.h"

void siginfo_fill32(struct linux32_siginfo *to, const struct pending_signal *info)
{
	*to = (struct linux32_siginfo){ .signo = info->signo, .code = info->code };
	if (info->is_fault) {
		to->w[0] = (uint32_t)info->addr;
		return;
	}
	to->w[0] = info->pid; /* the user after it is 0 */
	to->w[2] = info->status;
	to->w[3] = info->ticks;
}

void siginfo_fill64(struct linux64_siginfo *to, const struct pending_signal *info)
{
	*to = (struct linux64_siginfo){ .signo = info->signo, .code = info->code };
	if (info->is_fault) {
		to->addr = info->addr;
		return;
	}
	to->pid = info->pid;
	to->status = info->status;
	to->utime = info->ticks;
}

int put_siginfo(uword to, const struct pending_signal *info)
{
	struct linux32_siginfo s32;
	struct linux64_siginfo s64;

	if (abi_64()) {
		siginfo_fill64(&s64, info);
		return copy_out(to, &s64, sizeof(s64));
	}
	siginfo_fill32(&s32, info);
	return copy_out(to, &s32, sizeof(s32));
}

int put_rusage(uword to, const struct usage *usage)
{
	enum { USER_SECONDS, USER_US, MAX_RSS = 4, MINOR_FAULTS = 8, MAJOR_FAULTS = 9, NR_FIELDS = 18, TICK_US = 1000000 / X86_HZ };
	uword field[NR_FIELDS] = {
		[USER_SECONDS] = usage->ticks / X86_HZ, [USER_US] = usage->ticks % X86_HZ * TICK_US,
		[MAX_RSS] = usage->max_rss_kib, [MINOR_FAULTS] = usage->minor_faults,
		[MAJOR_FAULTS] = usage->major_faults,
	};

	return put_words(to, field, NR_FIELDS);
}
