/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

/* Bytes: blocks of a pool are multiples; what is asked for at a time, at first and
 * later. */
enum { UNIT = 16, FIRST = 1 << 12, MOST = 1 << 20 };

#ifdef RTL_FAULT_HOOK
#include <stdatomic.h>
#include <stdbool.h>

static atomic_long fail_countdown = -1;
static atomic_long live_blocks = 0;

void
rtl_memory_fail_after(long count)
{
    atomic_store(&fail_countdown, count);
}

long
rtl_memory_live(void)
{
    return atomic_load(&live_blocks);
}

static bool
must_fail(void)
{
    if (atomic_load(&fail_countdown) < 0) {
        return false;
    }
    return atomic_fetch_sub(&fail_countdown, 1) == 0;
}
#endif

void *
rtl_memory_alloc(size_t n, size_t size)
{
#ifdef RTL_FAULT_HOOK
    if (must_fail()) {
        return NULL;
    }
#endif
    if (size != 0 && n > SIZE_MAX / size) {
        return NULL;
    }
    void *block = calloc(n > 0 ? n : 1, size > 0 ? size : 1);
#ifdef RTL_FAULT_HOOK
    if (block != NULL) {
        atomic_fetch_add(&live_blocks, 1);
    }
#endif
    return block;
}

void *
rtl_memory_resize(void *block, size_t n, size_t size)
{
#ifdef RTL_FAULT_HOOK
    if (must_fail()) {
        return NULL;
    }
#endif
    if (size != 0 && n > SIZE_MAX / size) {
        return NULL;
    }
    void *resized = realloc(block, n * size > 0 ? n * size : 1);
#ifdef RTL_FAULT_HOOK
    if (resized != NULL && block == NULL) {
        atomic_fetch_add(&live_blocks, 1);
    }
#endif
    return resized;
}

void
rtl_memory_free(void *block)
{
#ifdef RTL_FAULT_HOOK
    if (block != NULL) {
        atomic_fetch_sub(&live_blocks, 1);
    }
#endif
    free(block);
}

void *
rtl_memory_pool_alloc(rtl_memory_pool_t *self, size_t n, size_t size)
{
    if (size != 0 && n > (SIZE_MAX - 2 * UNIT) / size) {
        return NULL;
    }
    size_t bytes = (n * size + UNIT - 1) / UNIT * UNIT;
    if (bytes > self->left) {
        self->size = self->size == 0     ? FIRST
                     : self->size < MOST ? 2 * self->size
                                         : MOST;
        size_t room = bytes > self->size ? bytes : self->size;
        void **chunk = rtl_memory_alloc(1, UNIT + room);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = self->last;
        self->last = chunk;
        self->left = room;
    }
    self->left -= bytes; /* blocks are taken from the end */
    return (char *) self->last + UNIT + self->left;
}

void
rtl_memory_pool_free(rtl_memory_pool_t *self)
{
    while (self->last != NULL) {
        void **chunk = self->last;
        self->last = *chunk;
        rtl_memory_free(chunk);
    }
    self->left = 0;
}
