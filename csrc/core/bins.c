/* SPDX-License-Identifier: MIT */
/* Increments over l states that start at each state overlap. Two that start s states
 * apart have correlation rho_s = (l - s)/l if their noise is white, so N of them, m_s
 * pairs of which are s apart, have a centred sum of squares with expectation (N - v) C,
 * v = 1 + 2/N sum_s rho_s m_s, and are worth N / q, q = 1 + 2/N sum_s rho_s^2 m_s, as
 * far as the scatter of S goes. For l = 1: v = q = 1. */
#include "bins.h"

#include <math.h>
#include <string.h>

#include "memory.h"

enum { STARTS_A_POLL = 4096 };

/* --- sums ------------------------------------------------------------------------- */

/* What is collected of a cell: two numbers a lag and axis. The moments' order is 00,
 * 10, 11, 20, ... */
typedef struct {
    const rtl_bins_paths_t *paths;
    const rtl_grid_t *grid;
    size_t dim, n_moments, longest; /* longest lag */
    double *count;                  /* (n_cells,) */
    double *pairs;  /* (n_cells, longest): starts that are s + 1 apart in a path */
    double *mean;   /* (n_cells, n_lags, dim): sum of increments, then their mean */
    double *moment; /* (n_cells, n_lags, n_moments) centred squares */
} bins_t;

static void
bins_free(bins_t *self)
{
    rtl_memory_free(self->count);
    rtl_memory_free(self->pairs);
    rtl_memory_free(self->mean);
    rtl_memory_free(self->moment);
}

bool
rtl_bins_paths_are_good(const rtl_bins_paths_t *self)
{
    size_t n = self->n_lags;

    return self->dt > 0.0 && (n == 1 || n == 2) && self->lags[0] >= 1 &&
           (n == 1 || self->lags[1] > self->lags[0]) &&
           self->lags[n - 1] <= RTL_BINS_MAX_LAG;
}

static int
bins_init(bins_t *self, const rtl_bins_paths_t *paths, const rtl_grid_t *grid)
{
    size_t cells = grid->n_cells, lags = paths->n_lags, dim = paths->dim;

    memset(self, 0, sizeof *self);
    if (dim != grid->dim || !rtl_bins_paths_are_good(paths)) {
        return RTL_BAD_ARGUMENT;
    }
    self->paths = paths;
    self->grid = grid;
    self->dim = dim;
    self->n_moments = dim * (dim + 1) / 2;
    self->longest = paths->lags[lags - 1];
    self->count = rtl_memory_alloc(cells, sizeof(double));
    self->pairs = rtl_memory_alloc(cells, self->longest * sizeof(double));
    self->mean = rtl_memory_alloc(cells, lags * dim * sizeof(double));
    self->moment = rtl_memory_alloc(cells, lags * self->n_moments * sizeof(double));
    if (self->count == NULL || self->pairs == NULL || self->mean == NULL ||
        self->moment == NULL) {
        bins_free(self);
        return RTL_NO_MEMORY;
    }
    return 0;
}

/* Index along one axis; false outside. The guess is right for equal cells. */
static bool
find_index(const rtl_grid_t *grid, size_t axis, double x, size_t *index)
{
    const double *edges = grid->edges[axis];
    size_t n = grid->shape[axis];
    double lower = edges[0], length = edges[n] - lower;

    if (grid->lower[axis] == RTL_PERIODIC) {
        x -= length * floor((x - lower) / length);
        x = x < lower ? lower : x >= edges[n] ? lower : x;
    }
    if (!(x >= lower && x <= edges[n])) {
        return false;
    }
    double guess = (x - lower) / length * (double) n;
    size_t i = guess < (double) n ? (size_t) guess : n - 1;
    while (x < edges[i]) {
        i--;
    }
    while (i + 1 < n && x >= edges[i + 1]) {
        i++;
    }
    *index = i;
    return true;
}

/* Number of the cell of a point, or n_cells. */
static size_t
find_cell(const rtl_grid_t *grid, const double *x)
{
    size_t cell = 0, index = 0;

    for (size_t k = 0; k < grid->dim; k++) {
        if (!find_index(grid, k, x[k], &index)) {
            return grid->n_cells;
        }
        cell += index * grid->stride[k];
    }
    return cell;
}

void
rtl_bins_increments(const rtl_bins_paths_t *self, const double *x, double *increments)
{
    for (size_t k = 0; k < self->dim; k++) {
        double period = self->period[k], sum = 0.0;
        size_t from = 0;
        for (size_t lag = 0; lag < self->n_lags; lag++) {
            size_t to = self->lags[lag];
            if (period > 0.0) {
                for (size_t s = from; s < to; s++) {
                    double dx = x[(s + 1) * self->dim + k] - x[s * self->dim + k];
                    sum += dx - period * rint(dx / period);
                }
                from = to;
            } else {
                sum = x[to * self->dim + k] - x[k];
            }
            increments[lag * self->dim + k] = sum;
        }
    }
}

