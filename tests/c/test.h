/* SPDX-License-Identifier: MIT */
/* Checks for the C tests: a failed one prints where and ends the program with 1. */
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"
#include "monitor.h"
#include "status.h"

#define CHECK(condition)                                                               \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

#define CHECK_CLOSE(got, expected, tolerance)                                          \
    do {                                                                               \
        double got_ = (got), expected_ = (expected);                                   \
        if (!(fabs(got_ - expected_) <= (tolerance))) {                                \
            fprintf(stderr, "%s:%d: %s is %.17g, expected %.17g\n", __FILE__,          \
                __LINE__, #got, got_, expected_);                                      \
            exit(1);                                                                   \
        }                                                                              \
    } while (0)

/* A monitor's poll: ends the work the first time it is asked. */
static inline int
stop_at_once(void *data, double done)
{
    (void) data;
    CHECK(done >= 0.0 && done <= 1.0);
    return 1;
}

typedef struct {
    rtl_monitor_t monitor;
    long left;
} patience_t;

static inline int
lose_patience(void *data, double done)
{
    patience_t *patience = data;

    CHECK(done >= 0.0 && done <= 1.0);
    patience->monitor.next = 0.0; /* ask again at once */
    return patience->left-- == 0;
}

/* Run `act`, which must release all it allocates, interrupted the first, second, ...
 * time it asks, until one run is not. Each of the others must return RTL_INTERRUPTED,
 * and none may leave a block behind. Returns how many these were. */
static inline long
check_every_interruption(int (*act)(void *data, rtl_monitor_t *monitor), void *data)
{
    long live = rtl_memory_live();

    for (long k = 0;; k++) {
        patience_t patience = {{.poll = lose_patience}, k};
        patience.monitor.data = &patience;
        int status = act(data, &patience.monitor);
        CHECK(rtl_memory_live() == live);
        CHECK(status == (patience.left < 0 ? RTL_INTERRUPTED : 0));
        if (status == 0) {
            return k;
        }
    }
}

/* Run `act`, which must release all it allocates, with its first, second, ...
 * allocation failing, until one run succeeds. Each failed run must return
 * RTL_NO_MEMORY, and none may leave a block behind. Returns the failures seen. */
static inline long
check_every_allocation_failure(int (*act)(void *data), void *data)
{
    long live = rtl_memory_live();

    for (long k = 0;; k++) {
        rtl_memory_fail_after(k);
        int status = act(data);
        rtl_memory_fail_after(-1);
        CHECK(rtl_memory_live() == live);
        if (status == 0) {
            return k;
        }
        CHECK(status == RTL_NO_MEMORY && k < 100000);
    }
}

#endif
