/* SPDX-License-Identifier: MIT */
#include "interpolate.h"

#include <math.h>
#include <string.h>

#include "memory.h"

enum { SHORTEST_AXIS = 8 };

int
rtl_interpolate_coarsen(const rtl_grid_t *fine, rtl_grid_t *coarse, bool *coarser)
{
    int status = 0;
    size_t shape[RTL_MAX_DIM];
    double *edges[RTL_MAX_DIM] = {NULL};

    memset(coarse, 0, sizeof *coarse);
    *coarser = false;
    for (size_t k = 0; k < fine->dim; k++) {
        size_t n = fine->shape[k], step = n >= SHORTEST_AXIS ? 2 : 1;
        shape[k] = (n + step - 1) / step;
        *coarser = *coarser || step == 2;
        edges[k] = rtl_memory_alloc(shape[k] + 1, sizeof(double));
        if (edges[k] == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
        for (size_t i = 0; i < shape[k]; i++) {
            edges[k][i] = fine->edges[k][i * step];
        }
        edges[k][shape[k]] = fine->edges[k][n];
    }
    if (*coarser) {
        status = rtl_grid_init(coarse, fine->dim, shape, (const double *const *) edges,
            fine->lower, fine->upper);
    }
out:
    for (size_t k = 0; k < fine->dim; k++) {
        rtl_memory_free(edges[k]);
    }
    return status;
}

/* The coarse cell of an axis that holds the centre of fine cell i. */
static size_t
holder(const rtl_grid_t *coarse, const rtl_grid_t *fine, size_t axis, size_t i)
{
    size_t m = coarse->shape[axis], c = i * m / fine->shape[axis];
    double x = rtl_grid_centre(fine, axis, i);

    while (c + 1 < m && x >= coarse->edges[axis][c + 1]) {
        c++;
    }
    while (c > 0 && x < coarse->edges[axis][c]) {
        c--;
    }
    return c;
}

/* Where the centre of fine cell i lies among the coarse centres: between low and high,
 * a share of the way up. */
static void
locate(rtl_interpolate_t *self, const rtl_grid_t *coarse, const rtl_grid_t *fine,
    size_t axis, size_t i)
{
    size_t m = coarse->shape[axis], c = holder(coarse, fine, axis, i), low, high;
    double x = rtl_grid_centre(fine, axis, i);
    double period = fine->edges[axis][fine->shape[axis]] - fine->edges[axis][0];
    bool wrap = fine->lower[axis] == RTL_PERIODIC;

    if (x >= rtl_grid_centre(coarse, axis, c)) {
        low = c;
        high = c + 1 < m ? c + 1 : (wrap ? 0 : c);
    } else {
        high = c;
        low = c > 0 ? c - 1 : (wrap ? m - 1 : 0);
    }
    if (low == high) { /* beyond the last centre: from the last two */
        low = c > 0 ? c - 1 : 0;
        high = low + 1;
    }
    double a = rtl_grid_centre(coarse, axis, low);
    double b = rtl_grid_centre(coarse, axis, high);
    if (wrap && high == 0) {
        b += period;
        x += x < a ? period : 0.0;
    }
    self->low[axis][i] = (int32_t) low;
    self->high[axis][i] = (int32_t) high;
    self->share[axis][i] = (x - a) / (b - a);
}

int
rtl_interpolate_init(rtl_interpolate_t *self, const rtl_grid_t *coarse,
    const rtl_grid_t *fine, bool extrapolate)
{
    memset(self, 0, sizeof *self);
    self->dim = fine->dim;
    for (size_t k = 0; k < fine->dim; k++) {
        size_t n = fine->shape[k];
        self->fine_shape[k] = n;
        self->coarse_shape[k] = coarse->shape[k];
        self->low[k] = rtl_memory_alloc(n, sizeof(int32_t));
        self->high[k] = rtl_memory_alloc(n, sizeof(int32_t));
        self->share[k] = rtl_memory_alloc(n, sizeof(double));
        if (self->low[k] == NULL || self->high[k] == NULL || self->share[k] == NULL) {
            rtl_interpolate_free(self);
            return RTL_NO_MEMORY;
        }
        for (size_t i = 0; i < n; i++) {
            locate(self, coarse, fine, k, i);
            if (!extrapolate) {
                self->share[k][i] = fmin(fmax(self->share[k][i], 0.0), 1.0);
            }
        }
    }
    return 0;
}

void
rtl_interpolate_free(rtl_interpolate_t *self)
{
    for (size_t k = 0; k < RTL_MAX_DIM; k++) {
        rtl_memory_free(self->low[k]);
        rtl_memory_free(self->high[k]);
        rtl_memory_free(self->share[k]);
    }
    memset(self, 0, sizeof *self);
}

int
rtl_interpolate_parents(
    const rtl_grid_t *coarse, const rtl_grid_t *fine, int32_t *parent)
{
    size_t longest = 0;

    for (size_t k = 0; k < fine->dim; k++) {
        longest = fine->shape[k] > longest ? fine->shape[k] : longest;
    }
    int32_t *step = rtl_memory_alloc(longest, sizeof *step);
    if (step == NULL) {
        return RTL_NO_MEMORY;
    }
    memset(parent, 0, fine->n_cells * sizeof *parent);
    for (size_t k = 0; k < fine->dim; k++) {
        size_t n = fine->shape[k], stride = fine->stride[k];
        for (size_t i = 0; i < n; i++) {
            step[i] = (int32_t) (holder(coarse, fine, k, i) * coarse->stride[k]);
        }
        for (size_t first = 0; first < fine->n_cells; first += n * stride) {
            for (size_t i = 0; i < n; i++) {
                int32_t *slice = parent + first + i * stride;
                for (size_t s = 0; s < stride; s++) {
                    slice[s] += step[i];
                }
            }
        }
    }
    rtl_memory_free(step);
    return 0;
}

/* One axis: axes before it are fine already (outer), those after still coarse (inner).
 */
typedef struct {
    const rtl_interpolate_t *self;
    size_t axis, outer, inner;
    const double *from;
    double *to;
    bool add;
} pass_t;

static void
interpolate_row(const pass_t *pass, size_t o, size_t i)
{
    const rtl_interpolate_t *self = pass->self;
    size_t k = pass->axis, m = self->coarse_shape[k], n = self->fine_shape[k];
    size_t inner = pass->inner;
    const double *a = pass->from + (o * m + (size_t) self->low[k][i]) * inner;
    const double *b = pass->from + (o * m + (size_t) self->high[k][i]) * inner;
    double t = self->share[k][i], *out = pass->to + (o * n + i) * inner;

    for (size_t s = 0; s < inner; s++) {
        out[s] = (pass->add ? out[s] : 0.0) + (a[s] + t * (b[s] - a[s]));
    }
}

/* The last axis, inner = 1. */
static void
interpolate_line(const pass_t *pass, size_t o)
{
    const rtl_interpolate_t *self = pass->self;
    size_t k = pass->axis, n = self->fine_shape[k];
    const double *from = pass->from + o * self->coarse_shape[k];
    double *out = pass->to + o * n;

    for (size_t i = 0; i < n; i++) {
        double a = from[self->low[k][i]], b = from[self->high[k][i]];
        out[i] += a + self->share[k][i] * (b - a);
    }
}

/* Pieces of the first axis go through its indices, of the others through `outer`. */
static void
pass_piece(void *data, size_t piece, size_t first, size_t last)
{
    const pass_t *pass = data;
    size_t n = pass->self->fine_shape[pass->axis];

    (void) piece;
    for (size_t r = first; r < last; r++) {
        if (pass->axis == 0) {
            interpolate_row(pass, 0, r);
        } else if (pass->inner == 1) {
            interpolate_line(pass, r);
        } else {
            for (size_t i = 0; i < n; i++) {
                interpolate_row(pass, r, i);
            }
        }
    }
}

void
rtl_interpolate_add(const rtl_interpolate_t *self, const double *coarse, double *fine,
    double *work, rtl_team_t team)
{
    pass_t pass = {.self = self, .outer = 1, .inner = 1, .from = coarse};
    size_t n_fine = 1;

    for (size_t k = 0; k < self->dim; k++) {
        pass.inner *= self->coarse_shape[k];
        n_fine *= self->fine_shape[k];
    }
    for (size_t k = 0; k < self->dim; k++) {
        size_t n = self->fine_shape[k];
        pass.axis = k;
        pass.inner /= self->coarse_shape[k];
        pass.add = k + 1 == self->dim;
        pass.to = pass.add ? fine : work + (k % 2) * n_fine;
        rtl_parallel_loop(pass_piece, &pass, k == 0 ? n : pass.outer,
            k == 0 ? pass.inner : n * pass.inner, team);
        pass.outer *= n;
        pass.from = pass.to;
    }
}

/* Logarithms of the volumes of cells, to be added with a sign: rows of the last axis
 * have the same widths. */
typedef struct {
    const rtl_grid_t *grid;
    double sign;
    const double *log_width; /* of the last axis */
    double *y;
} volumes_t;

static void
volume_piece(void *data, size_t piece, size_t first, size_t last)
{
    const volumes_t *volumes = data;
    const rtl_grid_t *grid = volumes->grid;
    size_t axis = grid->dim - 1, n = grid->shape[axis];

    (void) piece;
    for (size_t row = first; row < last; row++) {
        double *y = volumes->y + row * n, log_area = 0.0;
        for (size_t k = 0; k < axis; k++) {
            size_t index = rtl_grid_index(grid, row * n, k);
            log_area += log(rtl_grid_width(grid, k, index));
        }
        for (size_t i = 0; i < n; i++) {
            y[i] += volumes->sign * (log_area + volumes->log_width[i]);
        }
    }
}

/* `work` has room for the widths of the last axis. */
static void
add_log_volume(
    const rtl_grid_t *grid, double sign, double *y, double *work, rtl_team_t team)
{
    size_t axis = grid->dim - 1, n = grid->shape[axis];
    volumes_t volumes = {grid, sign, work, y};

    for (size_t i = 0; i < n; i++) {
        work[i] = log(rtl_grid_width(grid, axis, i));
    }
    rtl_parallel_loop(volume_piece, &volumes, grid->n_cells / n, n, team);
}

int
rtl_interpolate_law(const rtl_grid_t *coarse, double *coarse_y, const rtl_grid_t *fine,
    double *y, rtl_team_t team)
{
    rtl_interpolate_t interpolate = {0};
    double *work = rtl_memory_alloc(2 * fine->n_cells, sizeof *work);
    int status = work == NULL ? RTL_NO_MEMORY
                              : rtl_interpolate_init(&interpolate, coarse, fine, true);

    if (status == 0) {
        add_log_volume(coarse, -1.0, coarse_y, work, team);
        memset(y, 0, fine->n_cells * sizeof *y);
        rtl_interpolate_add(&interpolate, coarse_y, y, work, team);
        add_log_volume(fine, 1.0, y, work, team);
    }
    rtl_interpolate_free(&interpolate);
    rtl_memory_free(work);
    return status;
}
