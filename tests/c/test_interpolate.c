/* SPDX-License-Identifier: MIT */
#include "interpolate.h"

#include <string.h>

#include "models.h"

static void
interpolate(
    const rtl_grid_t *coarse, const double *from, const rtl_grid_t *fine, double *to)
{
    rtl_interpolate_t self;
    double *work = calloc(2 * fine->n_cells, sizeof *work);

    CHECK(work != NULL);
    memset(to, 0, fine->n_cells * sizeof *to);
    CHECK(rtl_interpolate_init(&self, coarse, fine, true) == 0);
    rtl_interpolate_add(&self, from, to, work, (rtl_team_t) {.n_threads = 2});
    rtl_interpolate_free(&self);
    free(work);
}

/* Linear log densities are interpolated exactly, walls and odd axes included. */
static void
test_interpolation(void)
{
    for (size_t n = 8; n <= 11; n++) {
        rtl_grid_t fine, coarse;
        double from[36], to[121], x[2];
        bool coarser;

        make_grid(&fine, 2, n, 1.5, RTL_REFLECTING);
        CHECK(rtl_interpolate_coarsen(&fine, &coarse, &coarser) == 0 && coarser);
        CHECK(coarse.shape[0] == (n + 1) / 2);
        for (size_t i = 0; i < coarse.n_cells; i++) {
            rtl_grid_points(&coarse, i, 1, x);
            from[i] = 2.0 * x[0] - 3.0 * x[1];
        }
        interpolate(&coarse, from, &fine, to);
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
    bool coarser;

    expected[6] = 2.75;
    expected[7] = 2.25; /* 3 + (0 - 3) / 4 */
    make_grid(&fine, 1, 8, 1.0, RTL_PERIODIC);
    CHECK(rtl_interpolate_coarsen(&fine, &coarse, &coarser) == 0 && coarser);
    interpolate(&coarse, from, &fine, to);
    for (int i = 0; i < 8; i++) {
        CHECK_CLOSE(to[i], expected[i], 1e-14);
    }
    rtl_grid_free(&coarse);
    rtl_grid_free(&fine);

    make_grid(&fine, 1, 5, 1.0, RTL_PERIODIC); /* too short to be made coarser */
    CHECK(rtl_interpolate_coarsen(&fine, &coarse, &coarser) == 0 && !coarser);
    rtl_grid_free(&coarse);
    rtl_grid_free(&fine);
}

/* Each coarse cell is the union of the fine cells that name it as parent. */
static void
test_parents(void)
{
    rtl_grid_t fine, coarse;
    int32_t parent[9 * 9 * 9];
    double volume[125] = {0.0};
    bool coarser;

    make_grid(&fine, 3, 9, 1.0, RTL_REFLECTING);
    CHECK(rtl_interpolate_coarsen(&fine, &coarse, &coarser) == 0 && coarser);
    CHECK(rtl_interpolate_parents(&coarse, &fine, parent) == 0);
    rtl_memory_fail_after(0);
    CHECK(rtl_interpolate_parents(&coarse, &fine, parent) == RTL_NO_MEMORY);
    rtl_memory_fail_after(-1);
    for (size_t i = 0; i < fine.n_cells; i++) {
        volume[parent[i]] += rtl_grid_volume(&fine, i);
    }
    for (size_t c = 0; c < coarse.n_cells; c++) {
        CHECK_CLOSE(volume[c], rtl_grid_volume(&coarse, c), 1e-14);
    }
    rtl_grid_free(&coarse);
    rtl_grid_free(&fine);
}

static int
coarsen_and_interpolate(void *data)
{
    rtl_grid_t coarse;
    rtl_interpolate_t self;
    bool coarser;
    int status = rtl_interpolate_coarsen(data, &coarse, &coarser);

    if (status == 0) {
        status = rtl_interpolate_init(&self, &coarse, data, true);
        rtl_interpolate_free(&self);
    }
    rtl_grid_free(&coarse);
    return status;
}

int
main(void)
{
    rtl_grid_t grid;

    test_interpolation();
    test_periodic_interpolation();
    test_parents();
    make_grid(&grid, 2, 16, 2.2, RTL_REFLECTING);
    CHECK(check_every_allocation_failure(coarsen_and_interpolate, &grid) == 10);
    rtl_grid_free(&grid);
    return 0;
}
