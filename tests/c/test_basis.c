/* SPDX-License-Identifier: MIT */
#include "basis.h"

#include "models.h"

enum { N = 4000, DIM = 2, POINTS = 5 };

/* N pairs of states: a start, and what an increment of +-c(x) about a drift makes. */
typedef struct {
    double x[2 * N * DIM], period[DIM], points[POINTS * DIM], width[DIM], low[DIM];
    intptr_t begin[N], end[N];
    rtl_increments_t paths;
    rtl_basis_t basis;
} data_t;

/* Cubic in the first coordinate, of period 2 in the second if it goes round. */
static double
square(const double *x, bool around)
{
    return around ? 2.0 + 0.5 * x[0] + sin(3.14159265358979324 * x[1])
                  : 3.0 + 0.5 * x[0] - 0.3 * x[0] * x[1] * x[1];
}

static void
make_data(data_t *data, bool around, size_t degree)
{
    uint64_t seed = 1;

    *data = (data_t) {.width = {1e-3, 1e-3}, .period = {0.0, around ? 2.0 : 0.0}};
    data->low[1] = -1.0;
    for (size_t i = 0; i < N; i++) {
        double *x = data->x + 2 * i * DIM;
        x[0] = 2.0 * pseudo(&seed) - 1.0;
        x[1] = 2.0 * pseudo(&seed) - 1.0;
        double c = sqrt(square(x, around)) * 1e-3;
        x[DIM] = x[0] + (i % 2 == 0 ? c : -c);
        x[DIM + 1] = x[1] + (i % 4 < 2 ? c : -c);
        data->begin[i] = (intptr_t) (2 * i);
        data->end[i] = (intptr_t) (2 * i + 2);
    }
    for (size_t i = 0; i < POINTS * DIM; i++) {
        data->points[i] = 1.6 * pseudo(&seed) - 0.8;
    }
    data->paths = (rtl_increments_t) {.x = data->x,
        .begin = data->begin,
        .end = data->end,
        .n_states = 2 * N,
        .n_segments = N,
        .dim = DIM,
        .dt = 1e-6,
        .period = data->period,
        .n_lags = 1,
        .lags = {1}};
    data->basis = (rtl_basis_t) {.n_points = POINTS,
        .points = data->points,
        .width = data->width,
        .low = data->low,
        .degree = degree,
        .scaled = true};
    data->basis.terms = (rtl_extrapolate_t) {.dim = DIM,
        .n_lags = 1,
        .lags = {1},
        .n_terms = 1,
        .minus = {RTL_EXTRAPOLATE_NONE}};
}

typedef struct {
    double r[POINTS], error[POINTS], c[POINTS * 4], f[POINTS * 2], n[POINTS];
    double count[POINTS], kurtosis[POINTS];
} result_t;

static int
estimate(const data_t *data, result_t *out, rtl_monitor_t *monitor)
{
    const rtl_basis_out_t to = {
        out->r, out->error, out->c, out->f, out->n, out->count, out->kurtosis};

    return rtl_basis_estimate(&data->basis, &data->paths, &to, monitor);
}

/* Squares that are such functions are found as they are, but for the mean increment,
 * whose square is 1/N of them. */
static void
test_exact(bool around, size_t degree)
{
    static data_t data;
    result_t got;

    make_data(&data, around, degree);
    CHECK(estimate(&data, &got, NULL) == 0);
    for (int i = 0; i < POINTS; i++) {
        double expected = square(data.points + 2 * i, around);
        CHECK(got.count[i] == N);
        CHECK(fabs(got.c[4 * i] / expected - 1.0) < 0.01);
        CHECK(fabs(got.c[4 * i + 3] / expected - 1.0) < 0.01);
        CHECK(fabs(got.c[4 * i + 1]) < 0.3 * expected);
        CHECK(got.c[4 * i + 1] == got.c[4 * i + 2]);
        CHECK(fabs(got.r[i] - log(expected)) < 0.05 && got.error[i] < 0.2);
        CHECK(got.n[i] > 50.0 && got.n[i] < N);
    }
}

/* Too high a degree, too many terms, too few states, states on a line. */
static void
test_refusals(void)
{
    static data_t data;
    result_t got;

    make_data(&data, false, 15);
    CHECK(estimate(&data, &got, NULL) == RTL_BAD_ARGUMENT);
    make_data(&data, true, 11); /* 12 * 13 + ... terms */
    CHECK(estimate(&data, &got, NULL) == RTL_BAD_ARGUMENT);
    make_data(&data, false, 3);
    data.paths.n_segments = 8;
    CHECK(estimate(&data, &got, NULL) == RTL_NOT_POSITIVE_DEFINITE);
    data.paths.n_segments = 0;
    CHECK(estimate(&data, &got, NULL) == RTL_NOT_POSITIVE_DEFINITE);
    make_data(&data, false, 3);
    for (size_t i = 0; i < 2 * N; i++) {
        data.x[2 * i + 1] = 2.0 * data.x[2 * i]; /* on a line */
    }
    CHECK(estimate(&data, &got, NULL) == RTL_NOT_POSITIVE_DEFINITE);
    make_data(&data, false, 3);
    data.points[0] = 1e3; /* far from the data */
    data.points[2] = NAN;
    CHECK(estimate(&data, &got, NULL) == 0);
    CHECK(isnan(got.r[0]) && isnan(got.r[1]) && isfinite(got.r[2]));
    data.basis.terms.dim = 1;
    CHECK(estimate(&data, &got, NULL) == RTL_BAD_ARGUMENT);
}

static int
run(void *monitor)
{
    static data_t data;
    result_t got;

    make_data(&data, false, 2);
    return estimate(&data, &got, monitor);
}

int
main(void)
{
    rtl_monitor_t monitor = {.poll = stop_at_once};

    test_exact(false, 3);
    test_exact(false, 5);
    test_exact(true, 1);
    test_exact(true, 3);
    test_refusals();
    CHECK(check_every_allocation_failure(run, NULL) > 5);
    CHECK(run(&monitor) == RTL_INTERRUPTED);
    return 0;
}