typedef void (*visit_fn)(bins_t *bins, size_t cell, const double *increments);

static void
add_mean(bins_t *bins, size_t cell, const double *increments)
{
    size_t size = bins->paths->n_lags * bins->dim;

    bins->count[cell] += 1.0;
    for (size_t i = 0; i < size; i++) {
        bins->mean[cell * size + i] += increments[i];
    }
}

static void
add_moment(bins_t *bins, size_t cell, const double *increments)
{
    size_t n_lags = bins->paths->n_lags, dim = bins->dim;
    const double *mean = bins->mean + cell * n_lags * dim;
    double *moment = bins->moment + cell * n_lags * bins->n_moments;

    for (size_t lag = 0; lag < n_lags; lag++, mean += dim, increments += dim) {
        for (size_t j = 0; j < dim; j++) {
            for (size_t i = 0; i <= j; i++) {
                *moment++ += (increments[j] - mean[j]) * (increments[i] - mean[i]);
            }
        }
    }
}

/* One pass over all starts. */
typedef struct {
    visit_fn visit;
    bool pairs;    /* count them */
    double before; /* share of the work done before */
    rtl_monitor_t *monitor;
} pass_t;

/* Starts that are at most `longest` apart and in the same cell. `recent` holds the
 * cells of the last starts, round and round. */
static void
count_pairs(bins_t *bins, const size_t *recent, size_t t, size_t cell)
{
    double *pairs = bins->pairs + cell * bins->longest;

    for (size_t s = 0; s < bins->longest && s < t; s++) {
        pairs[s] += recent[(t - s - 1) % bins->longest] == cell ? 1.0 : 0.0;
    }
}

static int
scan_path(bins_t *bins, size_t path, size_t n_starts, const pass_t *pass)
{
    const rtl_bins_paths_t *paths = bins->paths;
    const double *x = paths->x + path * paths->n_times * paths->dim;
    size_t recent[RTL_BINS_MAX_LAG];
    double increments[2 * RTL_MAX_DIM];

    for (size_t t = 0; t < n_starts; t++, x += paths->dim) {
        size_t cell = find_cell(bins->grid, x);
        if (cell < bins->grid->n_cells) {
            rtl_bins_increments(paths, x, increments);
            pass->visit(bins, cell, increments);
            if (pass->pairs) {
                count_pairs(bins, recent, t, cell);
            }
        }
        recent[t % bins->longest] = cell;
        if (t % STARTS_A_POLL == STARTS_A_POLL - 1 || t + 1 == n_starts) {
            double done = (double) path + (double) (t + 1) / (double) n_starts;
            int status = rtl_monitor_poll(
                pass->monitor, pass->before + 0.5 * done / (double) paths->n_paths);
            if (status != 0) {
                return status;
            }
        }
    }
    return 0;
}

static int
scan(bins_t *bins, const pass_t *pass)
{
    const rtl_bins_paths_t *paths = bins->paths;
    int status = 0;

    if (paths->n_times > bins->longest) {
        for (size_t p = 0; status == 0 && p < paths->n_paths; p++) {
            status = scan_path(bins, p, paths->n_times - bins->longest, pass);
        }
    }
    return status;
}

/* --- from sums to estimates ------------------------------------------------------- */

/* What one lag says of a cell. */
typedef struct {
    double expected; /* of the centred sum of squares, in units of C: N - v */
    double n_eff;    /* N / q */
    double dof;      /* (N - v) / q */
    double half_log_det, variance; /* of C per unit time, bias removed */
} lag_t;

static double
overlap(double length, size_t shift)
{
    return length > (double) shift ? (length - (double) shift) / length : 0.0;
}

static lag_t
weigh_lag(const bins_t *bins, size_t cell, size_t lag)
{
    double n = bins->count[cell], v = 1.0, q = 1.0;
    double length = (double) bins->paths->lags[lag];
    lag_t out = {.half_log_det = NAN, .variance = NAN};

    for (size_t s = 0; n > 0.0 && s < bins->longest; s++) {
        double rho = overlap(length, s + 1);
        double pairs = bins->pairs[cell * bins->longest + s];
        v += 2.0 * rho * pairs / n;
        q += 2.0 * rho * rho * pairs / n;
    }
    out.expected = n - v;
    out.n_eff = n / q;
    out.dof = (n - v) / q;
    return out;
}

