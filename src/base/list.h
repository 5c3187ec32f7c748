/* SPDX-License-Identifier: MIT */
/*
 * Circular doubly linked list by pointers, for structures that are not in descriptors.
 * An empty list is a head that points to itself. No locks of its own.
 */
#ifndef KMM_BASE_LIST_H
#define KMM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct kmm_list {
	struct kmm_list *next, *prev;
};

#define kmm_container(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline void kmm_list_init(struct kmm_list *head) { head->next = head->prev = head; }
static inline bool kmm_list_empty(const struct kmm_list *head) { return head->next == head; }

/* Puts item before pos: at the end of the list when pos is its head. */
static inline void kmm_list_add_before(struct kmm_list *pos, struct kmm_list *item)
{
	item->prev = pos->prev;
	item->next = pos;
	pos->prev->next = item;
	pos->prev = item;
}

static inline void kmm_list_add_after(struct kmm_list *pos, struct kmm_list *item)
{
	kmm_list_add_before(pos->next, item);
}

static inline void kmm_list_del(struct kmm_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = item->prev = item;
}

#endif
