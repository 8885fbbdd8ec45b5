/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "bins.h"
#include "test.h"

enum { CELLS = 3, PATHS = 2, TIMES = 12 };

/* Two paths on [0, 3), one number a state. */
static const double tracks[PATHS * TIMES] = {
    0.5, 0.7, 1.2, 1.1, 0.4, 0.9, 0.2, 1.9, 2.2, 1.6, 0.6, 0.8, /* */
    0.1, 0.3, 0.2, 2.9, 2.5, 1.5, 0.9, 0.5, 7.0, 0.4, 0.3, 0.6, /* */
};
static const double edges[] = {0.0, 1.0, 2.0, 3.0};
static const double no_period[] = {0.0};

typedef struct {
    double rattling[CELLS], error[CELLS], covariance[CELLS], drift[CELLS];
    double n_eff[CELLS], count[CELLS];
} result_t;

static void
make_grid(rtl_grid_t *grid, rtl_boundary_t side)
{
    const double *axes[] = {edges};

    CHECK(rtl_grid_init(grid, 1, (size_t[]) {CELLS}, axes, &side, &side) == 0);
}

static int
estimate(const rtl_bins_paths_t *paths, const rtl_grid_t *grid, result_t *result,
    rtl_monitor_t *monitor)
{
    const rtl_bins_out_t out = {result->rattling, result->error, result->covariance,
        result->drift, result->n_eff, result->count};

    return rtl_bins_estimate(paths, grid, &out, monitor);
}

/* What bins.h says for one cell and one lag, by going through all pairs of starts. */
typedef struct {
    size_t n, path[PATHS * TIMES], time[PATHS * TIMES];
    double mean, expected, n_eff, dof, variance;
} cell_t;

static cell_t
brute_force(double lower, size_t lag, size_t longest)
{
    cell_t cell = {0};
    double v = 0.0, q = 0.0, sum = 0.0;

    for (size_t i = 0; i < PATHS * TIMES; i++) {
        double x = tracks[i];
        if (i % TIMES + longest < TIMES && x >= lower && x < lower + 1.0) {
            cell.path[cell.n] = i / TIMES;
            cell.time[cell.n++] = i % TIMES;
            cell.mean += tracks[i + lag] - x;
        }
    }
    double n = (double) cell.n;
    cell.mean /= n;
    for (size_t i = 0; i < cell.n; i++) {
        size_t a = cell.path[i] * TIMES + cell.time[i];
        double dx = tracks[a + lag] - tracks[a] - cell.mean;
        sum += dx * dx;
        for (size_t j = 0; j < cell.n; j++) {
            double apart = fabs((double) cell.time[i] - (double) cell.time[j]);
            double rho = cell.path[i] == cell.path[j]
                             ? fmax(0.0, 1.0 - apart / (double) lag)
                             : 0.0;
            v += rho / n;
            q += rho * rho / n;
        }
    }
    cell.expected = n - v;
    cell.n_eff = n / q;
    cell.dof = (n - v) / q;
    cell.variance = sum / cell.expected;
    return cell;
}

static double
brute_force_correlation(const cell_t *a, size_t la, const cell_t *b, size_t lb)
{
    double sum = 0.0;

    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < b->n; j++) {
            double t = (double) a->time[i], u = (double) b->time[j];
            double common = fmin(t + (double) la, u + (double) lb) - fmax(t, u);
            if (a->path[i] == b->path[j] && common > 0.0) {
                sum += common * common / (double) (la * lb);
            }
        }
    }
    return fmin(1.0, sum / (double) (a->n * b->n) * sqrt(a->dof * b->dof));
}

static void
check_lags(size_t l1, size_t l2)
{
    const double dt = 0.5;
    rtl_bins_paths_t paths = {
        tracks, PATHS, TIMES, 1, dt, no_period, l2 > 0 ? 2 : 1, {l1, l2}};
    rtl_grid_t grid;
    result_t got;

    make_grid(&grid, RTL_REFLECTING);
    CHECK(estimate(&paths, &grid, &got, NULL) == 0);
    for (size_t c = 0; c < CELLS; c++) {
        cell_t a = brute_force(edges[c], l1, l2 > 0 ? l2 : l1), b;
        double bias, variance, bias_2, variance_2, time = (double) l1 * dt;
        CHECK(got.count[c] == (double) a.n);
        CHECK_CLOSE(got.n_eff[c], a.n_eff, 1e-13);
        CHECK_CLOSE(got.drift[c], a.mean / time, 1e-13);
        CHECK_CLOSE(got.covariance[c], a.variance / time, 1e-13);
        if (a.dof < 1.0) {
            CHECK(isnan(got.rattling[c]) && isnan(got.error[c]));
            continue;
        }
        rtl_estimate_log_det_law(1, a.dof, &bias, &variance);
        double r = 0.5 * log(a.variance / time) - bias;
        if (l2 > 0) {
            b = brute_force(edges[c], l2, l2);
            if (b.dof < 1.0) {
                CHECK(isnan(got.rattling[c]));
                continue;
            }
            rtl_estimate_log_det_law(1, b.dof, &bias_2, &variance_2);
            double s = 0.5 * log(b.variance / ((double) l2 * dt)) - bias_2;
            double w = (double) l2 / (double) (l2 - l1), u = 1.0 - w;
            double rho = brute_force_correlation(&a, l1, &b, l2);
            r = w * r + u * s;
            variance = w * w * variance + u * u * variance_2 +
                       2.0 * w * u * rho * sqrt(variance * variance_2);
        }
        CHECK_CLOSE(got.rattling[c], r, 1e-12);
        CHECK_CLOSE(got.error[c], sqrt(variance), 1e-12);
    }
    rtl_grid_free(&grid);
}

