/* SPDX-License-Identifier: MIT */
/* Euler-Maruyama (Maruyama 1955; Kloeden & Platen 1992, section 10.2): strong order
 * 1/2, weak order 1. A wall is noticed only after the step has crossed it, which brings
 * the weak order there down to 1/2 for reflecting ones. */
#include "step.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "memory.h"

/* --- walls ------------------------------------------------------------------------ */

double
rtl_step_fold(const rtl_walls_t *walls, size_t axis, double x)
{
    if (walls->lower == NULL) {
        return x;
    }
    double lower = walls->lower[axis], upper = walls->upper[axis];
    if (x >= lower && (x < upper || (x == upper && !walls->periodic[axis]))) {
        return x;
    }
    if (lower == -INFINITY) {
        return upper - (x - upper);
    }
    if (upper == INFINITY) {
        return lower + (lower - x);
    }
    double length = upper - lower;
    double period = walls->periodic[axis] ? length : 2.0 * length;
    double r = fmod(x - lower, period);
    if (r < 0.0) {
        r += period;
    }
    if (walls->periodic[axis]) {
        return lower + r < upper ? lower + r : lower;
    }
    r = r <= length ? r : period - r;
    return lower + r < upper ? lower + r : upper;
}

bool
rtl_step_check_walls(const rtl_walls_t *walls, size_t dim)
{
    for (size_t k = 0; walls->lower != NULL && k < dim; k++) {
        double length = walls->upper[k] - walls->lower[k];
        if (!(length > 0.0) || (walls->periodic[k] && !isfinite(length)) ||
            walls->lower[k] == INFINITY || walls->upper[k] == -INFINITY) {
            return false;
        }
    }
    return true;
}

static void
fold_block(const rtl_walls_t *walls, size_t dim, size_t n, double *x)
{
    for (size_t k = 0; walls->lower != NULL && k < dim; k++) {
        double lower = walls->lower[k], upper = walls->upper[k];
        double *row = x + k * n;
        for (size_t i = 0; i < n; i++) {
            if (!(row[i] >= lower && row[i] < upper)) {
                row[i] = rtl_step_fold(walls, k, row[i]);
            }
        }
    }
}

/* --- moving ----------------------------------------------------------------------- */

/* Diagonal entry k of L at n points; `inverse` gets 1 / L_kk, or 0 where the pivot is
 * zero to rounding. */
