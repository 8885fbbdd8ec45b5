/* SPDX-License-Identifier: MIT */
#include "nested.h"
#include "models.h"

/* Linear log densities are interpolated exactly, walls and odd axes included. */
static void
test_interpolation(void)
{
    for (size_t n = 8; n <= 11; n++) {
        rtl_grid_t fine, coarse;
        double from[36], to[121], x[2];
        int coarser;

        make_grid(&fine, 2, n, 1.5, RTL_REFLECTING);
        CHECK(rtl_nested_coarsen(&fine, &coarse, &coarser) == 0 && coarser);
        CHECK(coarse.shape[0] == (n + 1) / 2);
        for (size_t i = 0; i < coarse.n_cells; i++) {
            rtl_grid_points(&coarse, i, 1, x);
            from[i] = 2.0 * x[0] - 3.0 * x[1];
        }
        CHECK(rtl_nested_interpolate(&coarse, from, &fine, to) == 0);
        for (size_t i = 0; i < fine.n_cells; i++) {
            rtl_grid_points(&fine, i, 1, x);
            CHECK_CLOSE(to[i], 2.0 * x[0] - 3.0 * x[1], 1e-13);
        }
        rtl_grid_free(&fine);
        rtl_grid_free(&coarse);
    }
}

/* Around a ring the last cell leans on the first. */
static void
test_periodic_interpolation(void)
{
    rtl_grid_t fine, coarse;
    double from[4] = {0.0, 1.0, 2.0, 3.0}, to[8];
    double expected[8] = {0.75, 0.25, 0.75, 1.25, 1.75, 2.25, 2.25, 0.75};
    int coarser;

    expected[6] = 2.75;
    expected[7] = 2.25; /* 3 + (0 - 3) / 4 */
    make_grid(&fine, 1, 8, 1.0, RTL_PERIODIC);
    CHECK(rtl_nested_coarsen(&fine, &coarse, &coarser) == 0 && coarser);
    CHECK(rtl_nested_interpolate(&coarse, from, &fine, to) == 0);
    for (int i = 0; i < 8; i++) {
        CHECK_CLOSE(to[i], expected[i], 1e-14);
    }
    rtl_grid_free(&coarse);
    rtl_grid_free(&fine);

    make_grid(&fine, 1, 5, 1.0, RTL_PERIODIC); /* too short to be made coarser */
    CHECK(rtl_nested_coarsen(&fine, &coarse, &coarser) == 0 && !coarser);
    rtl_grid_free(&coarse);
    rtl_grid_free(&fine);
}

static int
solve_well(rtl_grid_t *grid, double *y, rtl_steady_info_t *info)
{
    rtl_generator_t chain;
    double c = 5.0, d = 1.0, peclet;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);
    rtl_steady_options_t options = rtl_steady_defaults();
    int status = rtl_finite_volume_assemble(&chain, &model, grid, &peclet, NULL, NULL);

    options.method = RTL_STEADY_KRYLOV;
    if (status == 0) {
        status = rtl_nested_solve(&chain, &model, grid, &options, y, info, NULL);
    }
    rtl_generator_free(&chain);
    return status;
}

static void
test_solve(void)
{
    rtl_grid_t grid;
    rtl_steady_info_t info;
    double x[2], sum = 0.0, error = 0.0;

    make_grid(&grid, 2, 48, 2.2, RTL_REFLECTING);
    double *y = calloc(grid.n_cells, sizeof *y);
    CHECK(y != NULL);
    CHECK(solve_well(&grid, y, &info) == 0);
    CHECK(info.residual <= 1e-10);
    for (size_t i = 0; i < grid.n_cells; i++) {
        rtl_grid_points(&grid, i, 1, x);
        sum += exp(well_log_density(x[0], x[1]));
    }
    for (size_t i = 0; i < grid.n_cells; i++) {
        rtl_grid_points(&grid, i, 1, x);
        error += fabs(exp(y[i]) - exp(well_log_density(x[0], x[1])) / sum);
    }
    CHECK(error < 0.1); /* of the discretisation: c = 5 on a coarse grid */
    free(y);
    rtl_grid_free(&grid);
}

static int
solve_small(void *data)
{
    double y[400];
    rtl_steady_info_t info;

    return solve_well(data, y, &info);
}

int
main(void)
{
    rtl_grid_t grid;

    test_interpolation();
    test_periodic_interpolation();
    test_solve();
    make_grid(&grid, 2, 16, 2.2, RTL_REFLECTING);
    CHECK(check_every_allocation_failure(solve_small, &grid) > 40);
    rtl_grid_free(&grid);
    return 0;
}
