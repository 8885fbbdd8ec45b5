/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "jumps.h"
#include "test.h"

enum { N = 4, PATHS = 50, JUMPS = 9000 };

static const int64_t source[] = {0, 0, 1, 2, 3, 3, 2};
static const int64_t target[] = {1, 3, 2, 0, 0, 2, 3};
static const double rate[] = {1.0, 2.0, 0.5, 3.0, 1.0, 0.25, 1.5};

static void
make_chain(rtl_generator_t *chain)
{
    size_t bad;

    CHECK(rtl_generator_from_rates(chain, N, 7, source, target, rate, &bad, NULL) == 0);
}

static void
test_rates(void)
{
    rtl_generator_t chain;
    rtl_jumps_t jumps;

    make_chain(&chain);
    CHECK(rtl_jumps_init(&jumps, &chain) == 0);
    for (size_t j = 0; j < N; j++) {
        double before = 0.0;
        CHECK_CLOSE(jumps.total[j], chain.exit_rate[j], 1e-15);
        for (size_t e = jumps.start[j]; e < jumps.start[j + 1]; e++) {
            double found = 0.0;
            for (size_t k = 0; k < 7; k++) {
                if (source[k] == (int64_t) j && target[k] == jumps.target[e]) {
                    found = rate[k];
                }
            }
            CHECK_CLOSE(jumps.sum[e] - before, found, 1e-15);
            before = jumps.sum[e];
        }
    }
    CHECK(jumps.start[0] == 0 && jumps.start[N] == 7);
    rtl_jumps_free(&jumps);
    rtl_generator_free(&chain);
}

/* Occupation against the steady state: its balance holds to 4 %. Threads, and slices of
 * a run (it has three), change nothing. */
static void
test_paths(void)
{
    static int32_t state[PATHS * (JUMPS + 1)], other[PATHS * (JUMPS + 1)];
    static double time[PATHS * (JUMPS + 1)], other_time[PATHS * (JUMPS + 1)];
    double p[N] = {0}, flow[N];
    rtl_generator_t chain;
    rtl_jumps_t jumps;

    make_chain(&chain);
    CHECK(rtl_jumps_init(&jumps, &chain) == 0);
    CHECK(rtl_jumps_run(
              &jumps, (rtl_random_t) {3}, PATHS, JUMPS, state, time, 1, NULL) == 0);
    CHECK(rtl_jumps_run(&jumps, (rtl_random_t) {3}, PATHS, JUMPS, other, other_time, 3,
              NULL) == 0);
    CHECK(memcmp(state, other, sizeof state) == 0);
    CHECK(memcmp(time, other_time, sizeof time) == 0);
    for (size_t i = 0; i < PATHS; i++) {
        for (size_t k = 0; k < JUMPS; k++) {
            size_t at = i * (JUMPS + 1) + k;
            p[state[at]] += time[at + 1] - time[at];
            CHECK(time[at + 1] > time[at] && state[at + 1] != state[at]);
        }
    }
    rtl_generator_apply(&chain, p, flow);
    for (size_t j = 0; j < N; j++) {
        CHECK_CLOSE(flow[j], 0.0, 0.04 * chain.exit_rate[j] * p[j]);
    }
    state[0] = N;
    CHECK(rtl_jumps_run(&jumps, (rtl_random_t) {3}, PATHS, JUMPS, state, time, 1,
              NULL) == RTL_BAD_ARGUMENT);
    rtl_jumps_free(&jumps);
    rtl_generator_free(&chain);
}

static int
make_and_free(void *data)
{
    rtl_jumps_t jumps;
    int status = rtl_jumps_init(&jumps, data);

    rtl_jumps_free(&jumps);
    return status;
}

int
main(void)
{
    rtl_generator_t chain;

    test_rates();
    test_paths();
    make_chain(&chain);
    CHECK(check_every_allocation_failure(make_and_free, &chain) == 4);
    rtl_generator_free(&chain);
    return 0;
}
