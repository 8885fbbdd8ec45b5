/* SPDX-License-Identifier: MIT */
#include "steady.h"

#include <string.h>

#include "direct.h"
#include "models.h"

/* Krylov and GTH agree on a chain with rates over e^3, entry by entry. */
static void
test_methods_agree(void)
{
    enum { N = 700 };
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    double direct[N], krylov[N];

    make_random_chain(&chain, N, 5, 11);
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, direct, &info) == 0);
    CHECK(info.method == RTL_STEADY_DIRECT && info.residual < 1e-12);
    options.method = RTL_STEADY_KRYLOV;
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, krylov, &info) == 0);
    CHECK(info.method == RTL_STEADY_KRYLOV && info.residual <= 1e-10);
    CHECK(info.krylov_iterations > 0 && info.products > 0 && info.levels > 1);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(krylov[i], direct[i], 1e-8);
    }
    /* a good guess needs fewer iterations */
    long from_nothing = info.krylov_iterations;
    CHECK(rtl_steady_solve(&chain, NULL, &options, 1, krylov, &info) == 0);
    CHECK(info.krylov_iterations < from_nothing);
    rtl_generator_free(&chain);
}

static void
test_ring_is_closed_form(void)
{
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    double up[] = {1.0, 2.0, 3.0}, down[] = {3.0, 2.0, 1.0}, y[3];

    make_ring(&chain, 3, up, down);
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, y, &info) == 0);
    CHECK(info.method == RTL_STEADY_CLOSED_FORM && info.residual < 1e-14);
    rtl_generator_free(&chain);
    make_random_chain(&chain, 30, 3, 1);
    double z[30];
    options.method = RTL_STEADY_CLOSED_FORM;
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, z, &info) == RTL_BAD_ARGUMENT);
    rtl_generator_free(&chain);
}

/* A ring with a chord, whose probabilities span e^-1500: by elimination within a band,
 * and by iterations. */
static void
test_beyond_elimination(void)
{
    enum { N = 60 };
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    int64_t source[2 * N + 1], target[2 * N + 1];
    double rate[2 * N + 1], y[N], smallest = 0.0;
    uint64_t seed = 1;
    size_t bad;

    for (int i = 0; i < N; i++) {
        source[2 * i] = target[2 * i + 1] = i;
        target[2 * i] = source[2 * i + 1] = (i + 1) % N;
        rate[2 * i] = exp(20.0 * pseudo(&seed) + (i < N / 2 ? -60.0 : 60.0));
        rate[2 * i + 1] = exp(20.0 * pseudo(&seed));
    }
    source[2 * N] = 3;
    target[2 * N] = 5;
    rate[2 * N] = 1e-20;
    CHECK(rtl_generator_from_rates(
              &chain, N, 2 * N + 1, source, target, rate, &bad, NULL) == 0);
    for (int m = RTL_STEADY_AUTO; m <= RTL_STEADY_KRYLOV; m++) {
        options.method = (rtl_steady_method_t) m;
        CHECK(rtl_steady_solve(&chain, NULL, &options, 0, y, &info) == 0);
        CHECK(info.residual <= 1e-10);
        for (int i = 0; i < N; i++) {
            smallest = fmin(smallest, y[i]);
        }
        CHECK(smallest < -1500.0);
    }
    rtl_generator_free(&chain);
}

static void
test_single_state(void)
{
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    double y[1] = {5.0};
    size_t bad;

    CHECK(rtl_generator_from_rates(&chain, 1, 0, NULL, NULL, NULL, &bad, NULL) == 0);
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, y, &info) == 0 && y[0] == 0.0);
    rtl_generator_free(&chain);
}

static void
make_well(rtl_generator_t *chain, size_t n, double c)
{
    rtl_grid_t grid;
    double d = 1.0, peclet;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);

    make_grid(&grid, 2, n, 2.2, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    rtl_grid_free(&grid);
}

static void
test_not_converged(void)
{
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    size_t worst;

    make_well(&chain, 40, 20.0);
    double *y = calloc(chain.n, sizeof *y);
    CHECK(y != NULL);
    options.method = RTL_STEADY_KRYLOV;
    options.max_steps = 1;
    options.rtol = 1e-18; /* below rounding */
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, y, &info) == RTL_NOT_CONVERGED);
    CHECK(info.residual > 1e-18 && info.warm_steps == 1);
    CHECK(rtl_steady_residual(&chain, y, 0.0, (rtl_team_t) {.n_threads = 2}, &worst) ==
          info.residual);
    CHECK(worst == info.worst);
    options = rtl_steady_defaults();
    options.method = RTL_STEADY_KRYLOV;
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, y, &info) == 0);
    /* a wrong answer is seen */
    y[7] += 1e-9;
    CHECK(rtl_steady_residual(&chain, y, 0.0, (rtl_team_t) {.n_threads = 2}, &worst) >
          1e-10);
    y[7] = NAN;
    CHECK(!(rtl_steady_residual(
                &chain, y, 0.0, (rtl_team_t) {.n_threads = 2}, &worst) <= 1e-10));
    free(y);
    rtl_generator_free(&chain);
}

static int
count_down(void *data, double done)
{
    CHECK(done >= 0.0 && done <= 1.0);
    return --*(int *) data < 0;
}

static void
test_interruption(void)
{
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    int left;
    rtl_monitor_t monitor = {.poll = count_down, .data = &left, .next = -1e300};

    make_well(&chain, 24, 5.0);
    double *y = calloc(chain.n, sizeof *y);
    CHECK(y != NULL);
    options.method = RTL_STEADY_KRYLOV;
    options.team.monitor = &monitor;
    left = 0;
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, y, &info) == RTL_INTERRUPTED);
    left = 1 << 30;
    monitor.stopped = false;
    CHECK(rtl_steady_solve(&chain, NULL, &options, 0, y, &info) == 0);
    free(y);
    rtl_generator_free(&chain);
}

static int
iterate(void *data, rtl_monitor_t *monitor)
{
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    double y[100];

    options.method = RTL_STEADY_KRYLOV;
    options.team.monitor = monitor;
    return rtl_steady_solve(data, NULL, &options, 0, y, &info);
}

static int
solve(void *data)
{
    return iterate(data, NULL);
}

int
main(void)
{
    rtl_generator_t chain;

    test_methods_agree();
    test_ring_is_closed_form();
    test_beyond_elimination();
    test_single_state();
    test_not_converged();
    test_interruption();
    make_random_chain(&chain, 100, 4, 2);
    CHECK(check_every_interruption(iterate, &chain) > 100);
    CHECK(check_every_allocation_failure(solve, &chain) > 20);
    rtl_generator_free(&chain);
    return 0;
}
