/* SPDX-License-Identifier: MIT */
/* Loaded before the C library (LD_PRELOAD): counts the allocations that chosen shared
 * objects make, and lets one of them fail.
 *
 * An allocation is theirs if malloc, calloc or realloc returns into their code or, where
 * that is asked for, if they called what called it: Python and NumPy on their behalf. The
 * functions of the C library go by their glibc names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

enum { RANGES = 64, SLOTS = 1 << 20, DEPTH = 12 };

static struct {
    uintptr_t first, last;
} ranges[RANGES];
static int n_ranges;
static atomic_bool indirect;
static atomic_long countdown = -1, seen;

/* --- whose it is -------------------------------------------------------------- */

static int
add_object(struct dl_phdr_info *info, size_t size, void *name)
{
    (void) size;
    for (int k = 0; strstr(info->dlpi_name, name) != NULL && k < info->dlpi_phnum; k++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[k];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && n_ranges < RANGES) {
            ranges[n_ranges].first = info->dlpi_addr + part->p_vaddr;
            ranges[n_ranges].last = ranges[n_ranges].first + part->p_memsz;
            n_ranges++;
        }
    }
    return 0;
}

/* Count also what objects with `name` in their path allocate; returns how many there are. */
int
hook_choose(char *name)
{
    void *frames[DEPTH];

    backtrace(frames, DEPTH); /* loads what it needs */
    dl_iterate_phdr(add_object, name);
    return n_ranges;
}

/* SUNDIALS 6 does not look at what these got, or frees twice where it was nothing; the
 * unnamed ones belong to its logger. The core asks for room before it calls them. */
static bool
is_careless(const void *caller)
{
    static const char *const names[] = {"SUNLinSolInitialize_SPFGMR", "SUNNonlinSol"};
    Dl_info info;

    if (dladdr(caller, &info) == 0 || strstr(info.dli_fname, "sundials") == NULL) {
        return false;
    }
    for (size_t k = 0; info.dli_sname != NULL && k < sizeof names / sizeof *names; k++) {
        if (strncmp(info.dli_sname, names[k], strlen(names[k])) == 0) {
            return true;
        }
    }
    return info.dli_sname == NULL;
}

static bool
is_within(const void *address)
{
    uintptr_t at = (uintptr_t) address;

    for (int k = 0; k < n_ranges; k++) {
        if (at >= ranges[k].first && at < ranges[k].last) {
            return true;
        }
    }
    return false;
}

static bool
is_theirs(const void *caller)
{
    static _Thread_local bool looking;
    void *frames[DEPTH];
    bool found = is_within(caller);

    if (!found && atomic_load(&indirect) && !looking) {
        looking = true;
        int n = backtrace(frames, DEPTH);
        for (int k = 0; k < n && !found; k++) {
            found = is_within(frames[k]);
        }
        looking = false;
    }
    return found;
}

/* --- what is alive: a set of addresses ---------------------------------------- */

static void *live[SLOTS];
static long n_live;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static size_t
slot_of(const void *block)
{
    return (((uintptr_t) block >> 4) * 0x9E3779B97F4A7C15u) >> 44;
}

static void
keep(void *block)
{
    while (atomic_flag_test_and_set(&busy)) {
    }
    if (block != NULL && n_live < SLOTS / 2) {
        size_t k = slot_of(block);
        while (live[k] != NULL) {
            k = (k + 1) % SLOTS;
        }
        live[k] = block;
        n_live++;
    }
    atomic_flag_clear(&busy);
}

static void
forget(const void *block)
{
    while (atomic_flag_test_and_set(&busy)) {
    }
    size_t k = slot_of(block);
    while (live[k] != NULL && live[k] != block) {
        k = (k + 1) % SLOTS;
    }
    if (block != NULL && live[k] != NULL) {
        live[k] = NULL;
        n_live--;
        for (size_t i = (k + 1) % SLOTS; live[i] != NULL; i = (i + 1) % SLOTS) {
            size_t home = slot_of(live[i]); /* close the gap */
            if ((i > k && (home <= k || home > i)) || (i < k && home <= k && home > i)) {
                live[k] = live[i];
                live[i] = NULL;
                k = i;
            }
        }
    }
    atomic_flag_clear(&busy);
}

/* --- what the tests call ------------------------------------------------------- */

/* Let the allocation after `count` good ones fail, once; a negative count: none. With
 * `others`, what others allocate for the chosen objects counts as well. Returns how many
 * were seen since the last call. */
long
hook_fail_after(long count, int others)
{
    atomic_store(&indirect, others);
    atomic_store(&countdown, count);
    return atomic_exchange(&seen, 0);
}

/* Blocks of the chosen objects that are not freed. */
long
hook_live(void)
{
    return n_live;
}

/* --- the C library's functions ------------------------------------------------ */

static bool
must_fail(const void *caller)
{
    if (!is_theirs(caller) || (atomic_load(&countdown) == 0 && is_careless(caller))) {
        return false;
    }
    atomic_fetch_add(&seen, 1);
    return atomic_load(&countdown) >= 0 && atomic_fetch_sub(&countdown, 1) == 0;
}

static void *
counted(void *block, const void *caller)
{
    if (is_within(caller)) {
        keep(block);
    }
    return block;
}

void *
malloc(size_t size)
{
    void *caller = __builtin_return_address(0);
    return must_fail(caller) ? NULL : counted(__libc_malloc(size), caller);
}

void *
calloc(size_t n, size_t size)
{
    void *caller = __builtin_return_address(0);
    return must_fail(caller) ? NULL : counted(__libc_calloc(n, size), caller);
}

void *
realloc(void *block, size_t size)
{
    void *caller = __builtin_return_address(0);

    if (must_fail(caller)) {
        return NULL;
    }
    void *resized = __libc_realloc(block, size);
    if (resized != NULL) {
        forget(block);
        counted(resized, caller);
    }
    return resized;
}

void
free(void *block)
{
    forget(block);
    __libc_free(block);
}
