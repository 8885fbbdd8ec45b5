/* SPDX-License-Identifier: MIT */
#include "nested.h"

#include <string.h>

#include "models.h"

static int
no_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) x;
    (void) data;
    memset(f, 0, 2 * (size_t) n * sizeof *f);
    return 0;
}

static int
solve_well(rtl_grid_t *grid, double c, double *y, rtl_steady_info_t *info,
    rtl_nested_flux_t *flux)
{
    rtl_generator_t chain, reweighted = {0};
    double d = 1.0, peclet;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);
    rtl_steady_options_t options = rtl_steady_defaults();
    int status =
        rtl_finite_volume_assemble(&chain, &model, grid, &peclet, 1, NULL, NULL);

    options.method = RTL_STEADY_KRYLOV;
    if (status == 0) {
        status = rtl_nested_solve(
            &chain, &model, grid, &options, y, &reweighted, info, flux, NULL);
    }
    rtl_generator_free(&chain);
    rtl_generator_free(&reweighted);
    return status;
}

static void
test_solve(void)
{
    rtl_grid_t grid;
    rtl_steady_info_t info;
    rtl_nested_flux_t flux;
    double x[2], sum = 0.0, error = 0.0;

    make_grid(&grid, 2, 48, 2.2, RTL_REFLECTING);
    double *y = calloc(grid.n_cells, sizeof *y);
    CHECK(y != NULL);
    CHECK(solve_well(&grid, 5.0, y, &info, &flux) == 0);
    CHECK(info.residual <= 1e-10);
    for (size_t i = 0; i < grid.n_cells; i++) {
        rtl_grid_points(&grid, i, 1, x);
        sum += exp(well_log_density(x[0], x[1]));
    }
    for (size_t i = 0; i < grid.n_cells; i++) {
        rtl_grid_points(&grid, i, 1, x);
        error += fabs(exp(y[i]) - exp(well_log_density(x[0], x[1])) / sum);
    }
    CHECK(flux.log_mean && flux.rounds > 1 && flux.gain > 5.0 * error);
    CHECK(error < 0.03); /* of the discretisation: c = 5 on a coarse grid */
    CHECK(flux.error > 0.3 * error && flux.error < 3.0 * error);
    free(y);
    rtl_grid_free(&grid);
}

/* No drift and D = 1 in a square of side 2 that absorbs: kappa = 2 (pi / 2)^2 and
 * p ~ cos cos, exact for the rates but for kappa's second-order error. */
static int
solve_box(rtl_grid_t *grid, double *y, double *kappa)
{
    rtl_generator_t chain;
    double d = 1.0, peclet;
    rtl_model_t model = model_of(2, no_drift, NULL, constant_diffusion, &d);
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    int status =
        rtl_finite_volume_assemble(&chain, &model, grid, &peclet, 1, NULL, NULL);

    if (status == 0) {
        status =
            rtl_nested_escape(&chain, &model, grid, &options, y, kappa, &info, NULL);
    }
    if (status == 0) {
        CHECK(info.residual <= 1e-10);
    }
    rtl_generator_free(&chain);
    return status;
}

static void
test_escape(void)
{
    rtl_grid_t grid;
    double x[2], kappa, angle = acos(0.0);

    make_grid(&grid, 2, 40, 1.0, RTL_ABSORBING);
    double *y = calloc(grid.n_cells, sizeof *y);
    CHECK(y != NULL);
    CHECK(solve_box(&grid, y, &kappa) == 0);
    CHECK_CLOSE(kappa / (2.0 * angle * angle), 1.0, 1e-3);
    for (size_t i = 0; i < grid.n_cells; i++) {
        rtl_grid_points(&grid, i, 1, x);
        double exact = cos(angle * x[0]) * cos(angle * x[1]) * angle * angle / 1600.0;
        CHECK_CLOSE(exp(y[i]) / exact, 1.0, 1.1e-3);
    }
    free(y);
    rtl_grid_free(&grid);
}

static int
solve_small_box(void *data)
{
    double y[400], kappa;

    return solve_box(data, y, &kappa);
}

static int
solve_small(void *data)
{
    double y[400];
    rtl_steady_info_t info;
    rtl_nested_flux_t flux;
    int status = solve_well(data, 1.0, y, &info, &flux);

    CHECK(status != 0 || (flux.log_mean && flux.rounds > 1));
    return status;
}

int
main(void)
{
    rtl_grid_t grid;

    test_solve();
    make_grid(&grid, 2, 18, 2.2, RTL_REFLECTING); /* with a coarser one */
    CHECK(check_every_allocation_failure(solve_small, &grid) > 500);
    rtl_grid_free(&grid);
    test_escape();
    make_grid(&grid, 2, 18, 1.0, RTL_ABSORBING);
    CHECK(check_every_allocation_failure(solve_small_box, &grid) > 30);
    rtl_grid_free(&grid);
    return 0;
}