/* The state 7.0 is outside, or in the second cell of a ring; steps across the seam are
 * short ones if the paths live on the ring too. */
static void
test_ring(void)
{
    const double x[] = {2.9, 0.1, 0.3, 7.0, 2.8}, period[] = {3.0};
    rtl_bins_paths_t paths = {x, 1, 5, 1, 1.0, period, 1, {1, 0}};
    rtl_grid_t ring, line;
    result_t got;

    make_grid(&ring, RTL_PERIODIC);
    make_grid(&line, RTL_REFLECTING);
    CHECK(estimate(&paths, &ring, &got, NULL) == 0);
    CHECK(got.n_eff[0] == 2.0 && got.n_eff[1] == 1.0 && got.n_eff[2] == 1.0);
    CHECK_CLOSE(got.drift[2], 0.2, 1e-14);
    CHECK_CLOSE(got.drift[0], 0.5 * (0.2 + 0.7), 1e-14);
    CHECK_CLOSE(got.drift[1], -4.2 + 3.0, 1e-14);
    CHECK(isnan(got.rattling[1]) && isnan(got.covariance[1]));
    paths.lags[0] = 2;
    CHECK(estimate(&paths, &ring, &got, NULL) == 0);
    CHECK_CLOSE(got.drift[2], 0.5 * 0.4, 1e-14);
    paths.period = no_period;
    paths.lags[0] = 1;
    CHECK(estimate(&paths, &line, &got, NULL) == 0);
    CHECK(got.n_eff[0] == 2.0 && got.n_eff[1] == 0.0 && got.n_eff[2] == 1.0);
    CHECK(isnan(got.drift[1]));
    CHECK_CLOSE(got.drift[2], -2.8, 1e-14);
    rtl_grid_free(&ring);
    rtl_grid_free(&line);
}

static void
test_bad_arguments(void)
{
    rtl_bins_paths_t good = {tracks, PATHS, TIMES, 1, 1.0, no_period, 2, {1, 2}}, bad;
    rtl_grid_t grid;
    result_t got;

    make_grid(&grid, RTL_REFLECTING);
    bad = good;
    bad.dim = 2;
    CHECK(estimate(&bad, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    bad = good;
    bad.lags[1] = 1;
    CHECK(estimate(&bad, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    bad = good;
    bad.lags[1] = RTL_BINS_MAX_LAG + 1;
    CHECK(estimate(&bad, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    bad = good;
    bad.dt = 0.0;
    CHECK(estimate(&bad, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    bad = good;
    bad.n_times = 2; /* too short for lag 2: nothing to say */
    CHECK(estimate(&bad, &grid, &got, NULL) == 0);
    CHECK(got.n_eff[0] == 0.0 && isnan(got.rattling[0]));
    rtl_grid_free(&grid);
}

static int
run(void *data)
{
    rtl_bins_paths_t paths = {tracks, PATHS, TIMES, 1, 1.0, no_period, 2, {1, 2}};
    const double *axes[] = {edges};
    const rtl_boundary_t side = RTL_REFLECTING;
    rtl_grid_t grid;
    result_t got;
    int status = rtl_grid_init(&grid, 1, (size_t[]) {CELLS}, axes, &side, &side);

    if (status == 0) {
        status = estimate(&paths, &grid, &got, data);
    }
    rtl_grid_free(&grid);
    return status;
}

static int
stop(void *data, double done)
{
    (void) data;
    return done >= 0.0;
}

int
main(void)
{
    rtl_monitor_t monitor = {.poll = stop};

    check_lags(1, 0);
    check_lags(2, 0);
    check_lags(1, 2);
    check_lags(2, 3);
    check_lags(1, 4);
    test_ring();
    test_bad_arguments();
    CHECK(check_every_allocation_failure(run, NULL) == 5);
    CHECK(run(&monitor) == RTL_INTERRUPTED);
    return 0;
}
