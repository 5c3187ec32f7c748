/* SPDX-License-Identifier: MIT */
/*
 * Words that one CPU (or the holder of a lock) writes, and others look at whenever they like: counters for reports, hints.
 * They see a value that was true a moment ago. The writer reads its own word plainly.
 */
#ifndef KMM_BASE_SHARED_H
#define KMM_BASE_SHARED_H

#include "kmm/types.h"

#if defined(__SANITIZE_THREAD__)
#define KMM_CHECKED_FOR_RACES 1
#elif defined(__has_feature)
#define KMM_CHECKED_FOR_RACES __has_feature(thread_sanitizer)
#else
#define KMM_CHECKED_FOR_RACES 0
#endif

static inline void kmm_word_set(kmm_word *word, kmm_word value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline kmm_word kmm_word_look(const kmm_word *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Plainly, for compilers make one instruction of that and three of a load, a sum and a store that are atomic each; a
 * word is written as a whole either way. What checks for races is told so. */
#if KMM_CHECKED_FOR_RACES
static inline void kmm_word_add(kmm_word *word, kmm_word more)
{
	kmm_word_set(word, *word + more);
}
static inline kmm_word kmm_word_glance(const kmm_word *word)
{
	return kmm_word_look(word);
}
#else
static inline void kmm_word_add(kmm_word *word, kmm_word more)
{
	*word += more;
}

/* A look at another's word where each instruction counts: by an operand of the comparison. Not in loops that wait. */
static inline kmm_word kmm_word_glance(const kmm_word *word)
{
	return *word;
}
#endif

#endif
