/* SPDX-License-Identifier: MIT */
/*
 * The three answers to the end of memory (kmm/mm.h says what each means): where they are kept. What they do is done where it is
 * asked for: in the rule for promises (commit.c), and where a fault has found no memory (fault/fault.c).
 */
#include "vm/mm.h"

static const char *const names[KMM_NR_ANSWERS] = {
	[KMM_ANSWER_SWAP] = "swap", [KMM_ANSWER_ENOMEM] = "enomem", [KMM_ANSWER_BLOCK] = "block",
};

const char *kmm_answer_name(enum kmm_answer answer)
{
	return (unsigned)answer < KMM_NR_ANSWERS ? names[answer] : "?";
}

enum kmm_status kmm_mm_set_answer(struct kmm_mm *mm, enum kmm_answer answer)
{
	if ((unsigned)answer >= KMM_NR_ANSWERS)
		return KMM_EINVAL;
	__atomic_store_n(&mm->answer, answer, __ATOMIC_RELAXED);
	return KMM_OK;
}

enum kmm_answer kmm_mm_answer(const struct kmm_mm *mm)
{
	return __atomic_load_n(&mm->answer, __ATOMIC_RELAXED);
}

enum kmm_status kmm_set_answer(struct kmm *k, enum kmm_answer answer)
{
	if ((unsigned)answer >= KMM_NR_ANSWERS)
		return KMM_EINVAL;
	__atomic_store_n(&k->vm->answer, answer, __ATOMIC_RELAXED);
	return KMM_OK;
}

enum kmm_answer kmm_answer_of(const struct kmm *k)
{
	return __atomic_load_n(&k->vm->answer, __ATOMIC_RELAXED);
}
