/* SPDX-License-Identifier: MIT */
#include "local.h"

#include "models.h"

enum { PATHS = 20, TIMES = 200, DIM = 2, POINTS = 40 };

typedef struct {
    double x[PATHS * TIMES * DIM], period[DIM], points[POINTS * DIM], bandwidth[DIM];
    intptr_t begin[PATHS], end[PATHS];
    rtl_increments_t paths;
    rtl_local_t local;
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
    for (size_t p = 0; p < PATHS; p++) {
        data->begin[p] = (intptr_t) (p * TIMES);
        data->end[p] = (intptr_t) ((p + 1) * TIMES);
    }
    data->paths = (rtl_increments_t) {.x = data->x,
        .begin = data->begin,
        .end = data->end,
        .n_states = PATHS * TIMES,
        .n_segments = PATHS,
        .dim = DIM,
        .dt = 1.0,
        .period = data->period,
        .n_lags = 2,
        .lags = {1, 2}};
    data->local = (rtl_local_t) {.n_points = POINTS,
        .points = data->points,
        .bandwidth = data->bandwidth,
        .low = data->period,
        .n_rungs = 1,
        .degree = 1,
        .scaled = true,
        .n_threads = 1};
    data->local.terms = (rtl_extrapolate_t) {.dim = DIM,
        .n_lags = 2,
        .lags = {1, 2},
        .n_terms = 2,
        .plus = {0, 1},
        .minus = {RTL_EXTRAPOLATE_NONE, RTL_EXTRAPOLATE_NONE}};
}

typedef struct {
    double r[POINTS], error[POINTS], c[POINTS * 4], f[POINTS * 2], n[POINTS];
    double count[POINTS], kurtosis[POINTS], rung[POINTS];
} result_t;

static int
estimate(const data_t *data, result_t *out, rtl_monitor_t *monitor)
{
    rtl_local_out_t to = {out->r, out->error, out->c, out->f, out->n, out->count,
        out->kurtosis, out->rung};

    for (int i = 0; i < POINTS; i++) {
        out->rung[i] = -1.0;
    }
    return rtl_local_estimate(&data->local, &data->paths, &to, monitor);
}

static void
check_random_walk(data_t *data)
{
    static result_t one, two;

    data->local.n_threads = 1;
    CHECK(estimate(data, &one, NULL) == 0);
    for (int i = 0; i < POINTS; i++) { /* exact: log(1/12) */
        CHECK(fabs(one.r[i] + log(12.0)) < 5.0 * one.error[i]);
        CHECK(one.error[i] > 0.0 && one.n[i] > 10.0 && one.count[i] > one.n[i]);
        CHECK(one.rung[i] >= 0.0 && one.rung[i] < (double) data->local.n_rungs);
    }
    data->local.n_threads = 2;
    CHECK(estimate(data, &two, NULL) == 0);
    for (int i = 0; i < POINTS; i++) {
        CHECK(one.r[i] == two.r[i] && one.error[i] == two.error[i]);
    }
    data->local.n_threads = 1;
}

/* On a long ladder the bandwidth is large: C is the same everywhere. */
static void
test_random_walk(data_t *data)
{
    static result_t fixed, chosen;

    for (size_t degree = 1; degree <= 2; degree++) {
        data->local.degree = degree;
        data->local.n_rungs = 1;
        check_random_walk(data);
        CHECK(estimate(data, &fixed, NULL) == 0);
        data->local.n_rungs = 8;
        check_random_walk(data);
        CHECK(estimate(data, &chosen, NULL) == 0);
        double sum = 0.0;
        for (int i = 0; i < POINTS; i++) {
            sum += chosen.error[i] / fixed.error[i] / POINTS;
        }
        CHECK(sum < 0.8);
    }
}

/* Points without data, and data to one side only at a distance. */
static void
test_blank(data_t *data)
{
    static result_t result;

    data->local.n_rungs = 1;
    data->points[0] = 1e6;
    CHECK(estimate(data, &result, NULL) == 0);
    CHECK(isnan(result.r[0]) && isnan(result.error[0]) && isnan(result.rung[0]));
    CHECK(isnan(result.c[0]) && isnan(result.f[1]) && result.count[0] == 0.0);
    CHECK(isfinite(result.r[1]));
    data->points[0] = 0.0;
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
    rtl_monitor_t monitor = {.poll = stop_at_once};

    make_data(&data);
    test_random_walk(&data);
    test_blank(&data);
    data.local.n_rungs = 3;
    CHECK(estimate(&data, &result, &monitor) == RTL_INTERRUPTED);
    CHECK(check_every_allocation_failure(run, &data) > 10);
    data.local.degree = 3;
    CHECK(estimate(&data, &result, NULL) == RTL_BAD_ARGUMENT);
    data.local.degree = 2;
    data.local.n_rungs = RTL_LOCAL_RUNGS + 1;
    CHECK(estimate(&data, &result, NULL) == RTL_BAD_ARGUMENT);
    return 0;
}
