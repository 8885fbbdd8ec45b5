/* SPDX-License-Identifier: MIT */
/* Allocation: zeroed, checked for overflow, countable and breakable in tests. */
#ifndef RTL_MEMORY_H
#define RTL_MEMORY_H

#include <stddef.h>

/* Zeroed room for n objects of `size` bytes (at least one byte); NULL when the
 * product overflows or memory is short. The caller owns it: rtl_memory_free. */
void *rtl_memory_alloc(size_t n, size_t size);

/* Resize to n objects; what is new is not zeroed. On failure NULL is returned and
 * the old block stays valid and owned by the caller. */
void *rtl_memory_resize(void *block, size_t n, size_t size);

/* Free a block; NULL is allowed. */
void rtl_memory_free(void *block);

/* Many small blocks that are given back all at once. */
typedef struct {
    void *last;  /* chunk; it begins with a pointer to the one before; owned */
    size_t left; /* bytes of it */
    size_t size; /* of chunks, at least; 0 at first */
} rtl_memory_pool_t;

/* Zeroed room for n objects of `size` bytes, or NULL; the pool owns it. */
void *rtl_memory_pool_alloc(rtl_memory_pool_t *self, size_t n, size_t size);

void rtl_memory_pool_free(rtl_memory_pool_t *self);

#ifdef RTL_FAULT_HOOK
/* Tests only: let the allocation that comes after `count` good ones fail, once;
 * a negative count turns this off. */
void rtl_memory_fail_after(long count);

/* Tests only: blocks allocated and not yet freed. */
long rtl_memory_live(void);
#endif

#endif
