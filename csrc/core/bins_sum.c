/* SPDX-License-Identifier: MIT */
/* The starts are dealt to a few parts, whose number depends on the data alone; each has
 * sums of its own, which are added in order. Cells are found for a chunk of starts at
 * once, without a look at the edges where cells are equal and a start is not beside
 * one; the sums of a cell begin on a line of the cache, or half one. */
#include <math.h>
#include <string.h>

#include "bins_layout.h"
#include "memory.h"
#include "parallel.h"
#include "processor.h"

enum {
    MOST_PARTS = 8,
    STARTS_A_PART = 1 << 16,
    SLICE = 1 << 18, /* long: each part's sums have to come back to the cache */
    NUMBERS_A_SLICE = 1 << 24, /* that are added to: with long lags it is shorter */
    CHUNK = 256,
    AHEAD = 12,   /* starts between asking for sums and adding to them */
    LINE = 8,     /* numbers in a line of the cache */
    TOGETHER = 12 /* numbers looked at together: states in 1, 2, 3, 4 or 6 dimensions */
};
static const double most_numbers = 3.0e7;         /* in the sums of all parts */
static const double blur = 1.0e-7;                /* of an edge, in cells */
static const double nearest = 6755399441055744.0; /* 1.5 2^52: a sum has no fraction */

typedef struct {
    const rtl_bins_t *bins;
    const rtl_increments_t *increments;
    rtl_bins_layout_t layout;
    bool plain;   /* no axis of the paths is periodic, steps are even */
    bool regular; /* all axes have equal cells, and TOGETHER is a multiple of dim */
    double low[RTL_MAX_DIM], per_cell[RTL_MAX_DIM]; /* first edge; 1 over the width */
    size_t n_starts, n_parts;
    size_t length; /* starts of a slice */
    size_t slice;  /* which slice of each part is worked on */
    size_t stride; /* numbers between cells of a part */
    double *parts; /* (n_parts, n_cells, stride), on a line of the cache */
    double *owned;
} job_t;

/* Whether the edges of an axis are within `blur` of what equal cells have. */
static bool
is_regular(const double *edges, size_t n, double per_cell)
{
    bool regular = true;

    for (size_t i = 0; i <= n; i++) {
        regular = regular && fabs((edges[i] - edges[0]) * per_cell - (double) i) < blur;
    }
    return regular;
}

/* Room for the sums of all parts. */
static int
job_alloc(job_t *self)
{
    size_t n_cells = self->bins->grid->n_cells;
    double numbers = (double) n_cells * (double) self->stride;

    self->n_parts = self->n_starts / STARTS_A_PART + 1;
    self->n_parts = self->n_parts < MOST_PARTS ? self->n_parts : MOST_PARTS;
    while (self->n_parts > 1 && numbers * (double) self->n_parts > most_numbers) {
        self->n_parts--;
    }
    self->owned = rtl_memory_alloc(/* a line more at least */
        n_cells + 2, self->n_parts * self->stride * sizeof(double));
    if (self->owned == NULL) {
        return RTL_NO_MEMORY;
    }
    size_t beyond = (uintptr_t) self->owned / sizeof(double) % LINE;
    self->parts = self->owned + (beyond == 0 ? 0 : LINE - beyond);
    return 0;
}

static int
job_init(job_t *self, const rtl_bins_t *bins, const rtl_increments_t *increments)
{
    const rtl_grid_t *grid = bins->grid;

    *self = (job_t) {
        .bins = bins, .increments = increments, .layout = rtl_bins_layout_of(bins)};
    self->plain = increments->time == NULL;
    self->regular = TOGETHER % grid->dim == 0;
    for (size_t k = 0; k < grid->dim; k++) {
        const double *edges = grid->edges[k];
        size_t n = grid->shape[k];
        self->low[k] = edges[0];
        self->per_cell[k] = (double) n / (edges[n] - edges[0]);
        self->regular = self->regular && is_regular(edges, n, self->per_cell[k]);
        self->plain = self->plain && !(increments->period[k] > 0.0);
    }
    for (size_t s = 0; s < increments->n_segments; s++) {
        self->n_starts += rtl_increments_starts(increments, s);
    }
    self->stride = (self->layout.size + LINE / 2 - 1) / (LINE / 2) * (LINE / 2);
    return job_alloc(self);
}

typedef struct {
    double low[TOGETHER], per_cell[TOGETHER];
    double middle[TOGETHER]; /* index of the cell amid, or one half more */
    double stride[TOGETHER];
} lanes_t;

