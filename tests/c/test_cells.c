/* SPDX-License-Identifier: MIT */
#include "cells.h"

#include "test.h"

enum { STATES = 40000, DIM = 2 };

typedef struct {
    double x[STATES * DIM];
    intptr_t begin[2], end[2];
    rtl_increments_t increments;
} data_t;

static const double period[] = {0.0, 3.0}, low[] = {0.0, -1.0};

/* A curve that winds round the second axis. */
static void
make_data(data_t *data)
{
    for (size_t t = 0; t < STATES; t++) {
        double s = (double) t;
        data->x[2 * t] = 5.0 * sin(0.01 * s) + 0.3 * cos(s);
        data->x[2 * t + 1] = -1.0 + fmod(0.37 * s, 3.0);
    }
    data->begin[0] = 0;
    data->end[0] = data->begin[1] = STATES / 3;
    data->end[1] = STATES;
    data->increments = (rtl_increments_t) {.x = data->x,
        .begin = data->begin,
        .end = data->end,
        .n_states = STATES,
        .n_segments = 2,
        .dim = DIM,
        .dt = 0.1,
        .period = period,
        .n_lags = 2,
        .lags = {1, 3}};
}

/* Sums over cells are sums over increments, whatever the cells. */
static void
check_totals(const rtl_cells_t *cells)
{
    double count = 0.0, start = 0.0, dx = 0.0, time = 0.0, square = 0.0;

    for (size_t i = 0; i < cells->n_cells; i++) {
        const double *cell = cells->sums + i * cells->size;
        const double *block = cell + rtl_cells_block(cells, 1);
        CHECK(cell[RTL_CELLS_COUNT] >= 1.0);
        CHECK(cell[RTL_CELLS_START + 1] >= -1.0 && cell[RTL_CELLS_START + 1] <= 2.0);
        count += cell[RTL_CELLS_COUNT];
        start += cell[RTL_CELLS_COUNT] * cell[RTL_CELLS_START + 1];
        time += block[RTL_CELLS_TIME];
        dx += block[RTL_CELLS_INCREMENT + 1];
        square += block[rtl_cells_squares(cells) + 2];
        CHECK_CLOSE(block[rtl_cells_quartics(cells) + 1],
            cell[RTL_CELLS_COUNT] * pow(1.11, 4), 1e-6);
    }
    CHECK(count == STATES - 6);
    CHECK_CLOSE(time, 0.3 * count, 1e-6);
    CHECK_CLOSE(dx, 1.11 * count, 1e-6);
    CHECK_CLOSE(square, 1.11 * 1.11 * count, 1e-6);
    CHECK_CLOSE(start / count, 0.5, 1e-2);
}

static void
test_gather_and_merge(const data_t *data)
{
    const double width[] = {0.05, 0.11}, wide[] = {1.0, 0.4};
    rtl_cells_t fine, coarse;

    CHECK(rtl_cells_gather(&fine, &data->increments, low, width, true, NULL) == 0);
    check_totals(&fine);
    CHECK(fine.n_cells > 1024); /* the table has grown */
    CHECK(rtl_cells_merge(&coarse, &fine, period, low, wide) == 0);
    check_totals(&coarse);
    CHECK(coarse.n_cells <= 12 * 8); /* eight cells of at most 0.4 go round */
    rtl_cells_free(&fine);
    rtl_cells_free(&coarse);
}

static int
run(void *data)
{
    const double width[] = {0.05, 0.11}, wide[] = {1.0, 0.4};
    rtl_cells_t fine = {0}, coarse = {0};
    int status =
        rtl_cells_gather(&fine, &((data_t *) data)->increments, low, width, true, NULL);

    if (status == 0) {
        status = rtl_cells_merge(&coarse, &fine, period, low, wide);
    }
    rtl_cells_free(&fine);
    rtl_cells_free(&coarse);
    return status;
}

int
main(void)
{
    static data_t data;
    const double width[] = {0.05, 0.11};
    rtl_monitor_t monitor = {.poll = stop_at_once};
    rtl_cells_t cells;

    make_data(&data);
    test_gather_and_merge(&data);
    CHECK(rtl_cells_gather(&cells, &data.increments, low, width, true, &monitor) ==
          RTL_INTERRUPTED);
    CHECK(check_every_allocation_failure(run, &data) >= 6);
    return 0;
}
