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

enum {
    STARTS_A_POLL = 4096,
    MOST_PARTS = 8,
    STARTS_A_PART = 1 << 16,
    SLICE = 1 << 15,
    CHUNK = 256,
    AHEAD = 12 /* starts between asking for sums and adding to them */
};
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
    size_t low = guess < (double) n ? (size_t) guess : n - 1, high = low + 1;
    if (x < edges[low]) {
        high = low;
        low = 0;
    } else if (x >= edges[high]) { /* the last edge is in the last cell */
        low = high < n ? high : n - 1;
        high = n;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (x < edges[middle]) {
            high = middle;
        } else {
            low = middle;
        }
    }
    *index = low;
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

/* Where things are among the sums of a cell, see bins.h. */
typedef struct {
    size_t dim, n_moments, n_lags;
    size_t block; /* numbers a lag */
    size_t reach; /* longest lag, and number of pairs */
    size_t pairs, times;
    size_t size;
} layout_t;

static layout_t
lay_out(size_t dim, size_t n_lags, size_t longest, bool uneven)
{
    layout_t l = {.dim = dim, .n_lags = n_lags, .reach = longest};

    l.n_moments = dim * (dim + 1) / 2;
    l.block = dim + l.n_moments;
    l.pairs = 1 + dim + n_lags * l.block;
    l.times = l.pairs + longest;
    l.size = l.times + (uneven ? 2 * n_lags : 0);
    return l;
}

static layout_t
layout_of(const rtl_bins_t *self)
{
    const rtl_extrapolate_t *terms = &self->terms;

    return lay_out(
        terms->dim, terms->n_lags, terms->lags[terms->n_lags - 1], self->uneven);
}

size_t
rtl_bins_size(size_t dim, size_t n_lags, size_t longest, bool uneven)
{
    return lay_out(dim, n_lags, longest, uneven).size;
}

typedef struct {
    const rtl_bins_t *bins;
    const rtl_increments_t *increments;
    layout_t layout;
    bool plain;                   /* no axis of the paths is periodic, steps are even */
    double per_cell[RTL_MAX_DIM]; /* 1 over the mean width */
    size_t n_starts, n_parts;
    size_t slice; /* which SLICE of each part is worked on */
    double *sums; /* (n_parts, n_cells, size), the first part the caller's */
    double *more; /* that of the other parts; owned */
} job_t;

static int
job_init(job_t *self, const rtl_bins_t *bins, const rtl_increments_t *increments)
{
    const rtl_grid_t *grid = bins->grid;

    *self = (job_t) {.bins = bins, .increments = increments, .layout = layout_of(bins)};
    self->plain = increments->time == NULL;
    for (size_t k = 0; k < grid->dim; k++) {
        size_t n = grid->shape[k];
        self->per_cell[k] = (double) n / (grid->edges[k][n] - grid->edges[k][0]);
        self->plain = self->plain && !(increments->period[k] > 0.0);
    }
    for (size_t s = 0; s < increments->n_segments; s++) {
        self->n_starts += rtl_increments_starts(increments, s);
    }
    double numbers = (double) grid->n_cells * (double) self->layout.size;
    self->n_parts = self->n_starts / STARTS_A_PART + 1;
    self->n_parts = self->n_parts < MOST_PARTS ? self->n_parts : MOST_PARTS;
    while (self->n_parts > 1 && numbers * (double) self->n_parts > most_numbers) {
        self->n_parts--;
    }
    self->more = rtl_memory_alloc(
        grid->n_cells, (self->n_parts - 1) * self->layout.size * sizeof(double));
    return self->more == NULL ? RTL_NO_MEMORY : 0;
}

/* As rtl_bins_find; a guess is nearly always right. */
static inline size_t
find_quickly(const job_t *job, const double *x)
{
    const rtl_grid_t *grid = job->bins->grid;
    size_t cell = 0;

    for (size_t k = 0; k < grid->dim; k++) {
        const double *edges = grid->edges[k];
        double u = (x[k] - edges[0]) * job->per_cell[k];
        if (!(u >= 0.0) || u >= (double) grid->shape[k]) {
            return rtl_bins_find(grid, x);
        }
        size_t i = (size_t) u;
        if (x[k] < edges[i] || x[k] >= edges[i + 1]) {
            return rtl_bins_find(grid, x);
        }
        cell += i * grid->stride[k];
    }
    return cell;
}