/* C of a cell per unit time, (dim, dim). */
static void
fill_covariance(const bins_t *bins, size_t cell, size_t lag, double expected, double *c)
{
    size_t dim = bins->dim, n_lags = bins->paths->n_lags;
    const double *moment = bins->moment + (cell * n_lags + lag) * bins->n_moments;
    double time = (double) bins->paths->lags[lag] * bins->paths->dt;
    double scale = expected > 0.0 ? 1.0 / (expected * time) : NAN;

    for (size_t j = 0; j < dim; j++) {
        for (size_t i = 0; i <= j; i++) {
            c[j * dim + i] = c[i * dim + j] = *moment++ * scale;
        }
    }
}

static lag_t
estimate_lag(const bins_t *bins, size_t cell, size_t lag)
{
    size_t dim = bins->dim;
    double c[RTL_MAX_DIM * RTL_MAX_DIM], work[RTL_MAX_DIM * RTL_MAX_DIM], bias;
    lag_t out = weigh_lag(bins, cell, lag);

    if (bins->count[cell] <= (double) dim || out.dof < (double) dim) {
        return out;
    }
    fill_covariance(bins, cell, lag, out.expected, c);
    double log_det = rtl_estimate_log_det(dim, c, work);
    if (isfinite(log_det)) {
        rtl_estimate_log_det_law(dim, out.dof, &bias, &out.variance);
        out.half_log_det = 0.5 * log_det - bias;
    }
    return out;
}

/* Correlation of the log dets at the two lags: increments over l1 and l2 states have a
 * squared correlation of (states in common)^2 / (l1 l2). */
static double
correlate_lags(const bins_t *bins, size_t cell, const lag_t lags[2])
{
    double n = bins->count[cell], sum = 0.0;
    size_t l1 = bins->paths->lags[0], l2 = bins->paths->lags[1];

    for (size_t s = 0; s < l2; s++) { /* the longer starts s before the shorter */
        size_t common = s + l1 <= l2 ? l1 : l2 - s;
        double pairs = s == 0 ? n : bins->pairs[cell * bins->longest + s - 1];
        sum += pairs * (double) (common * common);
    }
    for (size_t s = 1; s < l1; s++) { /* s after it */
        double pairs = bins->pairs[cell * bins->longest + s - 1];
        sum += pairs * (double) ((l1 - s) * (l1 - s));
    }
    double both = sum / ((double) (l1 * l2) * n * n);
    double rho = both * sqrt(lags[0].dof * lags[1].dof);
    return rho < 1.0 ? rho : 1.0;
}

static void
finish_cell(const bins_t *bins, size_t cell, const rtl_bins_out_t *out)
{
    size_t dim = bins->dim, n_lags = bins->paths->n_lags;
    double n = bins->count[cell];
    double time = (double) bins->paths->lags[0] * bins->paths->dt;
    lag_t lags[2] = {{0}};

    for (size_t lag = 0; lag < n_lags; lag++) {
        lags[lag] = estimate_lag(bins, cell, lag);
    }
    out->n_eff[cell] = lags[0].n_eff;
    out->count[cell] = n;
    fill_covariance(
        bins, cell, 0, lags[0].expected, out->covariance + cell * dim * dim);
    for (size_t k = 0; k < dim; k++) {
        double mean = bins->mean[cell * n_lags * dim + k];
        out->drift[cell * dim + k] = n > 0.0 ? mean / time : NAN;
    }
    double r = lags[0].half_log_det, variance = lags[0].variance;
    if (n_lags == 2) {
        double l1 = (double) bins->paths->lags[0], l2 = (double) bins->paths->lags[1];
        double a = l2 / (l2 - l1), b = -l1 / (l2 - l1);
        double both = sqrt(lags[0].variance * lags[1].variance);
        r = a * r + b * lags[1].half_log_det;
        variance = a * a * lags[0].variance + b * b * lags[1].variance +
                   2.0 * a * b * both * correlate_lags(bins, cell, lags);
    }
    out->rattling[cell] = r;
    out->error[cell] = isnan(r) ? NAN : sqrt(variance);
}

int
rtl_bins_estimate(const rtl_bins_paths_t *self, const rtl_grid_t *grid,
    const rtl_bins_out_t *out, rtl_monitor_t *monitor)
{
    bins_t bins;
    int status = bins_init(&bins, self, grid);

    if (status != 0) {
        return status;
    }
    status = scan(&bins, &(pass_t) {add_mean, true, 0.0, monitor});
    if (status != 0) {
        goto out;
    }
    size_t size = self->n_lags * self->dim;
    for (size_t i = 0; i < grid->n_cells * size; i++) {
        double n = bins.count[i / size];
        bins.mean[i] /= n > 0.0 ? n : 1.0;
    }
    status = scan(&bins, &(pass_t) {add_moment, false, 0.5, monitor});
    if (status != 0) {
        goto out;
    }
    for (size_t cell = 0; cell < grid->n_cells; cell++) {
        finish_cell(&bins, cell, out);
    }
out:
    bins_free(&bins);
    return status;
}