/* What each number adds to the number of a cell, or `doubt` near an edge and outside.
 */
RTL_PROCESSOR_INLINE void
place(const lanes_t *lanes, const double *x, double *part)
{
    for (size_t j = 0; j < TOGETHER; j++) {
        double u = (x[j] - lanes->low[j]) * lanes->per_cell[j] - 0.5;
        double whole = (u + nearest) - nearest;
        double near = fabs(u - whole) - (0.5 - 2.0 * blur);
        double out = fabs(whole - lanes->middle[j]) - lanes->middle[j];
        double doubt = (near + fabs(near)) + (out + fabs(out)); /* 0 or positive */
        part[j] = whole * lanes->stride[j] + doubt * 1.0e30;
    }
}

RTL_PROCESSOR_INLINE void
number(const job_t *job, size_t dim, const double *part, size_t n, uint32_t *cell)
{
    double most = (double) job->bins->grid->n_cells;
    uint32_t unknown = (uint32_t) job->bins->grid->n_cells + 1;

    for (size_t i = 0; i < n; i++) {
        double sum = 0.0;
        for (size_t k = 0; k < dim; k++) {
            sum += part[i * dim + k];
        }
        cell[i] = sum < most ? (uint32_t) sum : unknown;
    }
}

/* Cells of n states where equal cells leave no doubt, else `n_cells` + 1. */
RTL_PROCESSOR_INLINE int
guess_body(const job_t *job, const double *x, size_t n, uint32_t *cell)
{
    const rtl_grid_t *grid = job->bins->grid;
    size_t dim = grid->dim, each = TOGETHER / dim;
    double part[TOGETHER], last[TOGETHER] = {0.0};
    lanes_t lanes;

    for (size_t j = 0; j < TOGETHER; j++) {
        lanes.low[j] = job->low[j % dim];
        lanes.per_cell[j] = job->per_cell[j % dim];
        lanes.middle[j] = 0.5 * (double) (grid->shape[j % dim] - 1);
        lanes.stride[j] = (double) grid->stride[j % dim];
    }
    for (size_t i = 0; i < n; i += each, x += TOGETHER) {
        size_t m = n - i < each ? n - i : each;
        if (m < each) {
            memcpy(last, x, m * dim * sizeof *x);
        }
        place(&lanes, m < each ? last : x, part);
        switch (m < each ? 0 : dim) {
        case 1:
            number(job, 1, part, TOGETHER, cell + i);
            break;
        case 2:
            number(job, 2, part, TOGETHER / 2, cell + i);
            break;
        case 3:
            number(job, 3, part, TOGETHER / 3, cell + i);
            break;
        default:
            number(job, dim, part, m, cell + i);
        }
    }
    return 0;
}

RTL_PROCESSOR_BUILD(guess,
    (const job_t *job, const double *x, size_t n, uint32_t *cell), (job, x, n, cell))

