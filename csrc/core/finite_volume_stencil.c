/* SPDX-License-Identifier: MIT */
/* div D comes from the model where it knows it, else from central differences a small
 * part of a cell wide: their error, of the order of 1e-8 cells squared, vanishes beside
 * that of the grid. Where D is singular, or nearly so and had to be added to, the drift
 * across its range goes along the axes, by upwinding: the long offsets would carry it
 * as the difference of two large currents. The share of each offset follows from
 * minimising sum current^2 / carry. */
#include "finite_volume_stencil.h"

#include <math.h>
#include <string.h>

#include "memory.h"
#include "tensor.h"

enum { BLOCK = RTL_STENCIL_BLOCK, LONGEST = 64 };

static const double step_share = 1e-4; /* of a cell: half the step of a difference */
/* Extra carry of the axes where D is singular, as a share of its trace. */
static const double axis_share = 1e-8;
/* What links a corner with the rest where the offsets do not, as a share of a weight: a
 * force that is left as it is makes it harmless to zero-flux states. */
static const double corner_share = 1e-3;

void
rtl_finite_volume_stencil_free(rtl_finite_volume_stencil_t *self)
{
    rtl_memory_free(self->offset);
    rtl_memory_free(self->weight);
    rtl_memory_free(self->carry);
    rtl_memory_free(self->force);
    rtl_memory_free(self->ito_force);
    rtl_memory_free(self->relaxed);
    for (size_t k = 0; k < RTL_MAX_DIM; k++) {
        rtl_memory_free(self->tangent[k]);
    }
    rtl_memory_free(self->work);
    memset(self, 0, sizeof *self);
}

static int
allocate(rtl_finite_volume_stencil_t *self)
{
    size_t n = self->grid->n_cells, dim = self->grid->dim;
    bool good = true;

    self->offset = rtl_memory_alloc(n, self->most * dim);
    self->weight = rtl_memory_alloc(n * self->most, sizeof *self->weight);
    self->carry = rtl_memory_alloc(n * self->most, sizeof *self->carry);
    self->force = rtl_memory_alloc(n * dim, sizeof *self->force);
    self->ito_force = rtl_memory_alloc(n * dim, sizeof *self->ito_force);
    self->relaxed = rtl_memory_alloc(n, sizeof *self->relaxed);
    self->work =
        rtl_memory_alloc((3 * dim * dim + 5 * dim) * BLOCK, sizeof *self->work);
    for (size_t k = 0; k < dim; k++) {
        self->tangent[k] = rtl_memory_alloc(self->grid->shape[k], sizeof(double));
        good = good && self->tangent[k] != NULL;
    }
    good = good && self->offset != NULL && self->weight != NULL &&
           self->carry != NULL && self->force != NULL && self->ito_force != NULL &&
           self->relaxed != NULL && self->work != NULL;
    return good ? 0 : RTL_NO_MEMORY;
}

/* dx/di at the centres of an axis, from the polynomial through up to five of them. */
static void
set_tangents(const rtl_grid_t *grid, size_t axis, double *tangent)
{
    int n = (int) grid->shape[axis], width = n < 5 ? n : 5;

    if (grid->lower[axis] == RTL_PERIODIC) {
        width = 5;
    }
    for (int i = 0; i < n; i++) {
        int first = -2; /* relative to i */
        if (grid->lower[axis] != RTL_PERIODIC) {
            first = i < 2 ? -i : i - 2 + width > n ? n - width - i : -2;
        }
        tangent[i] = 0.0;
        for (int j = first; j < first + width; j++) {
            double weight = 1.0;
            for (int m = first; m < first + width; m++) {
                weight *= m == j ? 1.0 : (m == 0 ? 1.0 : -m) / (double) (j - m);
            }
            if (j != 0) {
                tangent[i] += weight * rtl_grid_distance(grid, axis, (size_t) i, j);
            }
        }
    }
}

/* --- the model at points ------------------------------------------------------------
 */

/* Solve a x = b, a (dim, dim) positive definite and overwritten, x in place of b. False
 * where a is singular up to rounding. */
static bool
solve(size_t dim, double *a, double *b)
{
    for (size_t k = 0; k < dim; k++) {
        double scale = a[k * dim + k];
        for (size_t m = 0; m < k; m++) {
            a[k * dim + k] -= a[k * dim + m] * a[k * dim + m];
        }
        if (!(a[k * dim + k] > 1e-14 * scale)) {
            return false;
        }
        a[k * dim + k] = sqrt(a[k * dim + k]);
        for (size_t i = k + 1; i < dim; i++) {
            for (size_t m = 0; m < k; m++) {
                a[i * dim + k] -= a[i * dim + m] * a[k * dim + m];
            }
            a[i * dim + k] /= a[k * dim + k];
        }
    }
    for (size_t k = 0; k < dim; k++) {
        for (size_t m = 0; m < k; m++) {
            b[k] -= a[k * dim + m] * b[m];
        }
        b[k] /= a[k * dim + k];
    }
    for (size_t k = dim; k-- > 0;) {
        for (size_t m = k + 1; m < dim; m++) {
            b[k] -= a[m * dim + k] * b[m];
        }
        b[k] /= a[k * dim + k];
    }
    return true;
}

