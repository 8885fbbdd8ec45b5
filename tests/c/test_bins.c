/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "bins.h"
#include "estimate.h"
#include "processor.h"
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
    double n_eff[CELLS], count[CELLS], kurtosis[CELLS];
} result_t;

/* Tracks of one number a state, all equally long. */
typedef struct {
    const double *x, *period;
    intptr_t begin[PATHS], end[PATHS];
    rtl_increments_t increments;
    rtl_bins_t bins;
} data_t;

static void
make_data(data_t *data, const double *x, size_t n_paths, size_t n_times, double dt,
    size_t l1, size_t l2)
{
    *data = (data_t) {.x = x};
    for (size_t p = 0; p < n_paths; p++) {
        data->begin[p] = (intptr_t) (p * n_times);
        data->end[p] = (intptr_t) ((p + 1) * n_times);
    }
    data->increments = (rtl_increments_t) {.x = x,
        .begin = data->begin,
        .end = data->end,
        .n_states = n_paths * n_times,
        .n_segments = n_paths,
        .dim = 1,
        .dt = dt,
        .n_lags = l2 > 0 ? 2 : 1,
        .lags = {l1, l2}};
    data->bins = (rtl_bins_t) {.n_threads = 1};
    data->bins.terms = (rtl_extrapolate_t) {.dim = 1,
        .n_lags = data->increments.n_lags,
        .lags = {l1, l2},
        .n_terms = data->increments.n_lags,
        .plus = {0, 1},
        .minus = {RTL_EXTRAPOLATE_NONE, RTL_EXTRAPOLATE_NONE}};
}

static void
make_grid(rtl_grid_t *grid, rtl_boundary_t side)
{
    const double *axes[] = {edges};

    CHECK(rtl_grid_init(grid, 1, (size_t[]) {CELLS}, axes, &side, &side) == 0);
}

