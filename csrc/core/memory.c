/* SPDX-License-Identifier: MIT */
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>

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
