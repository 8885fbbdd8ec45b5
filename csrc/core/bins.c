/* SPDX-License-Identifier: MIT */
/* The starts are dealt to a few parts, whose number depends on the data alone; each has
 * sums of its own, which are added in order. In a cell all increments have the same
 * weight, 1/N; of the pairs that start k states apart both are in it in a share rho_k.
 */
#include "bins.h"

#include <math.h>
#include <string.h>

#include "memory.h"
#include "parallel.h"

enum { STARTS_A_POLL = 4096, MOST_PARTS = 8, STARTS_A_PART = 1 << 16, SLICE = 1 << 14 };
static const double most_numbers = 3.0e7; /* in the sums of all parts */

/* --- where a point is ------------------------------------------------------------- */

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

size_t
rtl_bins_find(const rtl_grid_t *grid, const double *x)
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

int
rtl_bins_count(const rtl_grid_t *grid, const double *x, size_t n, double *count,
    rtl_monitor_t *monitor)
{
    for (size_t i = 0; i < n; i++) {
        size_t cell = rtl_bins_find(grid, x + i * grid->dim);
        if (cell < grid->n_cells) {
            count[cell] += 1.0;
        }
        if (i % STARTS_A_POLL == 0) {
            int status = rtl_monitor_poll(monitor, (double) i / (double) n);
            if (status != 0) {
                return status;
            }
        }
    }
    return 0;
}

/* --- sums ------------------------------------------------------------------------- */

typedef struct {
    const rtl_bins_t *bins;
    const rtl_increments_t *increments;
    rtl_cells_t layout; /* of the sums of a cell; its own `sums` are not used */
    size_t longest;     /* lag */
    size_t size;        /* numbers a cell: the layout's, then pairs 1 .. longest */
    size_t n_starts, n_parts;
    size_t slice; /* which SLICE of each part is worked on */
    double *sums; /* (n_parts, n_cells, size) */
} job_t;

static size_t
count_starts(const rtl_increments_t *increments)
{
    size_t n = 0;

    for (size_t s = 0; s < increments->n_segments; s++) {
        n += rtl_increments_starts(increments, s);
    }
    return n;
}

size_t
rtl_bins_size(size_t dim, size_t n_lags, size_t longest)
{
    const rtl_cells_t layout = {.dim = dim, .n_moments = dim * (dim + 1) / 2};

    return rtl_cells_block(&layout, n_lags) + longest;
}

/* What the terms alone determine. */
static job_t
job_of(const rtl_bins_t *bins)
{
    const rtl_extrapolate_t *terms = &bins->terms;
    job_t self = {.bins = bins};

    self.layout.dim = terms->dim;
    self.layout.n_lags = terms->n_lags;
    self.layout.n_moments = terms->dim * (terms->dim + 1) / 2;
    self.longest = terms->lags[terms->n_lags - 1];
    self.size = rtl_bins_size(terms->dim, terms->n_lags, self.longest);
    return self;
}

static int
job_init(job_t *self, const rtl_bins_t *bins, const rtl_increments_t *increments)
{
    size_t n_cells = bins->grid->n_cells;

    *self = job_of(bins);
    self->increments = increments;
    double numbers = (double) n_cells * (double) self->size;
    self->n_starts = count_starts(increments);
    self->n_parts = self->n_starts / STARTS_A_PART + 1;
    while (self->n_parts > MOST_PARTS ||
           (self->n_parts > 1 && numbers * (double) self->n_parts > most_numbers)) {
        self->n_parts = self->n_parts > MOST_PARTS ? MOST_PARTS : self->n_parts - 1;
    }
    self->sums = rtl_memory_alloc(n_cells, self->n_parts * self->size * sizeof(double));
    return self->sums == NULL ? RTL_NO_MEMORY : 0;
}

/* Starts at most `longest` before this one, in the same cell. `recent` holds the cells
 * of the last starts of the segment, round and round. */
static void
add_pairs(const job_t *job, double *pairs, const size_t *recent, size_t t, size_t cell)
{
    for (size_t k = 0; k < job->longest && k < t; k++) {
        pairs[k] += recent[(t - k - 1) % job->longest] == cell ? 1.0 : 0.0;
    }
}

static void
add_start(const job_t *job, double *sums, size_t state)
{
    const rtl_increments_t *increments = job->increments;
    size_t dim = increments->dim;
    double dx[RTL_INCREMENTS_LAGS * RTL_INCREMENTS_DIM], tau[RTL_INCREMENTS_LAGS];
    bool scaled = job->bins->scaled && increments->time != NULL;

    rtl_increments_take(increments, state, dx, tau);
    sums[RTL_CELLS_COUNT] += 1.0;
    for (size_t lag = 0; lag < increments->n_lags; lag++) {
        double nominal = (double) increments->lags[lag] * increments->dt;
        rtl_cells_add(&job->layout, sums + rtl_cells_block(&job->layout, lag),
            dx + lag * dim, tau[lag], scaled ? nominal / tau[lag] : 1.0);
    }
}

/* Starts from .. to-1 of a segment. */
static void
scan(const job_t *job, double *sums, size_t segment, size_t from, size_t to)
{
    const rtl_increments_t *increments = job->increments;
    const rtl_grid_t *grid = job->bins->grid;
    size_t recent[RTL_INCREMENTS_LONGEST], begin = (size_t) increments->begin[segment];
    size_t pairs = job->size - job->longest;

    for (size_t t = from > job->longest ? from - job->longest : 0; t < to; t++) {
        size_t cell = rtl_bins_find(grid, increments->x + (begin + t) * grid->dim);
        if (t >= from && cell < grid->n_cells) {
            add_start(job, sums + cell * job->size, begin + t);
            add_pairs(job, sums + cell * job->size + pairs, recent, t, cell);
        }
        recent[t % job->longest] = cell;
    }
}