/* x moved along an axis, and back into the box through a periodic side. */
static double
shifted(const rtl_grid_t *grid, size_t axis, double x, double step)
{
    double lower = grid->edges[axis][0], upper = grid->edges[axis][grid->shape[axis]];

    x += step;
    if (grid->lower[axis] == RTL_PERIODIC) {
        x += x < lower ? upper - lower : 0.0;
        x -= x > upper ? upper - lower : 0.0;
    }
    return x;
}

/* out_m += d_k D_mk of one point from D on both sides of it. A tensor that changes by a
 * hundredth over so little jumps, and has no derivative. */
static void
add_differences(const rtl_grid_t *grid, size_t k, size_t cell, const double *low,
    const double *high, size_t n, double *out)
{
    size_t dim = grid->dim;
    double h[RTL_MAX_DIM], trace = 0.0;

    for (size_t m = 0; m < dim; m++) {
        size_t mm = m * (dim + 1) * n;
        h[m] = rtl_grid_width(grid, m, rtl_grid_index(grid, cell, m));
        trace += (high[mm] + low[mm]) / (h[m] * h[m]);
    }
    for (size_t m = 0; m < dim; m++) {
        double change = high[(m * dim + k) * n] - low[(m * dim + k) * n];
        if (fabs(change) <= 0.01 * trace * h[m] * h[k]) {
            out[m * n] += change / (2.0 * step_share * h[k]);
        }
    }
}

/* (div D)_i = d_k D_ik, (dim, n). */
static int
divergence(rtl_finite_volume_stencil_t *self, const double *x, const size_t *cell,
    size_t n, double *out, rtl_fault_t *fault)
{
    const rtl_grid_t *grid = self->grid;
    const rtl_field_t *field = &self->model->divergence;
    size_t dim = grid->dim;
    double *moved = self->work, *low = moved + dim * BLOCK;
    double *high = low + dim * dim * BLOCK;

    if (field->evaluate != NULL) {
        return rtl_model_divergence(self->model, x, n, out, fault);
    }
    memset(out, 0, dim * n * sizeof *out);
    for (size_t k = 0; k < dim; k++) {
        for (int side = -1; side <= 1; side += 2) {
            memcpy(moved, x, dim * n * sizeof *moved);
            for (size_t i = 0; i < n; i++) {
                double h = rtl_grid_width(grid, k, rtl_grid_index(grid, cell[i], k));
                moved[k * n + i] =
                    shifted(grid, k, x[k * n + i], side * step_share * h);
            }
            int status =
                rtl_model_tensor(self->model, moved, n, side < 0 ? low : high, fault);
            if (status != 0) {
                return status;
            }
        }
        for (size_t i = 0; i < n; i++) {
            add_differences(grid, k, cell[i], low + i, high + i, n, out + i);
        }
    }
    return 0;
}

/* f - div D and, if f is not NULL, f; for the kinetic form without differences. */
static int
kinetic_drift(rtl_finite_volume_stencil_t *self, const double *x, const size_t *cell,
    size_t n, double *g, double *f, rtl_fault_t *fault)
{
    size_t dim = self->grid->dim;
    double *div = self->work + (2 * dim * dim + dim) * BLOCK;
    bool kinetic = self->model->interpretation == RTL_ANTI_ITO;
    rtl_model_t raw = *self->model;
    int status = 0;

    raw.interpretation = kinetic ? RTL_ITO : raw.interpretation;
    if (!kinetic || f != NULL) {
        status = divergence(self, x, cell, n, div, fault);
    }
    if (status == 0) {
        status = rtl_model_drift(&raw, x, n, g, fault);
    }
    for (size_t k = 0; status == 0 && f != NULL && k < dim * n; k++) {
        f[k] = kinetic ? g[k] + div[k] : g[k];
    }
    for (size_t k = 0; status == 0 && !kinetic && k < dim * n; k++) {
        g[k] -= div[k];
    }
    return status;
}

/* --- cells
 * ---------------------------------------------------------------------------- */

bool
rtl_finite_volume_stencil_find(const rtl_finite_volume_stencil_t *self, size_t cell,
    const int8_t *e, size_t *place)
{
    size_t dim = self->grid->dim, first = cell * self->most;

    for (size_t k = first; k < first + self->most && self->carry[k] > 0.0; k++) {
        if (memcmp(self->offset + k * dim, e, dim) == 0) {
            *place = k;
            return true;
        }
    }
    return false;
}

