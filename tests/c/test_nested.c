/* SPDX-License-Identifier: MIT */
#include "nested.h"
#include "models.h"

static int
solve_well(
    rtl_grid_t *grid, double *y, rtl_steady_info_t *info, rtl_nested_flux_t *flux)
{
    rtl_generator_t chain, reweighted = {0};
    double c = 5.0, d = 1.0, peclet;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);
    rtl_steady_options_t options = rtl_steady_defaults();
    int status = rtl_finite_volume_assemble(&chain, &model, grid, &peclet, NULL, NULL);

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
    CHECK(solve_well(&grid, y, &info, &flux) == 0);
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

static int
solve_small(void *data)
{
    double y[400];
    rtl_steady_info_t info;
    rtl_nested_flux_t flux;

    return solve_well(data, y, &info, &flux);
}

int
main(void)
{
    rtl_grid_t grid;

    test_solve();
    make_grid(&grid, 2, 16, 2.2, RTL_REFLECTING);
    CHECK(check_every_allocation_failure(solve_small, &grid) > 40);
    rtl_grid_free(&grid);
    return 0;
}