/* An increment and its squares; with a constant dim the compiler unrolls it. */
static inline double *
add_increment(size_t dim, double *sums, const double *dx, double scale)
{
    for (size_t j = 0; j < dim; j++) {
        sums[j] += dx[j];
    }
    sums += dim;
    for (size_t j = 0; j < dim; j++) {
        double scaled = scale * dx[j];
        for (size_t i = 0; i <= j; i++) {
            *sums++ += scaled * dx[i];
        }
    }
    return sums;
}

static inline void
add_quartics(size_t dim, double *sums, const double *dx, double scale)
{
    for (size_t j = 0; j < dim; j++) {
        double square = scale * dx[j] * dx[j];
        sums[j] += square * square;
    }
}

void
rtl_bins_add(size_t dim, size_t n_lags, double *sums, const double *dx)
{
    double *block = sums + 1 + dim;

    sums[0] += 1.0;
    add_quartics(dim, sums + 1, dx, 1.0);
    for (size_t lag = 0; lag < n_lags; lag++) {
        block = add_increment(dim, block, dx + lag * dim, 1.0);
    }
}

/* A start of a plain job. */
static inline void
add_plain(const job_t *job, size_t dim, double *sums, const double *x)
{
    double dx[RTL_INCREMENTS_DIM], *block = sums + 1 + dim;

    sums[0] += 1.0;
    for (size_t lag = 0; lag < job->layout.n_lags; lag++) {
        const double *later = x + job->increments->lags[lag] * dim;
        for (size_t j = 0; j < dim; j++) {
            dx[j] = later[j] - x[j];
        }
        if (lag == 0) {
            add_quartics(dim, sums + 1, dx, 1.0);
        }
        block = add_increment(dim, block, dx, 1.0);
    }
}

static void
add_any(const job_t *job, double *sums, size_t state)
{
    const rtl_increments_t *increments = job->increments;
    double dx[RTL_INCREMENTS_LAGS * RTL_INCREMENTS_DIM], tau[RTL_INCREMENTS_LAGS];
    double *block = sums + 1 + job->layout.dim;
    size_t dim = job->layout.dim;

    rtl_increments_take(increments, state, dx, tau);
    sums[0] += 1.0;
    for (size_t lag = 0; lag < job->layout.n_lags; lag++) {
        double nominal = (double) increments->lags[lag] * increments->dt;
        bool scaled = job->bins->scaled && job->bins->uneven;
        double scale = scaled ? nominal / tau[lag] : 1.0;
        if (lag == 0) {
            add_quartics(dim, sums + 1, dx, scale);
        }
        block = add_increment(dim, block, dx + lag * dim, scale);
        if (job->bins->uneven) {
            sums[job->layout.times + 2 * lag] += tau[lag];
            sums[job->layout.times + 2 * lag + 1] += scale * tau[lag];
        }
    }
}

static void
add_start(const job_t *job, double *sums, size_t state)
{
    const double *x = job->increments->x + state * job->layout.dim;

    if (!job->plain) {
        add_any(job, sums, state);
        return;
    }
    switch (job->layout.dim) {
    case 1:
        add_plain(job, 1, sums, x);
        return;
    case 2:
        add_plain(job, 2, sums, x);
        return;
    case 3:
        add_plain(job, 3, sums, x);
        return;
    default:
        add_plain(job, job->layout.dim, sums, x);
    }
}

/* Sums in many cells lie beyond the second-level cache. */
static inline void
prefetch(const double *sums)
{
#ifdef __GNUC__
    __builtin_prefetch(sums, 1);
    __builtin_prefetch(sums + 8, 1);
#else
    (void) sums;
#endif
}

/* Starts from .. to-1 of a segment. `cell` holds the cells of a chunk and of the
 * `reach` starts before it. */
static void
scan(const job_t *job, double *sums, size_t segment, size_t from, size_t to)
{
    const rtl_increments_t *increments = job->increments;
    size_t begin = (size_t) increments->begin[segment], dim = increments->dim;
    size_t reach = job->layout.reach, n_cells = job->bins->grid->n_cells;
    size_t cell[RTL_INCREMENTS_LONGEST + CHUNK + AHEAD] = {0};

    for (size_t first = from; first < to; first += CHUNK) {
        size_t before = first < reach ? first : reach;
        size_t last = first + CHUNK < to ? first + CHUNK : to;
        const double *x = increments->x + (begin + first - before) * dim;
        for (size_t i = 0; i < last - first + before; i++) {
            cell[i] = find_quickly(job, x + i * dim);
        }
        for (size_t i = before; i < last - first + before; i++) {
            if (cell[i + AHEAD] < n_cells) {
                prefetch(sums + cell[i + AHEAD] * job->layout.size);
            }
            if (cell[i] == n_cells) {
                continue;
            }
            double *own = sums + cell[i] * job->layout.size;
            add_start(job, own, begin + first + i - before);
            size_t most = first + i - before < reach ? first + i - before : reach;
            for (size_t k = 0; k < most; k++) {
                own[job->layout.pairs + k] += cell[i - k - 1] == cell[i] ? 1.0 : 0.0;
            }
        }
    }
}