/* sum_k weight_k e_k e_k^T of one cell */
static void
sum_offsets(const rtl_finite_volume_stencil_t *self, size_t cell, const double *weight,
    double *d)
{
    size_t dim = self->grid->dim, first = cell * self->most;

    memset(d, 0, dim * dim * sizeof *d);
    for (size_t k = first; k < first + self->most && self->carry[k] > 0.0; k++) {
        const int8_t *e = self->offset + k * dim;
        for (size_t i = 0; i < dim; i++) {
            for (size_t j = 0; j < dim; j++) {
                d[i * dim + j] += weight[k] * e[i] * e[j];
            }
        }
    }
}

void
rtl_finite_volume_stencil_tensor(
    const rtl_finite_volume_stencil_t *self, size_t cell, double *d)
{
    sum_offsets(self, cell, self->weight, d);
}

/* Let the axes carry more drift and have more weight. */
static void
strengthen_axes(
    rtl_finite_volume_stencil_t *self, size_t cell, double carry, double weight)
{
    size_t dim = self->grid->dim, place;

    for (size_t k = 0; carry > 0.0 && k < dim; k++) {
        int8_t e[RTL_MAX_DIM] = {0};
        e[k] = 1;
        if (!rtl_finite_volume_stencil_find(self, cell, e, &place)) {
            for (place = cell * self->most; self->carry[place] > 0.0; place++) {
            }
            memcpy(self->offset + place * dim, e, dim);
        }
        self->carry[place] += carry;
        self->weight[place] += weight;
    }
}

/* Whether some offset leaves the box both ways, through walls: as in corners. */
static bool
loses_offset(const rtl_finite_volume_stencil_t *self, size_t cell)
{
    const rtl_grid_t *grid = self->grid;
    size_t dim = grid->dim, first = cell * self->most;

    for (size_t k = first; k < first + self->most && self->carry[k] > 0.0; k++) {
        bool up = false, down = false;
        for (size_t a = 0; a < dim; a++) {
            long n = (long) grid->shape[a], e = self->offset[k * dim + a];
            long i = (long) rtl_grid_index(grid, cell, a);
            if (grid->lower[a] != RTL_PERIODIC) {
                up = up || i + e < 0 || i + e >= n;
                down = down || i - e < 0 || i - e >= n;
            }
        }
        if (up && down) {
            return true;
        }
    }
    return false;
}

/* Offsets as short as the cube root of the number of cells where D is all but singular:
 * jumps of r cells err by r^2 / n^2, what has to be added by 1 / r^2, and offsets that
 * change from cell to cell by r / n, of which the last two balance. Others may be as
 * long as the square root before anything is added. */
static int
decompose(const rtl_finite_volume_stencil_t *self, const double *d, rtl_selling_t *sum)
{
    size_t dim = self->grid->dim;
    double added = 0.0, shortest = LONGEST;
    int status = rtl_selling_decompose(dim, d, self->shortest, 0.0, sum);

    for (size_t k = 0; k < dim; k++) {
        added = fmax(added, sum->added[k]);
        shortest = fmin(shortest, self->longest[k]);
    }
    if (status == 0 && added > 0.0 &&
        rtl_selling_anisotropy(dim, d) <= 4.0 * shortest * shortest) {
        status = rtl_selling_decompose(dim, d, self->longest, 0.0, sum);
    }
    return status;
}

/* Offsets and weights of a cell, from D and the larger of |f| and |f - div D|, in units
 * of the cells. */
static int
set_offsets(
    rtl_finite_volume_stencil_t *self, size_t cell, const double *d, double drift)
{
    size_t dim = self->grid->dim, first = cell * self->most;
    double trace = 0.0, added = 0.0, unused, work[RTL_MAX_DIM * RTL_MAX_DIM];
    rtl_selling_t sum;
    int status = decompose(self, d, &sum);

    if (status != 0) {
        return status;
    }
    for (size_t k = 0; k < dim; k++) {
        trace += d[k * dim + k];
        added = fmax(added, sum.added[k]);
    }
    if (added > 0.0) {
        self->added = fmax(self->added, added * (double) dim / trace);
    }
    for (size_t k = 0; k < sum.n; k++) {
        self->weight[first + k] = self->carry[first + k] = sum.weight[k];
        for (size_t i = 0; i < dim; i++) {
            self->offset[(first + k) * dim + i] = (int8_t) sum.offset[k][i];
        }
    }
    bool definite = rtl_tensor_log_det(d, dim, 1, work, &unused) && unused > -INFINITY;
    self->relaxed[cell] = added > 0.0 ? 2 : definite ? 0 : 1;
    if (trace == 0.0) {
        strengthen_axes(self, cell, drift, 0.0);
    } else if (self->relaxed[cell] != 0) {
        double carry = fmax(axis_share * trace, sqrt(added * trace));
        strengthen_axes(self, cell, fmax(carry, drift), 0.0);
    }
    return 0;
}

