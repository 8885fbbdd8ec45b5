/* SPDX-License-Identifier: MIT */
#include "mixing.h"

#include "direct.h"
#include "models.h"

enum { N = 400 };

static void
test_random(uint64_t seed)
{
    rtl_generator_t chain;
    double y[N] = {0.0}, exact[N] = {0.0};
    long rounds;

    make_random_chain(&chain, N, 8, seed);
    CHECK(rtl_direct_dense(&chain, NULL, exact) == 0);
    CHECK(rtl_mixing_solve(&chain, 1e-10, NULL, y, &rounds) == 0);
    CHECK(rounds > 5 && rounds < 25);
    rtl_direct_normalise(N, y);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(y[i], exact[i], 1e-10);
    }
    rtl_generator_free(&chain);
}

/* Two random graphs linked at 1e-15: after a few sweeps no residual shows that their
 * masses are still those of the start. And a line, whose slow modes do show. */
static void
test_slow(void)
{
    enum { DEGREE = 8, M = N * DEGREE + 2 };
    rtl_generator_t chain;
    int64_t *source = calloc(M, sizeof *source), *target = calloc(M, sizeof *target);
    double *rate = calloc(M, sizeof *rate), y[N], ones[N];
    uint64_t seed = 5;
    size_t half = N / 2, bad;
    long rounds;

    CHECK(source != NULL && target != NULL && rate != NULL);
    for (size_t e = 0; e < M; e++) {
        size_t i = e % N, part = i < half ? 0 : half;
        source[e] = (int64_t) i;
        target[e] = (int64_t) (part + (size_t) (pseudo(&seed) * (double) half));
        rate[e] = 1.0;
    }
    source[M - 2] = target[M - 1] = 3;
    target[M - 2] = source[M - 1] = (int64_t) half + 3;
    rate[M - 2] = rate[M - 1] = 1e-15;
    CHECK(
        rtl_generator_from_rates(&chain, N, M, source, target, rate, &bad, NULL) == 0);
    for (int i = 0; i < N; i++) {
        y[i] = 7.0;
        ones[i] = 1.0;
    }
    CHECK(rtl_mixing_solve(&chain, 1e-10, NULL, y, &rounds) == RTL_NOT_CONVERGED);
    CHECK(rounds <= 6 && y[0] == 7.0 && y[N - 1] == 7.0);
    rtl_generator_free(&chain);
    make_ring(&chain, N, ones, ones);
    CHECK(rtl_mixing_solve(&chain, 1e-10, NULL, y, &rounds) == RTL_NOT_CONVERGED);
    CHECK(rounds == 3 && y[0] == 7.0);
    rtl_generator_free(&chain);
    free(source);
    free(target);
    free(rate);
}

/* Rates whose reciprocals are no numbers end the attempt. */
static void
test_overflow(void)
{
    rtl_generator_t chain;
    double up[N], down[N], y[N];
    long rounds;

    for (int i = 0; i < N; i++) {
        up[i] = down[i] = 1e-310;
    }
    make_ring(&chain, N, up, down);
    CHECK(rtl_mixing_solve(&chain, 1e-10, NULL, y, &rounds) == RTL_NOT_CONVERGED);
    rtl_generator_free(&chain);
}

static int
solve(void *data)
{
    double y[N];
    long rounds;

    return rtl_mixing_solve(data, 1e-10, NULL, y, &rounds);
}

int
main(void)
{
    rtl_generator_t chain;
    rtl_monitor_t monitor = {.poll = stop_at_once};
    double y[N];
    long rounds;

    test_random(1);
    test_random(2);
    test_slow();
    test_overflow();
    make_random_chain(&chain, N, 8, 1);
    CHECK(check_every_allocation_failure(solve, &chain) == 1);
    CHECK(rtl_mixing_solve(&chain, 1e-10, &monitor, y, &rounds) == RTL_INTERRUPTED);
    rtl_generator_free(&chain);
    return 0;
}
