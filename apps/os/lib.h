/* SPDX-License-Identifier: MIT */
/*
 * lib.h - the few tools every part of the reference kernel needs: strings, lists, 64-bit division, and a text
 * buffer that is a kmm_sink. No state, nothing sleeps.
 */
#ifndef OS_LIB_H
#define OS_LIB_H

#include "abi.h"
#include "kmm/types.h"
#include "x86.h"

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define LL(v) ((unsigned long long)(v)) /* a number of any width for %llu and %llx */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline uword min_word(uword a, uword b)
{
	return a < b ? a : b;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uword page_up(uword v)
{
	return (v + (KMM_PAGE_SIZE - 1)) & ~(uword)(KMM_PAGE_SIZE - 1);
}

static inline uword page_down(uword v)
{
	return v & ~(uword)(KMM_PAGE_SIZE - 1);
}

/* ---- strings ---- */
size_t str_len(const char *s);
bool str_eq(const char *a, const char *b);
/* s[0..len) equals the zero-terminated t. */
bool str_eq_n(const char *s, size_t len, const char *t);
bool str_starts(const char *s, const char *prefix);
/* Last '/' separated part of a path. */
const char *str_base(const char *path);
/* Copies at most size-1 bytes and terminates. */
void str_copy(char *to, const char *from, size_t size);
/* Digits to a number; false: none, or it does not fit. *end gets the first byte after it (may be NULL). */
bool str_to_u32(const char *s, unsigned base, uint32_t *out, const char **end);
bool str_to_word(const char *s, unsigned base, uword *out, const char **end);

/* n / d; *rem (may be NULL) gets the rest. The compiler would call a library for it. */
uint64_t div_u64(uint64_t n, uint32_t d, uint32_t *rem);

/* ---- doubly linked circular list; a list head is a node too ---- */
struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list *node, struct list *head)
{
	node->next = head;
	node->prev = head->prev;
	head->prev->next = node;
	head->prev = node;
}

/* Leaves the node as an empty list, so that a second del is harmless. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_for_each(var, head, member)                                            \
	for (var = container_of((head)->next, __typeof__(*var), member); &var->member != (head); \
	     var = container_of(var->member.next, __typeof__(*var), member))

/* The current node may be removed by the body. */
#define list_for_each_safe(var, tmp, head, member)                                  \
	for (var = container_of((head)->next, __typeof__(*var), member),            \
	    tmp = container_of(var->member.next, __typeof__(*var), member);         \
	     &var->member != (head); var = tmp, tmp = container_of(tmp->member.next, __typeof__(*tmp), member))

/* ---- text ---- */

/* A sink into memory. len counts everything that was written, also what did not fit into size. */
struct text {
	struct kmm_sink sink; /* first */
	char *buf;
	size_t size, len;
};
void text_init(struct text *t, char *buf, size_t size);
void text_add(struct text *t, const char *bytes, size_t len);

/* printf into any sink, by the port's formatter; a line of at most 255 bytes. */
__attribute__((format(printf, 2, 3))) void sink_printf(struct kmm_sink *sink, const char *fmt, ...);

#endif