/* b of a cell for f - div D and for f, both given in units of the cells. */
static void
set_forces(rtl_finite_volume_stencil_t *self, size_t cell, double *g, double *f)
{
    const rtl_grid_t *grid = self->grid;
    size_t dim = grid->dim;
    double carry[RTL_MAX_DIM * RTL_MAX_DIM], a[RTL_MAX_DIM * RTL_MAX_DIM];

    sum_offsets(self, cell, self->carry, carry);
    memcpy(a, carry, dim * dim * sizeof *a);
    bool good = solve(dim, carry, g);
    good = solve(dim, a, f) && good;
    for (size_t k = 0; k < dim; k++) {
        double h = rtl_grid_width(grid, k, rtl_grid_index(grid, cell, k));
        self->force[cell * dim + k] = good ? g[k] / h : 0.0; /* nothing moves there */
        self->ito_force[cell * dim + k] = good ? f[k] / h : 0.0;
    }
}

static int
set_block(rtl_finite_volume_stencil_t *self, size_t first, size_t n, rtl_fault_t *fault)
{
    const rtl_grid_t *grid = self->grid;
    size_t dim = grid->dim, cell[BLOCK];
    double *x = self->work + (2 * dim * dim + 2 * dim) * BLOCK;
    double *g = x + dim * BLOCK, *f = g + dim * BLOCK, *d = f + dim * BLOCK;

    for (size_t i = 0; i < n; i++) {
        cell[i] = first + i;
    }
    rtl_grid_points(grid, first, n, x);
    int status = kinetic_drift(self, x, cell, n, g, f, fault);
    if (status == 0) {
        status = rtl_model_tensor(self->model, x, n, d, fault);
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        double tensor[RTL_MAX_DIM * RTL_MAX_DIM], gi[RTL_MAX_DIM], fi[RTL_MAX_DIM];
        double h[RTL_MAX_DIM], drift = 0.0;
        for (size_t k = 0; k < dim; k++) {
            h[k] = rtl_grid_width(grid, k, rtl_grid_index(grid, first + i, k));
            gi[k] = g[k * n + i] / h[k];
            fi[k] = f[k * n + i] / h[k];
            drift = fmax(drift, fmax(fabs(gi[k]), fabs(fi[k])));
        }
        for (size_t k = 0; k < dim * dim; k++) {
            tensor[k] = d[k * n + i] / (h[k / dim] * h[k % dim]);
        }
        status = set_offsets(self, first + i, tensor, drift);
        if (status == 0) {
            set_forces(self, first + i, gi, fi);
            if (loses_offset(self, first + i)) {
                double weight = corner_share * self->weight[(first + i) * self->most];
                strengthen_axes(self, first + i, weight, weight);
            }
        } else if (fault != NULL) {
            *fault = (rtl_fault_t) {.what = "diffusion", .dim = dim};
            fault->value = rtl_selling_anisotropy(dim, tensor);
            for (size_t k = 0; k < dim; k++) {
                fault->x[k] = x[k * n + i];
            }
        }
    }
    return status;
}

int
rtl_finite_volume_stencil_init(rtl_finite_volume_stencil_t *self,
    const rtl_model_t *model, const rtl_grid_t *grid, rtl_monitor_t *monitor,
    rtl_fault_t *fault)
{
    size_t n = grid->n_cells, dim = grid->dim;

    memset(self, 0, sizeof *self);
    self->model = model;
    self->grid = grid;
    self->most = dim * (dim + 1) / 2 + dim;
    for (size_t k = 0; k < dim; k++) {
        double n_cells = (double) grid->shape[k];
        int longest = (int) lrint(fmin(sqrt(n_cells), LONGEST));
        self->longest[k] = grid->shape[k] > 2 ? longest : 1;
        self->shortest[k] = (int) lrint(fmin(cbrt(n_cells), LONGEST));
    }
    int status = allocate(self);
    for (size_t k = 0; status == 0 && k < dim; k++) {
        set_tangents(grid, k, self->tangent[k]);
    }
    for (size_t first = 0; status == 0 && first < n; first += BLOCK) {
        status = set_block(self, first, n - first < BLOCK ? n - first : BLOCK, fault);
        if (status == 0) {
            status = rtl_monitor_poll(monitor, 0.3 * (double) first / (double) n);
        }
    }
    if (status != 0) {
        rtl_finite_volume_stencil_free(self);
    }
    return status;
}
