/* SPDX-License-Identifier: MIT */
#include "local.h"

#include "models.h"

enum { PATHS = 20, TIMES = 200, DIM = 2, POINTS = 40 };

typedef struct {
    double x[PATHS * TIMES * DIM], period[DIM], points[POINTS * DIM], bandwidth[DIM];
    rtl_bins_paths_t paths;
    rtl_local_points_t at;
} data_t;

/* Random walks with steps of variance 1/12 an axis, dt = 1. */
static void
make_data(data_t *data)
{
    uint64_t seed = 1;

    for (size_t p = 0; p < PATHS; p++) {
        for (size_t t = 0; t < TIMES; t++) {
            for (size_t k = 0; k < DIM; k++) {
                double *x = data->x + (p * TIMES + t) * DIM + k;
                *x = t == 0 ? 0.0 : x[-DIM] + pseudo(&seed) - 0.5;
            }
        }
    }
    for (size_t i = 0; i < POINTS * DIM; i++) {
        data->points[i] = 2.0 * pseudo(&seed) - 1.0;
    }
    data->bandwidth[0] = data->bandwidth[1] = 2.0;
    data->period[0] = data->period[1] = 0.0;
    data->paths = (rtl_bins_paths_t) {.x = data->x,
        .n_paths = PATHS,
        .n_times = TIMES,
        .dim = DIM,
        .dt = 1.0,
        .period = data->period,
        .n_lags = 2,
        .lags = {1, 2}};
    data->at = (rtl_local_points_t) {.n_points = POINTS,
        .points = data->points,
        .bandwidth = data->bandwidth,
        .n_threads = 1};
}

typedef struct {
    double r[POINTS], error[POINTS], c[POINTS * 4], f[POINTS * 2], n[POINTS],
        count[POINTS];
} result_t;

static int
estimate(const data_t *data, result_t *result, rtl_monitor_t *monitor)
{
    rtl_bins_out_t out = {
        result->r, result->error, result->c, result->f, result->n, result->count};

    return rtl_local_estimate(&data->paths, &data->at, &out, monitor);
}

static void
test_random_walk(data_t *data)
{
    static result_t one, two;

    data->at.n_threads = 1;
    CHECK(estimate(data, &one, NULL) == 0);
    for (int i = 0; i < POINTS; i++) { /* exact: log(1/12) */
        CHECK(fabs(one.r[i] + log(12.0)) < 5.0 * one.error[i]);
        CHECK(one.error[i] > 0.0 && one.n[i] > 10.0 && one.count[i] > one.n[i]);
    }
    data->at.n_threads = 2;
    CHECK(estimate(data, &two, NULL) == 0);
    for (int i = 0; i < POINTS; i++) {
        CHECK(one.r[i] == two.r[i] && one.error[i] == two.error[i]);
    }
    data->at.n_threads = 1;
}

static int
stop(void *data, double done)
{
    (void) data;
    (void) done;
    return 1;
}

static int
run(void *data)
{
    static result_t result;
    return estimate(data, &result, NULL);
}

int
main(void)
{
    static data_t data;
    static result_t result;
    rtl_monitor_t monitor = {.poll = stop};

    make_data(&data);
    test_random_walk(&data);
    CHECK(estimate(&data, &result, &monitor) == RTL_INTERRUPTED);
    CHECK(check_every_allocation_failure(run, &data) == 2);
    data.paths.n_times = 2;
    CHECK(estimate(&data, &result, NULL) == RTL_BAD_ARGUMENT);
    return 0;
}
