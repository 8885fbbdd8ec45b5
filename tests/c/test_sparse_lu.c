/* SPDX-License-Identifier: MIT */
#include "sparse_lu.h"

#include "direct.h"
#include "models.h"
#include "steady.h"

/* Against elimination, from no guess and from a wrong one. */
static void
test_random(uint64_t seed)
{
    enum { N = 300 };
    rtl_generator_t chain;
    double y[N] = {0.0}, dense[N] = {0.0};
    size_t bytes = 0;

    make_random_chain(&chain, N, 4, seed);
    CHECK(rtl_direct_dense(&chain, NULL, dense) == 0);
    for (int guess = 0; guess < 2; guess++) {
        CHECK(
            rtl_sparse_lu_solve(&chain, (rtl_team_t) {.n_threads = 1}, y, &bytes) == 0);
        CHECK(bytes > N * sizeof(double));
        rtl_direct_normalise(N, y);
        for (int i = 0; i < N; i++) {
            CHECK_CLOSE(y[i], dense[i], 1e-12);
            y[i] = 3.0 * sin(i);
        }
    }
    rtl_generator_free(&chain);
}

/* A periodic axis of two cells lists each neighbour twice. */
static void
test_repeated_entries(void)
{
    enum { N = 10 };
    rtl_generator_t chain;
    int64_t source[2 * N], target[2 * N];
    double rate[2 * N], y[N] = {0.0}, exact[N] = {0.0};
    size_t bytes, bad;

    for (int i = 0; i < N; i++) {
        source[2 * i] = target[2 * i + 1] = i;
        target[2 * i] = source[2 * i + 1] = (i + 1) % N;
        rate[2 * i] = 1.0 + i;
        rate[2 * i + 1] = 2.0;
    }
    CHECK(rtl_generator_from_rates(
              &chain, N, 2 * N, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_direct_dense(&chain, NULL, exact) == 0);
    for (size_t i = 0; i < N; i++) { /* i + 1 -> i again, in the place of i - 1 -> i */
        for (size_t e = chain.start[i]; i == 4 && e < chain.start[i + 1]; e++) {
            if (chain.source[e] == 3) {
                chain.source[e] = 5;
                chain.exit_rate[5] += chain.rate[e];
                chain.exit_rate[3] -= chain.rate[e];
            }
        }
    }
    CHECK(rtl_direct_dense(&chain, NULL, exact) == 0);
    CHECK(rtl_sparse_lu_solve(&chain, (rtl_team_t) {.n_threads = 1}, y, &bytes) == 0);
    rtl_direct_normalise(N, y);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(y[i], exact[i], 1e-12);
    }
    rtl_generator_free(&chain);
}

/* Beyond dense elimination, through the choice of methods; p spans 200 decades. */
static void
test_chosen(void)
{
    rtl_generator_t chain;
    rtl_grid_t grid;
    double c = 3.0, d = 0.2, peclet;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;

    make_grid(&grid, 2, 60, 2.2, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    double *y = calloc(chain.n, sizeof *y), *other = calloc(chain.n, sizeof *y);
    CHECK(y != NULL && other != NULL);
    options.method = RTL_STEADY_DIRECT;
    CHECK(rtl_steady_solve(&chain, NULL, &options, false, y, &info) == 0);
    CHECK(info.method == RTL_STEADY_DIRECT && info.residual <= options.rtol);
    options.method = RTL_STEADY_KRYLOV;
    CHECK(rtl_steady_solve(&chain, NULL, &options, false, other, &info) == 0);
    for (size_t i = 0; i < chain.n; i++) {
        CHECK_CLOSE(y[i], other[i], 1e-7);
    }
    free(y);
    free(other);
    rtl_grid_free(&grid);
    rtl_generator_free(&chain);
}

static int
solve(void *data)
{
    double y[100] = {0.0};
    size_t bytes;

    return rtl_sparse_lu_solve(data, (rtl_team_t) {.n_threads = 1}, y, &bytes);
}

static void
test_without(void)
{
    rtl_generator_t chain;

    make_random_chain(&chain, 100, 4, 1);
    CHECK(solve(&chain) == RTL_NO_KLU);
    rtl_generator_free(&chain);
}

int
main(void)
{
    rtl_generator_t chain;
    rtl_monitor_t monitor = {.poll = stop_at_once};
    double y[100] = {0.0};
    size_t bytes;

    if (rtl_sparse_lu_version() == NULL) {
        test_without();
        printf("SUNDIALS has no KLU: nothing else to test\n");
        return 0;
    }
    test_random(1);
    test_random(2);
    test_repeated_entries();
    test_chosen();
    make_random_chain(&chain, 100, 4, 1);
    CHECK(check_every_allocation_failure(solve, &chain) >= 4);
    CHECK(rtl_sparse_lu_solve(&chain, (rtl_team_t) {1, &monitor}, y, &bytes) ==
          RTL_INTERRUPTED);
    rtl_generator_free(&chain);
    return 0;
}
