/* SPDX-License-Identifier: MIT */
/*
 * Words that one CPU (or the holder of a lock) writes, and others look at whenever they like: counters for reports, hints.
 * They see a value that was true a moment ago. The writer reads its own word plainly.
 */
#ifndef KMM_BASE_SHARED_H
#define KMM_BASE_SHARED_H

#include "kmm/types.h"

static inline void kmm_word_set(kmm_word *word, kmm_word value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void kmm_word_add(kmm_word *word, kmm_word more)
{
	kmm_word_set(word, *word + more);
}

static inline kmm_word kmm_word_look(const kmm_word *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

#endif
