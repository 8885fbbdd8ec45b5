/* SPDX-License-Identifier: MIT */
/* Radix sort, least significant digit first, of numbers read as integers that sort
 * alike (Knuth, The Art of Computer Programming 3, section 5.2.5). */
#include "ranks.h"

#include <string.h>

#include "memory.h"
#include "sum.h"

#include <stdint.h>

enum {
    DIGIT_BITS = 11,
    N_DIGITS = 6, /* even, so that the last pass writes the first pair of arrays */
    N_BUCKETS = 1 << DIGIT_BITS,
    POLL_EVERY = 1 << 16
};

typedef struct {
    size_t n;
    uint64_t *key[2];  /* (n,) */
    uint32_t *item[2]; /* (n,) position of the key in the input */
} sort_t;

static void
sort_free(sort_t *self)
{
    for (int k = 0; k < 2; k++) {
        rtl_memory_free(self->key[k]);
        rtl_memory_free(self->item[k]);
    }
    memset(self, 0, sizeof *self);
}

/* The bits of a number, arranged so that their order is that of the numbers. */
static uint64_t
sortable(double x)
{
    uint64_t bits;

    x += 0.0; /* -0 becomes +0 */
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 != 0 ? ~bits : bits | (UINT64_C(1) << 63);
}

static int
sort_init(sort_t *self, size_t n, const double *x)
{
    memset(self, 0, sizeof *self);
    for (int k = 0; k < 2; k++) {
        self->key[k] = rtl_memory_alloc(n, sizeof *self->key[k]);
        self->item[k] = rtl_memory_alloc(n, sizeof *self->item[k]);
        if (self->key[k] == NULL || self->item[k] == NULL) {
            sort_free(self);
            return RTL_NO_MEMORY;
        }
    }
    self->n = n;
    for (size_t i = 0; i < n; i++) {
        self->key[0][i] = sortable(x[i]);
        self->item[0][i] = (uint32_t) i;
    }
    return 0;
}

/* One pass: a stable sort by one digit, from one pair of arrays into the other. */
static int
sort_by_digit(sort_t *self, int digit, rtl_monitor_t *monitor)
{
    const uint64_t *key = self->key[digit % 2];
    const uint32_t *item = self->item[digit % 2];
    uint64_t *key_out = self->key[1 - digit % 2];
    uint32_t *item_out = self->item[1 - digit % 2];
    size_t start[N_BUCKETS + 1] = {0};
    int shift = digit * DIGIT_BITS;

    for (size_t i = 0; i < self->n; i++) {
        start[(key[i] >> shift) % N_BUCKETS + 1]++;
    }
    for (size_t b = 0; b < N_BUCKETS; b++) {
        start[b + 1] += start[b];
    }
    for (size_t i = 0; i < self->n; i++) {
        int status = i % POLL_EVERY == 0 ? rtl_monitor_poll(monitor, 0.0) : 0;
        if (status != 0) {
            return status;
        }
        size_t to = start[(key[i] >> shift) % N_BUCKETS]++;
        key_out[to] = key[i];
        item_out[to] = item[i];
    }
    return 0;
}

static void
ranks_from_order(const sort_t *sort, const double *weights, double *ranks)
{
    const uint64_t *key = sort->key[0];
    const uint32_t *item = sort->item[0];
    rtl_sum_t below = {0.0, 0.0};

    for (size_t first = 0, last; first < sort->n; first = last) {
        rtl_sum_t equal = {0.0, 0.0};
        for (last = first; last < sort->n && key[last] == key[first]; last++) {
            rtl_sum_add(
                &equal, weights == NULL ? 1.0 / (double) sort->n : weights[item[last]]);
        }
        for (size_t i = first; i < last; i++) {
            ranks[item[i]] = rtl_sum_total(&below) + 0.5 * rtl_sum_total(&equal);
        }
        rtl_sum_add(&below, rtl_sum_total(&equal));
    }
}

int
rtl_ranks_fill(size_t n, const double *x, const double *weights, rtl_monitor_t *monitor,
    double *ranks)
{
    sort_t sort;

    if (n > UINT32_MAX) {
        return RTL_TOO_LARGE;
    }
    int status = sort_init(&sort, n, x);
    for (int digit = 0; status == 0 && digit < N_DIGITS; digit++) {
        status = sort_by_digit(&sort, digit, monitor);
    }
    if (status == 0) {
        ranks_from_order(&sort, weights, ranks);
    }
    sort_free(&sort);
    return status;
}
