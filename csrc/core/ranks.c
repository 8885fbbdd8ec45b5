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
poll(rtl_monitor_t *monitor, size_t i)
{
    return i % POLL_EVERY == 0 ? rtl_monitor_poll(monitor, 0.0) : 0;
}

static int
sort_init(sort_t *self, size_t n, const double *x, rtl_monitor_t *monitor)
{
    int status = 0;

    memset(self, 0, sizeof *self);
    for (int k = 0; k < 2; k++) {
        self->key[k] = rtl_memory_alloc(n, sizeof *self->key[k]);
        self->item[k] = rtl_memory_alloc(n, sizeof *self->item[k]);
        if (self->key[k] == NULL || self->item[k] == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
    }
    self->n = n;
    for (size_t i = 0; i < n; i++) {
        status = poll(monitor, i);
        if (status != 0) {
            goto out;
        }
        self->key[0][i] = sortable(x[i]);
        self->item[0][i] = (uint32_t) i;
    }
out:
    if (status != 0) {
        sort_free(self);
    }
    return status;
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
        int status = poll(monitor, i);
        if (status != 0) {
            return status;
        }
        start[(key[i] >> shift) % N_BUCKETS + 1]++;
    }
    for (size_t b = 0; b < N_BUCKETS; b++) {
        start[b + 1] += start[b];
    }
    for (size_t i = 0; i < self->n; i++) {
        int status = poll(monitor, i);
        if (status != 0) {
            return status;
        }
        size_t to = start[(key[i] >> shift) % N_BUCKETS]++;
        key_out[to] = key[i];
        item_out[to] = item[i];
    }
    return 0;
}

/* Weight of the items first .. last-1 in the order. */
static double
weight_of(const sort_t *sort, const double *weights, size_t first, size_t last)
{
    rtl_sum_t sum = {0.0, 0.0};

    if (weights == NULL) {
        return (double) (last - first) / (double) sort->n;
    }
    for (size_t i = first; i < last; i++) {
        rtl_sum_add(&sum, weights[sort->item[0][i]]);
    }
    return rtl_sum_total(&sum);
}

static int
ranks_from_order(
    const sort_t *sort, const double *weights, rtl_monitor_t *monitor, double *ranks)
{
    const uint64_t *key = sort->key[0];
    rtl_sum_t below = {0.0, 0.0};
    size_t poll_at = 0;

    for (size_t first = 0, last; first < sort->n; first = last) {
        if (first >= poll_at) {
            int status = rtl_monitor_poll(monitor, 0.0);
            if (status != 0) {
                return status;
            }
            poll_at = first + POLL_EVERY;
        }
        for (last = first + 1; last < sort->n && key[last] == key[first]; last++) {
        }
        double equal = weight_of(sort, weights, first, last);
        double rank = rtl_sum_total(&below) + 0.5 * equal;
        for (size_t i = first; i < last; i++) {
            ranks[sort->item[0][i]] = rank;
        }
        rtl_sum_add(&below, equal);
    }
    return 0;
}

int
rtl_ranks_fill(size_t n, const double *x, const double *weights, rtl_monitor_t *monitor,
    double *ranks)
{
    sort_t sort;

    if (n > UINT32_MAX) {
        return RTL_TOO_LARGE;
    }
    int status = sort_init(&sort, n, x, monitor);
    for (int digit = 0; status == 0 && digit < N_DIGITS; digit++) {
        status = sort_by_digit(&sort, digit, monitor);
    }
    if (status == 0) {
        status = ranks_from_order(&sort, weights, monitor, ranks);
    }
    sort_free(&sort);
    return status;
}
