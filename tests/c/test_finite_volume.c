/* SPDX-License-Identifier: MIT */
#include "finite_volume.h"

#include <string.h>

#include "models.h"

static void
test_bernoulli(void)
{
    for (double z = -3.0; z <= 3.0; z += 0.37) {
        CHECK_CLOSE(rtl_finite_volume_bernoulli(z) - rtl_finite_volume_bernoulli(-z),
            -z, 1e-14);
    }
    /* both sides of where the series ends */
    CHECK_CLOSE(rtl_finite_volume_bernoulli(0.0099999) / (0.0099999 / expm1(0.0099999)),
        1.0, 1e-15);
    CHECK(rtl_finite_volume_bernoulli(0.0) == 1.0);
    CHECK(rtl_finite_volume_bernoulli(-1e5) == 1e5);
    CHECK(rtl_finite_volume_bernoulli(1e5) == 0.0);
    CHECK(rtl_finite_volume_bernoulli(740.0) > 0.0);
}

/* Columns sum to 0, and log p = -x^2/(2 D) solves the balance of f = -x exactly. */
static void
test_equilibrium(void)
{
    for (size_t dim = 1; dim <= 3; dim++) {
        rtl_grid_t grid;
        rtl_generator_t chain;
        double d = 0.7, peclet = 0.0, x[3];
        rtl_model_t model = model_of(dim, ou_drift, &dim, constant_diffusion, &d);

        make_grid(&grid, dim, 9, 3.0, RTL_REFLECTING);
        CHECK(rtl_finite_volume_assemble(
                  &chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
        double *y = calloc(grid.n_cells, sizeof *y),
               *r = calloc(grid.n_cells, sizeof *r);
        CHECK(y != NULL && r != NULL);
        for (size_t i = 0; i < grid.n_cells; i++) {
            rtl_grid_points(&grid, i, 1, x);
            for (size_t k = 0; k < dim; k++) {
                y[i] -= x[k] * x[k] / (2.0 * d);
            }
        }
        balance_of(&chain, y, r);
        for (size_t i = 0; i < grid.n_cells; i++) {
            CHECK_CLOSE(r[i], 0.0, 1e-13 * chain.exit_rate[i]);
        }
        for (size_t e = 0; e < chain.n_entries; e++) {
            CHECK(chain.rate[e] > 0.0);
            r[chain.source[e]] += chain.rate[e];
        }
        for (size_t i = 0; i < grid.n_cells; i++) {
            CHECK_CLOSE(r[i], chain.exit_rate[i], 1e-12 * chain.exit_rate[i]);
        }
        double h = 6.0 / 9.0; /* the steepest face is at x = 4 h */
        CHECK_CLOSE(peclet, 3.5 * h * h / d, 1e-12);
        free(y);
        free(r);
        rtl_generator_free(&chain);
        rtl_grid_free(&grid);
    }
}

static int
step_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        d[i] = x[i] < 0.0 ? 0.0 : 1.0;
    }
    return 0;
}

/* Without diffusion the rates are f / h down the drift and 0 against it. */
static void
test_upwinding(void)
{
    rtl_grid_t grid;
    rtl_generator_t chain;
    size_t dim = 1;
    double peclet = 0.0;
    rtl_model_t model = model_of(1, ou_drift, &dim, step_diffusion, NULL);

    make_grid(&grid, 1, 10, 1.0, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    /* cells 1 and 2 at -.7 and -.5: the face at -.6 has f = .6 */
    CHECK_CLOSE(chain.rate[chain.start[2]], 0.6 / 0.2, 1e-12);
    CHECK(chain.rate[chain.start[1] + 1] == 0.0);
    CHECK(chain.n_upwind == 4);
    CHECK_CLOSE(peclet, 0.8 * 0.2, 1e-12); /* at x = .8 */
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

static int
no_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) x;
    (void) data;
    memset(f, 0, (size_t) n * sizeof *f);
    return 0;
}

static int
jump_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    for (intptr_t i = 0; i < n; i++) {
        d[i] = x[i] < 0.0 ? 1.0 : *(double *) data;
    }
    return 0;
}

/* Without drift the rates are those of the cell that is left, D / h^2, whatever D is
 * behind the face: so D p is constant. */
static void
test_jump(void)
{
    double factors[] = {0.0, 1e-9, 0.05, 5.0, 50.0, 1e12};
    double h = 0.2, peclet;

    for (size_t k = 0; k < sizeof factors / sizeof *factors; k++) {
        rtl_grid_t grid;
        rtl_generator_t chain;
        rtl_model_t model = model_of(1, no_drift, NULL, jump_diffusion, &factors[k]);

        make_grid(&grid, 1, 10, 1.0, RTL_REFLECTING);
        CHECK(rtl_finite_volume_assemble(
                  &chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
        /* the jump is between cells 4 and 5 */
        CHECK_CLOSE(chain.rate[chain.start[5]] * h * h, 1.0, 1e-12);
        CHECK_CLOSE(
            chain.rate[chain.start[4] + 1] * h * h, factors[k], 1e-12 * factors[k]);
        CHECK(peclet == 0.0);
        rtl_generator_free(&chain);
        rtl_grid_free(&grid);
    }
}

/* f = 1 on a ring: the uniform law is steady, and the ends are linked. */
static int
unit_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        CHECK(x[i] >= -1.0 && x[i] <= 1.0); /* never outside the box */
        f[i] = 1.0;
    }
    return 0;
}

