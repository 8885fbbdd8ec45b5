/* SPDX-License-Identifier: MIT */
#include "steady_step.h"

#include <string.h>

#include "models.h"

enum { N = 70000 };

static double p[N], y[N], y_3[N], z[N], work[2 * N];

/* Whatever multiple of the right factors z holds, p comes out right. */
static void
test_step_in_p(void)
{
    uint64_t seed = 5;
    double before = 0.0, after = 0.0;

    for (int k = 0; k < 2; k++) {
        double scale = k == 0 ? 1.0 : -4.0;
        for (int i = 0; i < N; i++) {
            double factor = 0.5 + pseudo(&seed);
            p[i] = exp(-3.0 * pseudo(&seed)) * factor;
            y[i] = y_3[i] = log(p[i] / factor);
            z[i] = scale * factor - 1.0;
        }
        rtl_steady_step_in_p(N, z, 1e-3, (rtl_team_t) {.n_threads = 1}, y);
        rtl_steady_step_in_p(N, z, 1e-3, (rtl_team_t) {.n_threads = 3}, y_3);
        CHECK(memcmp(y, y_3, sizeof y) == 0);
        for (int i = 0; i < N; i++) {
            CHECK_CLOSE(y[i] - y[0], log(p[i] / p[0]), 1e-12);
        }
    }
    /* the sum of p stays, and no factor is below the floor */
    for (int i = 0; i < N; i++) {
        y[i] = log(p[i]);
        z[i] = i % 2 == 0 ? 0.5 : -0.5;
        before += p[i];
    }
    rtl_steady_step_in_p(N, z, 1e-3, (rtl_team_t) {.n_threads = 2}, y);
    for (int i = 0; i < N; i++) {
        after += exp(y[i]);
    }
    CHECK_CLOSE(after / before, 1.0, 1e-12);
    memset(y, 0, sizeof y);
    memset(z, 0, sizeof z);
    z[3] = -7.0;
    rtl_steady_step_in_p(N, z, 1e-3, (rtl_team_t) {.n_threads = 1}, y);
    CHECK_CLOSE(y[3], log(1e-3), 1e-12);
}

/* Where the drift is strong sweeps go all the way. */
static void
test_sweep(void)
{
    enum { LINE = 300 };
    rtl_grid_t grid;
    rtl_generator_t chain;
    rtl_balance_t balance;
    size_t dim = 1;
    double diffusion = 1e-4, peclet;
    rtl_model_t model = model_of(dim, ou_drift, &dim, constant_diffusion, &diffusion);

    make_grid(&grid, dim, LINE, 1.0, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(rtl_balance_init(&balance, &chain, (rtl_team_t) {.n_threads = 1}) == 0);
    memset(y, 0, sizeof y);
    for (int s = 0; s < 20; s++) {
        rtl_balance_update(&balance, y, work);
        CHECK(rtl_steady_step_sweep(&balance, 4, y, z) == 0);
    }
    rtl_balance_update(&balance, y, work);
    CHECK(rtl_balance_residual(&balance, z) < 1e-10);
    rtl_balance_free(&balance);
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

static void
test_change(void)
{
    double a[3] = {0.0, 1.0, 2.0}, b[3] = {5.0, 6.0, 7.0};

    CHECK_CLOSE(rtl_steady_step_change(3, a, b), 0.0, 1e-14);
    b[1] += 0.1;
    CHECK(rtl_steady_step_change(3, a, b) > 0.05);
    CHECK(rtl_steady_step_finite(3, a));
    a[2] = -INFINITY;
    CHECK(!rtl_steady_step_finite(3, a) && rtl_steady_step_finite(2, a));
}

int
main(void)
{
    test_step_in_p();
    test_sweep();
    test_change();
    return 0;
}
