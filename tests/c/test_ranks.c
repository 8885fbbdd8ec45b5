/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <stdint.h>

#include "ranks.h"
#include "test.h"

enum { N = 500 };

static void
test_order_and_ties(void)
{
    const double x[] = {
        3.0, -0.0, 1e300, 0.0, -DBL_MIN / 4.0, -1e300, 3.0, DBL_MIN / 4.0};
    const double below[] = {5.0, 2.0, 7.0, 2.0, 1.0, 0.0, 5.0, 4.0};
    const double equal[] = {2.0, 2.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0};
    double ranks[8];

    CHECK(rtl_ranks_fill(8, x, NULL, NULL, ranks) == 0);
    for (size_t i = 0; i < 8; i++) {
        CHECK_CLOSE(ranks[i], (below[i] + 0.5 * equal[i]) / 8.0, 1e-16);
    }
}

static void
test_against_counting(void)
{
    double x[N], w[N], ranks[N];

    for (size_t i = 0; i < N; i++) {
        x[i] = sin((double) (i * i)) * exp((double) (i % 41) - 20.0);
        x[i] = i % 3 == 0 ? floor(x[i]) : x[i];
        w[i] = (double) (i % 5);
    }
    CHECK(rtl_ranks_fill(N, x, w, NULL, ranks) == 0);
    for (size_t i = 0; i < N; i++) {
        double expected = 0.0;
        for (size_t j = 0; j < N; j++) {
            expected += x[j] < x[i] ? w[j] : x[j] == x[i] ? 0.5 * w[j] : 0.0;
        }
        CHECK_CLOSE(ranks[i], expected, 1e-12);
    }
}

static int
stop(void *data, double done)
{
    (void) done;
    return ++*(int *) data > 1;
}

static int
fill(void *data)
{
    const double x[] = {2.0, 1.0};
    double ranks[2];

    (void) data;
    return rtl_ranks_fill(2, x, NULL, NULL, ranks);
}

int
main(void)
{
    int calls = 1;
    rtl_monitor_t monitor = {.poll = stop, .data = &calls};
    double x[] = {1.0, 0.0}, ranks[2];

    test_order_and_ties();
    test_against_counting();
    CHECK(rtl_ranks_fill(0, NULL, NULL, NULL, NULL) == 0);
    CHECK(
        rtl_ranks_fill((size_t) UINT32_MAX + 1, x, NULL, NULL, ranks) == RTL_TOO_LARGE);
    CHECK(rtl_ranks_fill(2, x, NULL, &monitor, ranks) == RTL_INTERRUPTED);
    CHECK(check_every_allocation_failure(fill, NULL) == 4);
    return 0;
}