static void
test_periodic(void)
{
    rtl_grid_t grid;
    rtl_generator_t chain;
    double d = 0.5, peclet, y[7] = {0.0}, r[7];
    rtl_model_t model = model_of(1, unit_drift, NULL, constant_diffusion, &d);

    make_grid(&grid, 1, 7, 1.0, RTL_PERIODIC);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(chain.n_entries == 14);
    CHECK(chain.source[0] == 6 && chain.source[1] == 1);
    balance_of(&chain, y, r);
    for (int i = 0; i < 7; i++) {
        CHECK_CLOSE(r[i], 0.0, 1e-13);
    }
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

/* Through an absorbing wall, half a cell away: D B(-z) / (h/2 h) with z = f h / (2 D).
 */
static void
test_absorbing(void)
{
    rtl_grid_t grid;
    rtl_generator_t chain;
    double d = 0.5, peclet, h = 0.2;
    rtl_model_t model = model_of(1, unit_drift, NULL, constant_diffusion, &d);

    make_grid(&grid, 1, 10, 1.0, RTL_ABSORBING);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    double z = h / (2.0 * d);
    CHECK_CLOSE(
        chain.killing[9], 2.0 * d / (h * h) * rtl_finite_volume_bernoulli(-z), 1e-12);
    CHECK_CLOSE(
        chain.killing[0], 2.0 * d / (h * h) * rtl_finite_volume_bernoulli(z), 1e-12);
    CHECK(chain.killing[1] == 0.0);
    CHECK_CLOSE(
        chain.exit_rate[9], chain.killing[9] + chain.rate[chain.start[8] + 1], 1e-12);
    rtl_generator_free(&chain);
    /* without noise: f / h at the outflow, nothing at the inflow */
    d = 0.0;
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK_CLOSE(chain.killing[9], 1.0 / h, 1e-12);
    CHECK(chain.killing[0] == 0.0);
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

/* In two dimensions each wall cell adds up its sides. */
static void
test_absorbing_corners(void)
{
    rtl_grid_t grid;
    rtl_generator_t chain;
    double d = 1.0, peclet;
    size_t dim = 2;
    rtl_model_t model = model_of(2, ou_drift, &dim, constant_diffusion, &d);

    make_grid(&grid, 2, 5, 1.0, RTL_ABSORBING);
    grid.lower[1] = RTL_REFLECTING;
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(chain.killing[0] > 0.0 && chain.killing[10] == 0.0);
    CHECK_CLOSE(chain.killing[4], 2.0 * chain.killing[0], 1e-12);
    CHECK_CLOSE(chain.killing[14], chain.killing[0], 1e-12);
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

static int
bad_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        f[i] = fabs(x[i] - 0.4) < 0.1 ? NAN : 0.0;
    }
    return 0;
}

static int
failing_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) x;
    (void) f;
    (void) n;
    (void) data;
    return -1;
}

static void
test_failures(void)
{
    rtl_grid_t grid;
    rtl_generator_t chain;
    rtl_fault_t fault;
    rtl_monitor_t monitor = {.poll = stop_at_once};
    double d = 1.0, peclet;
    rtl_model_t model = model_of(1, bad_drift, NULL, constant_diffusion, &d);

    make_grid(&grid, 1, 10, 1.0, RTL_REFLECTING);
    CHECK(rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 2, NULL, &fault) ==
          RTL_NOT_FINITE);
    CHECK(strcmp(fault.what, "drift") == 0 && isnan(fault.value));
    CHECK(fabs(fault.x[0] - 0.4) < 0.1);
    model.drift.evaluate = failing_drift;
    CHECK(rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 2, NULL, &fault) ==
          RTL_CALLBACK);
    model.drift.evaluate = unit_drift;
    CHECK(rtl_finite_volume_assemble(
              &chain, &model, &grid, &peclet, 1, &monitor, NULL) == RTL_INTERRUPTED);
    model.dim = 2;
    CHECK(rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) ==
          RTL_BAD_ARGUMENT);
    rtl_grid_free(&grid);
}

static int
assemble(void *data)
{
    rtl_generator_t chain;
    double d = 1.0, c = 1.0, peclet;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);
    int status =
        rtl_finite_volume_assemble(&chain, &model, data, &peclet, 1, NULL, NULL);

    rtl_generator_free(&chain);
    return status;
}

int
main(void)
{
    rtl_grid_t grid;

    test_bernoulli();
    test_equilibrium();
    test_upwinding();
    test_jump();
    test_periodic();
    test_absorbing();
    test_absorbing_corners();
    test_failures();
    make_grid(&grid, 2, 4, 2.0, RTL_REFLECTING);
    CHECK(check_every_allocation_failure(assemble, &grid) >= 10);
    rtl_grid_free(&grid);
    make_grid(&grid, 2, 4, 2.0, RTL_ABSORBING);
    CHECK(check_every_allocation_failure(assemble, &grid) >= 11);
    rtl_grid_free(&grid);
    return 0;
}
