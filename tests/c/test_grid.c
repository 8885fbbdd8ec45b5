/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "grid.h"
#include "test.h"

static const double x_edges[] = {0.0, 1.0, 3.0, 6.0};
static const double y_edges[] = {-1.0, 0.0, 1.0};

static int
make(rtl_grid_t *grid, rtl_boundary_t x_lower, rtl_boundary_t x_upper)
{
    size_t shape[] = {3, 2};
    const double *edges[] = {x_edges, y_edges};
    rtl_boundary_t lower[] = {x_lower, RTL_REFLECTING};
    rtl_boundary_t upper[] = {x_upper, RTL_REFLECTING};

    return rtl_grid_init(grid, 2, shape, edges, lower, upper);
}

static void
test_geometry(void)
{
    rtl_grid_t grid;
    double x[12];

    CHECK(make(&grid, RTL_PERIODIC, RTL_PERIODIC) == 0);
    CHECK(grid.n_cells == 6 && grid.stride[0] == 2 && grid.stride[1] == 1);
    CHECK(rtl_grid_centre(&grid, 0, 1) == 2.0 && rtl_grid_width(&grid, 0, 2) == 3.0);
    CHECK(rtl_grid_index(&grid, 5, 0) == 2 && rtl_grid_index(&grid, 5, 1) == 1);
    CHECK(rtl_grid_volume(&grid, 4) == 3.0);
    rtl_grid_points(&grid, 0, 6, x);
    CHECK(x[2] == 2.0 && x[4] == 4.5 && x[6] == -0.5 && x[7] == 0.5);
    rtl_grid_free(&grid);
}

static void
test_neighbours(void)
{
    rtl_grid_t grid;
    size_t next;
    double distance;

    CHECK(make(&grid, RTL_PERIODIC, RTL_PERIODIC) == 0);
    CHECK(rtl_grid_next(&grid, 0, 0, &next, &distance) && next == 2 && distance == 1.5);
    CHECK(rtl_grid_next(&grid, 5, 0, &next, &distance) && next == 1 && distance == 2.0);
    CHECK(rtl_grid_next(&grid, 2, 1, &next, &distance) && next == 3 && distance == 1.0);
    CHECK(!rtl_grid_next(&grid, 3, 1, &next, &distance));
    rtl_grid_free(&grid);
    CHECK(make(&grid, RTL_REFLECTING, RTL_REFLECTING) == 0);
    CHECK(!rtl_grid_next(&grid, 5, 0, &next, &distance));
    rtl_grid_free(&grid);
}

static void
test_absorbing(void)
{
    rtl_grid_t grid;
    size_t next;
    double distance;

    CHECK(make(&grid, RTL_REFLECTING, RTL_ABSORBING) == 0);
    CHECK(rtl_grid_has_absorbing(&grid));
    CHECK(!rtl_grid_next(&grid, 5, 0, &next, &distance));
    rtl_grid_free(&grid);
    CHECK(make(&grid, RTL_REFLECTING, RTL_REFLECTING) == 0);
    CHECK(!rtl_grid_has_absorbing(&grid));
    rtl_grid_free(&grid);
    CHECK(make(&grid, RTL_PERIODIC, RTL_ABSORBING) == RTL_BAD_ARGUMENT);
}

static void
test_bad_input(void)
{
    rtl_grid_t grid;
    size_t one[] = {1}, two[] = {2}, huge[] = {100000, 100000};
    const double good[] = {0.0, 1.0, 2.0}, back[] = {0.0, 1.0, 1.0},
                 unknown[] = {0.0, NAN, 2.0};
    const double *edges[] = {good, good}, *bad[] = {back}, *nan[] = {unknown};
    rtl_boundary_t wall[] = {RTL_REFLECTING, RTL_REFLECTING};

    CHECK(make(&grid, RTL_PERIODIC, RTL_REFLECTING) == RTL_BAD_ARGUMENT);
    CHECK(rtl_grid_init(&grid, 1, one, edges, wall, wall) == RTL_BAD_ARGUMENT);
    CHECK(rtl_grid_init(&grid, 1, two, bad, wall, wall) == RTL_BAD_ARGUMENT);
    CHECK(rtl_grid_init(&grid, 1, two, nan, wall, wall) == RTL_BAD_ARGUMENT);
    CHECK(rtl_grid_init(&grid, 0, two, edges, wall, wall) == RTL_BAD_ARGUMENT);
    CHECK(rtl_grid_init(&grid, 9, two, edges, wall, wall) == RTL_BAD_ARGUMENT);
    /* sizes are looked at before the edges they would need are read */
    huge[0] = 2;
    huge[1] = SIZE_MAX / 2;
    CHECK(rtl_grid_init(&grid, 2, huge, edges, wall, wall) == RTL_TOO_LARGE);
}

static int
make_and_free(void *data)
{
    rtl_grid_t grid;
    int status = make(&grid, RTL_PERIODIC, RTL_PERIODIC);

    (void) data;
    rtl_grid_free(&grid);
    return status;
}

int
main(void)
{
    test_geometry();
    test_neighbours();
    test_absorbing();
    test_bad_input();
    CHECK(check_every_allocation_failure(make_and_free, NULL) == 2);
    return 0;
}