/* A slice of the starts of a part. */
static int
part_task(void *data, size_t number)
{
    const job_t *job = data;
    const rtl_increments_t *increments = job->increments;
    size_t each = job->n_starts / job->n_parts, before = 0;
    size_t end = number + 1 == job->n_parts ? job->n_starts : each * (number + 1);
    size_t first = each * number + job->slice * SLICE;
    size_t last = first + SLICE < end ? first + SLICE : end;
    double *sums = job->sums + number * job->bins->grid->n_cells * job->size;

    for (size_t s = 0; s < increments->n_segments && before < last; s++) {
        size_t n = rtl_increments_starts(increments, s);
        size_t from = first > before ? first - before : 0;
        size_t to = last - before < n ? last - before : n;
        if (from < to) {
            scan(job, sums, s, from, to);
        }
        before += n;
    }
    return 0;
}

/* All starts, slice by slice so that the monitor is asked in between. */
static int
run(job_t *self, rtl_monitor_t *monitor)
{
    size_t each = self->n_starts / self->n_parts + self->n_parts;
    size_t n_slices = each / SLICE + 1;
    int status = 0;

    for (self->slice = 0; status == 0 && self->slice < n_slices; self->slice++) {
        status = rtl_parallel_run(
            part_task, self, self->n_parts, self->bins->n_threads, NULL);
        if (status == 0) {
            double done = (double) (self->slice + 1) / (double) n_slices;
            status = rtl_monitor_poll(monitor, done);
        }
    }
    return status;
}

/* --- from sums to estimates ------------------------------------------------------- */

static void
fill_place(const job_t *job, const double *sums, rtl_extrapolate_place_t *place)
{
    const rtl_cells_t *layout = &job->layout;
    double n = sums[RTL_CELLS_COUNT];

    memset(place, 0, sizeof *place);
    place->share = place->centre = 1.0 / n;
    place->unequal = 1.0;
    for (size_t lag = 0; lag < layout->n_lags; lag++) {
        const double *block = sums + rtl_cells_block(layout, lag);
        place->time[lag] = block[RTL_CELLS_TIME] / n;
        place->weight[lag] = block[RTL_CELLS_WEIGHT] / n;
        for (size_t k = 0; k < layout->dim; k++) {
            place->increment[lag][k] = block[RTL_CELLS_INCREMENT + k] / n;
        }
        for (size_t k = 0; k < layout->n_moments; k++) {
            place->square[lag][k] = block[rtl_cells_squares(layout) + k] / n;
        }
    }
    const double *first = sums + rtl_cells_block(layout, 0);
    for (size_t k = 0; k < layout->dim; k++) {
        place->quartic[k] = first[rtl_cells_quartics(layout) + k] / n;
    }
    place->rho[0] = 1.0;
    for (size_t k = 1; k <= job->longest; k++) {
        place->rho[k] = sums[job->size - job->longest + k - 1] / n;
    }
}

static void
finish_cell(
    const job_t *job, const double *sums, size_t cell, const rtl_bins_out_t *out)
{
    const rtl_extrapolate_t *terms = &job->bins->terms;
    size_t d = terms->dim;
    double *covariance = out->covariance + cell * d * d, *drift = out->drift + cell * d;
    rtl_extrapolate_place_t place;

    out->count[cell] = sums[RTL_CELLS_COUNT];
    out->rattling[cell] = out->error[cell] = out->kurtosis[cell] = NAN;
    out->n_eff[cell] = 0.0;
    if (!(out->count[cell] > 0.0)) {
        for (size_t k = 0; k < d; k++) {
            drift[k] = NAN;
        }
        for (size_t k = 0; k < d * d; k++) {
            covariance[k] = NAN;
        }
        return;
    }
    fill_place(job, sums, &place);
    rtl_extrapolate_covariance(terms, &place, covariance, drift);
    rtl_extrapolate_out_t got = rtl_extrapolate_conclude(terms, &place, NULL);
    out->n_eff[cell] = got.n_eff;
    out->kurtosis[cell] = got.kurtosis;
    if (out->count[cell] > (double) d) {
        out->rattling[cell] = got.rattling;
        out->error[cell] = hypot(got.error, got.remainder);
    }
}

void
rtl_bins_conclude(const rtl_bins_t *self, const double *sums, const rtl_bins_out_t *out)
{
    const job_t job = job_of(self);

    for (size_t cell = 0; cell < self->grid->n_cells; cell++) {
        finish_cell(&job, sums + cell * job.size, cell, out);
    }
}

int
rtl_bins_estimate(const rtl_bins_t *self, const rtl_increments_t *increments,
    const rtl_bins_out_t *out, rtl_monitor_t *monitor)
{
    job_t job;
    size_t n_cells = self->grid->n_cells;

    if (!rtl_increments_good(increments) || self->grid->dim != increments->dim ||
        self->terms.dim != increments->dim || self->terms.n_terms < 1) {
        return RTL_BAD_ARGUMENT;
    }
    int status = job_init(&job, self, increments);
    if (status != 0) {
        return status;
    }
    status = run(&job, monitor);
    for (size_t part = 1; status == 0 && part < job.n_parts; part++) {
        const double *from = job.sums + part * n_cells * job.size;
        for (size_t i = 0; i < n_cells * job.size; i++) {
            job.sums[i] += from[i];
        }
    }
    if (status == 0) {
        rtl_bins_conclude(self, job.sums, out);
    }
    rtl_memory_free(job.sums);
    return status;
}