static int
estimate(data_t *data, const double *period, const rtl_grid_t *grid, result_t *result,
    rtl_monitor_t *monitor)
{
    const rtl_bins_out_t out = {result->rattling, result->error, result->covariance,
        result->drift, result->n_eff, result->count, result->kurtosis};

    data->increments.period = period;
    data->bins.grid = grid;
    data->bins.dt = data->increments.dt;
    data->bins.uneven = data->increments.time != NULL;
    const rtl_increments_t *paths = &data->increments;
    size_t longest = paths->lags[paths->n_lags - 1];
    size_t size = rtl_bins_size(1, paths->n_lags, longest, paths->time != NULL);
    double *sums = rtl_memory_alloc(CELLS, size * sizeof *sums);
    if (sums == NULL) {
        return RTL_NO_MEMORY;
    }
    int status = rtl_bins_sum(&data->bins, &data->increments, sums, monitor);
    if (status == 0) {
        status = rtl_bins_conclude(&data->bins, sums, &out, monitor);
    }
    rtl_memory_free(sums);
    return status;
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

/* Sum of shared times squared over all pairs of starts, one with each lag. */
static double
brute_force_pairs(const cell_t *cell, size_t la, size_t lb)
{
    double sum = 0.0;

    for (size_t i = 0; i < cell->n; i++) {
        for (size_t j = 0; j < cell->n; j++) {
            double t = (double) cell->time[i], u = (double) cell->time[j];
            double common = fmin(t + (double) la, u + (double) lb) - fmax(t, u);
            if (cell->path[i] == cell->path[j] && common > 0.0) {
                sum += common * common / (double) (la * lb);
            }
        }
    }
    return sum / (double) (cell->n * cell->n);
}

static void
check_lags(size_t l1, size_t l2)
{
    const double dt = 0.5;
    rtl_grid_t grid;
    data_t data;
    result_t got;

    make_grid(&grid, RTL_REFLECTING);
    make_data(&data, tracks, PATHS, TIMES, dt, l1, l2);
    CHECK(estimate(&data, no_period, &grid, &got, NULL) == 0);
    for (size_t c = 0; c < CELLS; c++) {
        cell_t a = brute_force(edges[c], l1, l2 > 0 ? l2 : l1), b;
        double bias, variance, bias_2, variance_2, time = (double) l1 * dt, left = 0.0;
        CHECK(got.count[c] == (double) a.n);
        CHECK_CLOSE(got.n_eff[c], a.n_eff, 1e-13);
        CHECK_CLOSE(got.drift[c], a.mean / time, 1e-13);
        CHECK_CLOSE(got.covariance[c], a.variance / time, 1e-13);
        if (a.dof < 1.0) {
            CHECK(isnan(got.rattling[c]) && isnan(got.error[c]));
            continue;
        }
        rtl_estimate_log_det_law(1, a.dof, &bias, &variance);
        double half = 0.5 * log(a.variance / time) - bias, r = half;
        if (l2 > 0) {
            b = brute_force(edges[c], l2, l2);
            if (b.dof < 1.0) {
                CHECK(isnan(got.rattling[c]));
                continue;
            }
            rtl_estimate_log_det_law(1, b.dof, &bias_2, &variance_2);
            double s = 0.5 * log(b.variance / ((double) l2 * dt)) - bias_2;
            double w = (double) l2 / (double) (l2 - l1), u = 1.0 - w;
            r = w * r + u * s;
            variance *= a.n_eff * (w * w * brute_force_pairs(&a, l1, l1) +
                                      u * u * brute_force_pairs(&a, l2, l2) +
                                      2.0 * w * u * brute_force_pairs(&a, l1, l2));
            left = (half - r) * (half - r);
        }
        CHECK_CLOSE(got.rattling[c], r, 1e-12);
        CHECK_CLOSE(got.error[c], hypot(sqrt(variance), left), 1e-12);
    }
    rtl_grid_free(&grid);
}

/* The state 7.0 is outside, or in the second cell of a ring; steps across the seam are
 * short ones if the paths live on the ring too. */
static void
test_ring(void)
{
    const double x[] = {2.9, 0.1, 0.3, 7.0, 2.8}, period[] = {3.0};
    rtl_grid_t ring, line;
    data_t data;
    result_t got;

    make_grid(&ring, RTL_PERIODIC);
    make_grid(&line, RTL_REFLECTING);
    make_data(&data, x, 1, 5, 1.0, 1, 0);
    CHECK(estimate(&data, period, &ring, &got, NULL) == 0);
    CHECK(got.n_eff[0] == 2.0 && got.n_eff[1] == 1.0 && got.n_eff[2] == 1.0);
    CHECK_CLOSE(got.drift[2], 0.2, 1e-14);
    CHECK_CLOSE(got.drift[0], 0.5 * (0.2 + 0.7), 1e-14);
    CHECK_CLOSE(got.drift[1], -4.2 + 3.0, 1e-14);
    CHECK(isnan(got.rattling[1]) && isnan(got.covariance[1]));
    make_data(&data, x, 1, 5, 1.0, 2, 0);
    CHECK(estimate(&data, period, &ring, &got, NULL) == 0);
    CHECK_CLOSE(got.drift[2], 0.5 * 0.4, 1e-14);
    make_data(&data, x, 1, 5, 1.0, 1, 0);
    CHECK(estimate(&data, no_period, &line, &got, NULL) == 0);
    CHECK(got.n_eff[0] == 2.0 && got.n_eff[1] == 0.0 && got.n_eff[2] == 1.0);
    CHECK(isnan(got.drift[1]));
    CHECK_CLOSE(got.drift[2], -2.8, 1e-14);
    rtl_grid_free(&ring);
    rtl_grid_free(&line);
}

/* Uneven steps: squares are divided by their own times. */
static void
test_uneven_times(void)
{
    const double x[] = {0.1, 0.5, 0.2, 0.6, 0.3}, time[] = {0.0, 1.0, 1.5, 3.5, 4.5};
    rtl_grid_t grid;
    data_t data;
    result_t got;
    double mean = 0.0, square = 0.0, expected;

    make_grid(&grid, RTL_REFLECTING);
    make_data(&data, x, 1, 5, 4.5 / 4.0, 1, 0);
    data.increments.time = time;
    data.bins.scaled = true;
    CHECK(estimate(&data, no_period, &grid, &got, NULL) == 0);
    for (int i = 0; i < 4; i++) {
        double dx = x[i + 1] - x[i];
        mean += dx;
        square += dx * dx / (time[i + 1] - time[i]) / 4.0;
    }
    CHECK_CLOSE(got.drift[0], mean / 4.5, 1e-14);
    expected = (square - mean * mean / 16.0 / (4.5 / 4.0)) * 4.0 / 3.0;
    CHECK_CLOSE(got.covariance[0], expected, 1e-14);
    rtl_grid_free(&grid);
}

static void
test_bad_arguments(void)
{
    rtl_grid_t grid;
    result_t got;
    data_t data;

    make_grid(&grid, RTL_REFLECTING);
    make_data(&data, tracks, PATHS, TIMES, 1.0, 1, 2);
    data.increments.dim = 2;
    CHECK(estimate(&data, no_period, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    make_data(&data, tracks, PATHS, TIMES, 1.0, 2, 1);
    CHECK(estimate(&data, no_period, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    make_data(&data, tracks, PATHS, TIMES, 1.0, 1, RTL_INCREMENTS_LONGEST + 1);
    CHECK(estimate(&data, no_period, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    make_data(&data, tracks, PATHS, TIMES, 0.0, 1, 2);
    CHECK(estimate(&data, no_period, &grid, &got, NULL) == RTL_BAD_ARGUMENT);
    make_data(&data, tracks, PATHS, 2, 1.0, 1, 2); /* too short: nothing to say */
    CHECK(estimate(&data, no_period, &grid, &got, NULL) == 0);
    CHECK(got.n_eff[0] == 0.0 && isnan(got.rattling[0]));
    rtl_grid_free(&grid);
}

/* Many starts are dealt to parts; threads share them out, and change nothing. */
static void
test_parts(void)
{
    enum { LONG = 300000 };
    double *x = rtl_memory_alloc(LONG, sizeof *x);
    result_t one, two;
    rtl_grid_t grid;
    data_t data;
    size_t total = 0;

    CHECK(x != NULL);
    for (size_t i = 0; i < LONG; i++) {
        x[i] = 1.5 + 1.7 * sin(0.7 * (double) i + 3.0 * sin(0.11 * (double) i));
        total += i + 2 < LONG && x[i] >= 0.0 && x[i] <= 3.0 ? 1 : 0;
    }
    make_grid(&grid, RTL_REFLECTING);
    make_data(&data, x, 1, LONG, 1.0, 1, 2);
    CHECK(estimate(&data, no_period, &grid, &one, NULL) == 0);
    data.bins.n_threads = 2;
    CHECK(estimate(&data, no_period, &grid, &two, NULL) == 0);
    CHECK(one.count[0] + one.count[1] + one.count[2] == (double) total);
    for (int i = 0; i < CELLS; i++) {
        CHECK(one.rattling[i] == two.rattling[i] && one.error[i] == two.error[i]);
        CHECK(one.n_eff[i] == two.n_eff[i] && one.drift[i] == two.drift[i]);
    }
    rtl_grid_free(&grid);
    rtl_memory_free(x);
}

static void
test_count(void)
{
    const double x[] = {0.5, 2.5, 2.9, -0.1, 3.0, NAN};
    double count[CELLS] = {0.0};
    rtl_grid_t grid;

    make_grid(&grid, RTL_REFLECTING);
    CHECK(rtl_bins_count(&grid, x, 6, count, NULL) == 0);
    CHECK(count[0] == 1.0 && count[1] == 0.0 && count[2] == 3.0);
    rtl_grid_free(&grid);
}

/* The cell of a number by going through the edges; the last edge belongs to the last.
 */
static size_t
cell_of(const double *axis, size_t n, double x)
{
    for (size_t i = 0; i < n; i++) {
        if (x >= axis[i] && (x < axis[i + 1] || (i + 1 == n && x == axis[n]))) {
            return i;
        }
    }
    return n;
}

/* Starts on edges, as near to them as can be, amid cells and far outside, in equal
 * cells and in others. */
static void
check_cells(size_t dim, double bend)
{
    enum { SIDE = 7, STATES = 4001, MOST = SIDE * SIDE * SIDE };
    static double x[STATES * 3], sums[MOST * 40];
    double axis[SIDE + 1], expected[MOST] = {0.0};
    const double *axes[] = {axis, axis, axis}, period[3] = {0.0};
    const rtl_boundary_t sides[] = {RTL_REFLECTING, RTL_REFLECTING, RTL_REFLECTING};
    size_t shape[] = {SIDE, SIDE, SIDE}, cells = 1;
    rtl_grid_t grid;
    data_t data;

    for (size_t i = 0; i <= SIDE; i++) {
        axis[i] = -0.3 + 0.1 * (double) i + bend * (double) (i * i);
    }
    for (size_t i = 0; i < STATES * dim; i++) {
        size_t edge = i * 7919 % (SIDE + 1);
        double at = axis[edge], inside = at + 0.1 * sin((double) i);
        const double near[] = {at, nextafter(at, 9.0), nextafter(at, -9.0), at + 1e-8,
            inside, inside, inside, 1e300 * sin((double) i)};
        x[i] = near[i * 104729 / 64 % 8];
    }
    memset(sums, 0, sizeof sums);
    CHECK(rtl_grid_init(&grid, dim, shape, axes, sides, sides) == 0);
    make_data(&data, x, 1, STATES, 1.0, 1, 0);
    data.increments.dim = data.bins.terms.dim = dim;
    data.increments.period = period;
    data.bins.grid = &grid;
    CHECK(rtl_bins_sum(&data.bins, &data.increments, sums, NULL) == 0);
    for (size_t k = 0; k < dim; k++) {
        cells *= SIDE;
    }
    for (size_t i = 0; i + 1 < STATES; i++) {
        size_t cell = 0;
        for (size_t k = 0; k < dim && cell < cells; k++) {
            size_t own = cell_of(axis, SIDE, x[i * dim + k]);
            cell = own == SIDE ? cells : cell + own * grid.stride[k];
        }
        if (cell < cells) {
            expected[cell] += 1.0;
        }
    }
    for (size_t cell = 0; cell < cells; cell++) {
        CHECK(sums[cell * rtl_bins_size(dim, 1, 1, false)] == expected[cell]);
    }
    rtl_grid_free(&grid);
}

static void
test_cells(void)
{
    for (int portable = 0; portable < 2; portable++) {
        rtl_processor_use_portable(portable == 1);
        for (size_t dim = 1; dim <= 3; dim++) {
            check_cells(dim, 0.0);
            check_cells(dim, 0.01);
        }
    }
    rtl_processor_use_portable(false);
}

/* The first poll comes soon, also where a start adds many numbers. */
static void
check_first_poll(size_t n_times, size_t lag)
{
    rtl_monitor_t monitor = {.poll = stop_at_once};
    rtl_grid_t grid;
    data_t data;
    result_t got;
    double *x = rtl_memory_alloc(n_times, sizeof *x);

    CHECK(x != NULL);
    make_grid(&grid, RTL_REFLECTING);
    make_data(&data, x, 1, n_times, 1.0, 1, lag);
    CHECK(estimate(&data, no_period, &grid, &got, &monitor) == RTL_INTERRUPTED);
    size_t size = rtl_bins_size(1, 2, lag, false);
    CHECK(monitor.done * (double) (n_times * size) < 1.8e7);
    rtl_grid_free(&grid);
    rtl_memory_free(x);
}

static int
run(void *monitor)
{
    const double *axes[] = {edges};
    const rtl_boundary_t side = RTL_REFLECTING;
    rtl_grid_t grid;
    data_t data;
    result_t got;
    int status = rtl_grid_init(&grid, 1, (size_t[]) {CELLS}, axes, &side, &side);

    make_data(&data, tracks, PATHS, TIMES, 1.0, 1, 2);
    if (status == 0) {
        status = estimate(&data, no_period, &grid, &got, monitor);
    }
    rtl_grid_free(&grid);
    return status;
}

int
main(void)
{
    rtl_monitor_t monitor = {.poll = stop_at_once};

    check_lags(1, 0);
    check_lags(2, 0);
    check_lags(1, 2);
    check_lags(2, 3);
    check_lags(1, 4);
    test_ring();
    test_uneven_times();
    test_bad_arguments();
    test_parts();
    test_count();
    test_cells();
    check_first_poll(1000000, 128);
    check_first_poll(1000000, 2);
    CHECK(check_every_allocation_failure(run, NULL) == 3);
    CHECK(run(&monitor) == RTL_INTERRUPTED);
    return 0;
}
