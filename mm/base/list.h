/* Intrusive doubly linked circular lists. A list head and a member are the same struct. */
#ifndef MM_BASE_LIST_H
#define MM_BASE_LIST_H

#include "mm/base/types.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/* Takes the item out and makes it a list of its own, so that removing twice is harmless. */
static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_for_each_entry(it, head, member)                                                      \
	for (it = list_entry((head)->next, __typeof__(*it), member); &it->member != (head);        \
		it = list_entry(it->member.next, __typeof__(*it), member))
#define list_for_each_entry_safe(it, tmp, head, member)                                            \
	for (it = list_entry((head)->next, __typeof__(*it), member),                               \
	    tmp = list_entry(it->member.next, __typeof__(*it), member);                            \
		&it->member != (head);                                                             \
		it = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