/* As rtl_bins_find, n states. */
static void
find_all(const job_t *job, const double *x, size_t n, uint32_t *cell)
{
    const rtl_grid_t *grid = job->bins->grid;

    if (job->regular) {
        guess(job, x, n, cell);
    }
    for (size_t i = 0; i < n; i++) {
        if (!job->regular || cell[i] > grid->n_cells) {
            cell[i] = (uint32_t) rtl_bins_find(grid, x + i * grid->dim);
        }
    }
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
add_plain(const job_t *job, size_t dim, size_t n_lags, double *sums, const double *x)
{
    double *block = sums + 1 + dim;

    sums[0] += 1.0;
    for (size_t lag = 0; lag < n_lags; lag++) {
        const double *later = x + job->increments->lags[lag] * dim;
        double dx[RTL_INCREMENTS_DIM];
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

/* Sums in many cells lie beyond the second-level cache. */
static inline void
prefetch(const double *sums, size_t stride)
{
#ifdef __GNUC__
    __builtin_prefetch(sums, 1);
    if (stride > LINE) {
        __builtin_prefetch(sums + LINE, 1);
    }
#else
    (void) sums;
    (void) stride;
#endif
}

/* n starts from a state; `cell` has theirs, those of `reach` starts before and AHEAD
 * more. With constants the compiler unrolls it; dim 0: not plain. */
static inline void
add_all(const job_t *job, size_t dim, size_t n_lags, double *sums, size_t state,
    size_t n, const uint32_t *cell)
{
    size_t n_cells = job->bins->grid->n_cells, stride = job->stride;
    size_t reach = job->layout.reach, pairs = job->layout.pairs;
    const double *x = job->increments->x + state * dim;

    for (size_t i = 0; i < n; i++) {
        prefetch(sums + cell[i + AHEAD] * stride, stride);
        if (cell[i] >= n_cells) {
            continue;
        }
        double *own = sums + cell[i] * stride;
        if (dim > 0) {
            add_plain(job, dim, n_lags, own, x + i * dim);
        } else {
            add_any(job, own, state + i);
        }
        for (size_t k = 0; k < reach; k++) {
            const uint32_t *before = cell + i - k - 1;
            own[pairs + k] += *before == cell[i] ? 1.0 : 0.0;
        }
    }
}

/* Starts from .. to-1 of a segment. `cell` holds the cells of `reach` starts before a
 * chunk, of the chunk, and of none. */
static void
scan(const job_t *job, double *sums, size_t segment, size_t from, size_t to)
{
    const rtl_increments_t *increments = job->increments;
    size_t begin = (size_t) increments->begin[segment], dim = increments->dim;
    size_t reach = job->layout.reach, n_lags = job->layout.n_lags;
    uint32_t none = (uint32_t) job->bins->grid->n_cells;
    uint32_t cell[RTL_INCREMENTS_LONGEST + CHUNK + AHEAD], *own = cell + reach;

    for (size_t first = from; first < to; first += CHUNK) {
        size_t before = first < reach ? first : reach;
        size_t n = first + CHUNK < to ? CHUNK : to - first;
        for (size_t i = 0; i < reach - before; i++) {
            cell[i] = none;
        }
        find_all(job, increments->x + (begin + first - before) * dim, n + before,
            own - before);
        for (size_t i = 0; i < AHEAD; i++) {
            own[n + i] = none;
        }
        if (!job->plain) {
            add_all(job, 0, n_lags, sums, begin + first, n, own);
        } else if (dim == 2 && n_lags == 1) {
            add_all(job, 2, 1, sums, begin + first, n, own);
        } else if (dim == 1) {
            add_all(job, 1, n_lags, sums, begin + first, n, own);
        } else if (dim == 2) {
            add_all(job, 2, n_lags, sums, begin + first, n, own);
        } else if (dim == 3) {
            add_all(job, 3, n_lags, sums, begin + first, n, own);
        } else {
            add_all(job, dim, n_lags, sums, begin + first, n, own);
        }
    }
}

/* The sums of a part. */
static double *
sums_of(const job_t *job, size_t part)
{
    return job->parts + part * job->bins->grid->n_cells * job->stride;
}

/* A slice of the starts of a part. */
static int
part_task(void *data, size_t number)
{
    const job_t *job = data;
    const rtl_increments_t *increments = job->increments;
    size_t each = job->n_starts / job->n_parts, before = 0;
    size_t end = number + 1 == job->n_parts ? job->n_starts : each * (number + 1);
    size_t first = each * number + job->slice * job->length;
    size_t last = first + job->length < end ? first + job->length : end;

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
    size_t most = NUMBERS_A_SLICE / self->layout.size + CHUNK;

    self->length = most < SLICE ? most : SLICE;
    size_t n_slices = each / self->length + 1;
    int status = 0;
    for (self->slice = 0; status == 0 && self->slice < n_slices; self->slice++) {
        rtl_monitor_part_t slice = {.whole = monitor,
            .before = (double) self->slice / (double) n_slices,
            .share = 1.0 / (double) n_slices};
        rtl_monitor_t of_slice = rtl_monitor_part(&slice);
        status = rtl_parallel_run(
            part_task, self, self->n_parts, self->bins->n_threads, &of_slice);
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
    if (self->grid->n_cells >= INT32_MAX) {
        return RTL_TOO_LARGE;
    }
    int status = job_init(&job, self, increments);
    if (status == 0) {
        status = run(&job, monitor);
    }
    for (size_t part = 0; status == 0 && part < job.n_parts; part++) {
        const double *from = sums_of(&job, part);
        double *to = sums;
        for (size_t cell = 0; cell < self->grid->n_cells; cell++) {
            for (size_t i = 0; i < job.layout.size; i++) {
                to[i] += from[i];
            }
            from += job.stride;
            to += job.layout.size;
        }
    }
    rtl_memory_free(job.owned);
    return status;
}