static void
factorise_pivot(size_t dim, size_t k, size_t n, double factor, double *d,
    double *inverse, double *rest)
{
    const double tolerance = 4.0 * (double) dim * DBL_EPSILON;
    double *pivot = d + (k * dim + k) * n;

    for (size_t i = 0; i < n; i++) {
        pivot[i] *= factor;
        rest[i] = pivot[i];
    }
    for (size_t j = 0; j < k; j++) {
        const double *before = d + (k * dim + j) * n;
        for (size_t i = 0; i < n; i++) {
            rest[i] -= before[i] * before[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        double root = sqrt(rest[i] > tolerance * pivot[i] ? rest[i] : 0.0);
        inverse[i] = root > 0.0 ? 1.0 / root : 0.0;
        pivot[i] = root;
    }
}

/* Entry (m, k) of L below the diagonal. Beside a zero pivot it is zero: what is left of
 * a semidefinite D has |D_mk|^2 <= D_mm D_kk too. */
static void
factorise_entry(size_t dim, size_t m, size_t k, size_t n, double factor, double *d,
    const double *inverse)
{
    double *entry = d + (m * dim + k) * n;

    for (size_t i = 0; i < n; i++) {
        entry[i] *= factor;
    }
    for (size_t j = 0; j < k; j++) {
        const double *a = d + (m * dim + j) * n, *b = d + (k * dim + j) * n;
        for (size_t i = 0; i < n; i++) {
            entry[i] -= a[i] * b[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        entry[i] *= inverse[i];
    }
}

/* The positive semidefinite D of n points, (dim, dim, n), becomes the lower triangle of
 * L, L L^T = factor D, by Cholesky; `room` holds 2 n numbers. */
static void
factorise(size_t dim, size_t n, double factor, double *d, double *room)
{
    for (size_t k = 0; k < dim; k++) {
        factorise_pivot(dim, k, n, factor, d, room, room + n);
        for (size_t m = k + 1; m < dim; m++) {
            factorise_entry(dim, m, k, n, factor, d, room);
        }
    }
}

/* next = x + f dt + sqrt(2 D dt) xi, axis by axis. */
static void
move_diagonal(const rtl_step_t *self, const rtl_step_block_t *block)
{
    double dt = self->dt, two_dt = 2.0 * dt;
    size_t size = self->model->dim * block->n;

    for (size_t i = 0; i < size; i++) {
        block->next[i] = block->x[i] + block->drift[i] * dt +
                         sqrt(block->noise[i] * two_dt) * block->normal[i];
    }
}

/* next = x + f dt + L xi. */
static void
move_tensor(const rtl_step_t *self, const rtl_step_block_t *block)
{
    size_t dim = self->model->dim, n = block->n;

    for (size_t k = 0; k < dim; k++) {
        double *next = block->next + k * n;
        for (size_t i = 0; i < n; i++) {
            next[i] = block->x[k * n + i] + block->drift[k * n + i] * self->dt;
        }
        for (size_t j = 0; j <= k; j++) {
            const double *l = block->noise + (k * dim + j) * n;
            for (size_t i = 0; i < n; i++) {
                next[i] += l[i] * block->normal[j * n + i];
            }
        }
    }
}

/* The first path with a coordinate that is not finite, or n. */
static size_t
find_not_finite(size_t dim, size_t n, const double *x, size_t *component)
{
    uint64_t bad = 0;

    for (size_t i = 0; i < dim * n; i++) {
        bad += !(fabs(x[i]) <= DBL_MAX);
    }
    for (size_t i = 0; bad > 0 && i < n; i++) {
        for (size_t k = 0; k < dim; k++) {
            if (!isfinite(x[k * n + i])) {
                *component = k;
                return i;
            }
        }
    }
    return n;
}

static void
set_fault(rtl_fault_t *fault, size_t dim, size_t n, const double *x, size_t i)
{
    fault->dim = dim < RTL_MAX_DIM ? dim : RTL_MAX_DIM;
    for (size_t k = 0; k < fault->dim; k++) {
        fault->x[k] = x[k * n + i];
    }
}

/* The path nearest to the point of a fault, which may be off a path where the drift
 * was differentiated. */
static size_t
find_point(const rtl_fault_t *fault, const rtl_step_block_t *block)
{
    double best = INFINITY;
    size_t nearest = 0;

    for (size_t i = 0; i < block->n; i++) {
        double distance = 0.0;
        for (size_t k = 0; k < fault->dim; k++) {
            distance += fabs(block->x[k * block->n + i] - fault->x[k]);
        }
        if (distance < best) {
            best = distance;
            nearest = i;
        }
    }
    return nearest;
}

/* --- blocks and steps ------------------------------------------------------------- */

int
rtl_step_block_init(rtl_step_block_t *self, size_t dim, size_t first, size_t n)
{
    double **arrays[] = {&self->x, &self->next, &self->drift, &self->normal};

    memset(self, 0, sizeof *self);
    self->first = first;
    self->n = n;
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) {
        *arrays[k] = rtl_memory_alloc(n, dim * sizeof(double));
    }
    self->noise = rtl_memory_alloc(n, dim * dim * sizeof(double));
    self->room = rtl_memory_alloc(n, 2 * sizeof(double));
    if (self->x == NULL || self->next == NULL || self->drift == NULL ||
        self->normal == NULL || self->noise == NULL || self->room == NULL) {
        rtl_step_block_free(self);
        return RTL_NO_MEMORY;
    }
    return 0;
}

void
rtl_step_block_free(rtl_step_block_t *self)
{
    rtl_memory_free(self->x);
    rtl_memory_free(self->next);
    rtl_memory_free(self->drift);
    rtl_memory_free(self->noise);
    rtl_memory_free(self->normal);
    rtl_memory_free(self->room);
    memset(self, 0, sizeof *self);
}

/* f and D at the paths' states. */
static int
evaluate(const rtl_step_t *self, const rtl_step_block_t *block, size_t *path,
    rtl_fault_t *fault)
{
    const rtl_model_t *model = self->model;
    int status = rtl_model_drift(model, block->x, block->n, block->drift, fault);

    if (status == 0 && rtl_model_is_diagonal(model)) {
        status = rtl_model_diagonal(model, block->x, block->n, block->noise, fault);
    } else if (status == 0) {
        status = rtl_model_tensor(model, block->x, block->n, block->noise, fault);
    }
    if (status != 0) {
        *path = find_point(fault, block);
    }
    return status;
}

int
rtl_step_run(const rtl_step_t *self, rtl_step_block_t *block, uint64_t step,
    size_t *path, rtl_fault_t *fault)
{
    size_t dim = self->model->dim, n = block->n;
    int status = evaluate(self, block, path, fault);

    if (status != 0) {
        return status;
    }
    rtl_random_normals(&self->random, block->first, n, step, dim, block->normal);
    if (rtl_model_is_diagonal(self->model)) {
        move_diagonal(self, block);
    } else {
        factorise(dim, n, 2.0 * self->dt, block->noise, block->room);
        move_tensor(self, block);
    }
    *path = find_not_finite(dim, n, block->next, &fault->component);
    if (*path < n) {
        set_fault(fault, dim, n, block->x, *path);
        fault->what = "path";
        fault->value = block->next[fault->component * n + *path];
        return RTL_NOT_FINITE;
    }
    fold_block(&self->walls, dim, n, block->next);
    double *swap = block->x;
    block->x = block->next;
    block->next = swap;
    return 0;
}