/* The sums of a part. */
static double *
sums_of(const job_t *job, size_t part)
{
    return part == 0
               ? job->sums
               : job->more + (part - 1) * job->bins->grid->n_cells * job->layout.size;
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

    for (size_t s = 0; s < increments->n_segments && before < last; s++) {
        size_t n = rtl_increments_starts(increments, s);
        size_t from = first > before ? first - before : 0;
        size_t to = last - before < n ? last - before : n;
        if (from < to) {
            scan(job, sums_of(job, number), s, from, to);
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

int
rtl_bins_sum(const rtl_bins_t *self, const rtl_increments_t *increments, double *sums,
    rtl_monitor_t *monitor)
{
    job_t job;

    if (!rtl_increments_good(increments) || self->grid->dim != increments->dim ||
        self->terms.dim != increments->dim || self->terms.n_terms < 1 ||
        self->uneven != (increments->time != NULL)) {
        return RTL_BAD_ARGUMENT;
    }
    int status = job_init(&job, self, increments);
    if (status == 0) {
        job.sums = sums;
        status = run(&job, monitor);
    }
    for (size_t part = 1; status == 0 && part < job.n_parts; part++) {
        const double *from = sums_of(&job, part);
        for (size_t i = 0; i < self->grid->n_cells * job.layout.size; i++) {
            sums[i] += from[i];
        }
    }
    rtl_memory_free(job.more);
    return status;
}

/* --- from sums to estimates ------------------------------------------------------- */

static void
fill_place(const rtl_bins_t *self, const layout_t *layout, const double *sums,
    rtl_extrapolate_place_t *place)
{
    const double *block = sums + 1 + layout->dim;
    double n = sums[0];

    memset(place, 0, sizeof *place);
    place->share = place->centre = 1.0 / n;
    place->unequal = 1.0;
    for (size_t lag = 0; lag < layout->n_lags; lag++, block += layout->block) {
        const double *times = sums + layout->times + 2 * lag;
        double nominal = (double) self->terms.lags[lag] * self->dt;
        place->time[lag] = self->uneven ? times[0] / n : nominal;
        place->weight[lag] = self->uneven ? times[1] / n : nominal;
        for (size_t k = 0; k < layout->dim; k++) {
            place->increment[lag][k] = block[k] / n;
        }
        for (size_t k = 0; k < layout->n_moments; k++) {
            place->square[lag][k] = block[layout->dim + k] / n;
        }
    }
    for (size_t k = 0; k < layout->dim; k++) {
        place->quartic[k] = sums[1 + k] / n;
    }
    place->rho[0] = 1.0;
    for (size_t k = 1; k <= layout->reach; k++) {
        place->rho[k] = sums[layout->pairs + k - 1] / n;
    }
}

static void
conclude_cell(const rtl_bins_t *self, const layout_t *layout, const double *sums,
    size_t cell, const rtl_bins_out_t *out)
{
    const rtl_extrapolate_t *terms = &self->terms;
    size_t d = terms->dim;
    double *covariance = out->covariance + cell * d * d, *drift = out->drift + cell * d;
    rtl_extrapolate_place_t place;

    out->count[cell] = sums[0];
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
    fill_place(self, layout, sums, &place);
    rtl_extrapolate_covariance(terms, &place, covariance, drift);
    rtl_extrapolate_out_t got = rtl_extrapolate_conclude(terms, &place, NULL);
    out->n_eff[cell] = got.n_eff;
    out->kurtosis[cell] = got.kurtosis;
    if (out->count[cell] > (double) d) {
        out->rattling[cell] = got.rattling;
        out->error[cell] = hypot(got.error, got.remainder);
    }
}

int
rtl_bins_conclude(const rtl_bins_t *self, const double *sums, const rtl_bins_out_t *out,
    rtl_monitor_t *monitor)
{
    layout_t layout = layout_of(self);
    size_t n = self->grid->n_cells;
    int status = 0;

    for (size_t cell = 0; status == 0 && cell < n; cell++) {
        conclude_cell(self, &layout, sums + cell * layout.size, cell, out);
        status = rtl_monitor_poll(monitor, (double) cell / (double) n);
    }
    return status;
}
