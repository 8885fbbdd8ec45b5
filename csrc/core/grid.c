/* SPDX-License-Identifier: MIT */
#include "grid.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "memory.h"

static bool
axis_is_good(size_t n, const double *edges, rtl_boundary_t lower, rtl_boundary_t upper)
{
    if (n < 2 || (lower == RTL_PERIODIC) != (upper == RTL_PERIODIC)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        double width = edges[i + 1] - edges[i];
        if (!(width > 0.0) || !isfinite(width)) {
            return false;
        }
    }
    return true;
}

int
rtl_grid_init(rtl_grid_t *self, size_t dim, const size_t *shape,
    const double *const *edges, const rtl_boundary_t *lower,
    const rtl_boundary_t *upper)
{
    int status = 0;

    memset(self, 0, sizeof *self);
    if (dim < 1 || dim > RTL_MAX_DIM) {
        return RTL_BAD_ARGUMENT;
    }
    self->dim = dim;
    self->n_cells = 1;
    for (size_t k = 0; k < dim; k++) {
        if (shape[k] > INT32_MAX / self->n_cells) {
            status = RTL_TOO_LARGE;
            goto out;
        }
        self->n_cells *= shape[k];
        if (!axis_is_good(shape[k], edges[k], lower[k], upper[k])) {
            status = RTL_BAD_ARGUMENT;
            goto out;
        }
        self->shape[k] = shape[k];
        self->lower[k] = lower[k];
        self->upper[k] = upper[k];
        self->edges[k] = rtl_memory_alloc(shape[k] + 1, sizeof(double));
        if (self->edges[k] == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
        memcpy(self->edges[k], edges[k], (shape[k] + 1) * sizeof(double));
    }
    self->stride[dim - 1] = 1;
    for (size_t k = dim - 1; k > 0; k--) {
        self->stride[k - 1] = self->stride[k] * shape[k];
    }
out:
    if (status != 0) {
        rtl_grid_free(self);
    }
    return status;
}

void
rtl_grid_free(rtl_grid_t *self)
{
    for (size_t k = 0; k < RTL_MAX_DIM; k++) {
        rtl_memory_free(self->edges[k]);
    }
    memset(self, 0, sizeof *self);
}

bool
rtl_grid_next(
    const rtl_grid_t *self, size_t cell, size_t axis, size_t *next, double *distance)
{
    size_t n = self->shape[axis];
    size_t i = rtl_grid_index(self, cell, axis);

    if (i + 1 == n) {
        if (self->upper[axis] != RTL_PERIODIC) {
            return false;
        }
        *next = cell - (n - 1) * self->stride[axis];
        *distance =
            0.5 * (rtl_grid_width(self, axis, n - 1) + rtl_grid_width(self, axis, 0));
        return true;
    }
    *next = cell + self->stride[axis];
    *distance = rtl_grid_centre(self, axis, i + 1) - rtl_grid_centre(self, axis, i);
    return true;
}

bool
rtl_grid_previous(const rtl_grid_t *self, size_t cell, size_t axis, size_t *previous)
{
    if (rtl_grid_index(self, cell, axis) > 0) {
        *previous = cell - self->stride[axis];
        return true;
    }
    *previous = cell + (self->shape[axis] - 1) * self->stride[axis];
    return self->lower[axis] == RTL_PERIODIC;
}

bool
rtl_grid_jump(
    const rtl_grid_t *self, size_t cell, const int8_t *e, int sign, size_t *target)
{
    *target = 0;
    for (size_t k = 0; k < self->dim; k++) {
        long n = (long) self->shape[k];
        long to = (long) rtl_grid_index(self, cell, k) + sign * e[k];
        if (self->lower[k] == RTL_PERIODIC) {
            to = (to % n + n) % n;
        } else if (to < 0 || to >= n) {
            return false;
        }
        *target += (size_t) to * self->stride[k];
    }
    return true;
}

double
rtl_grid_distance(const rtl_grid_t *self, size_t axis, size_t i, int step)
{
    long n = (long) self->shape[axis], to = (long) i + step;
    double period = self->edges[axis][n] - self->edges[axis][0], turns = 0.0;

    for (; to < 0; to += n) {
        turns -= 1.0;
    }
    for (; to >= n; to -= n) {
        turns += 1.0;
    }
    return rtl_grid_centre(self, axis, (size_t) to) + turns * period -
           rtl_grid_centre(self, axis, i);
}

void
rtl_grid_points(const rtl_grid_t *self, size_t first, size_t n, double *x)
{
    for (size_t k = 0; k < self->dim; k++) {
        for (size_t i = 0; i < n; i++) {
            x[k * n + i] = rtl_grid_centre(self, k, rtl_grid_index(self, first + i, k));
        }
    }
}

double
rtl_grid_largest_ratio(const rtl_grid_t *self)
{
    double largest = 1.0;

    for (size_t k = 0; k < self->dim; k++) {
        for (size_t i = 0; i + 1 < self->shape[k]; i++) {
            double ratio = rtl_grid_width(self, k, i + 1) / rtl_grid_width(self, k, i);
            largest = fmax(largest, fmax(ratio, 1.0 / ratio));
        }
    }
    return largest;
}

bool
rtl_grid_has_absorbing(const rtl_grid_t *self)
{
    for (size_t k = 0; k < self->dim; k++) {
        if (self->lower[k] == RTL_ABSORBING || self->upper[k] == RTL_ABSORBING) {
            return true;
        }
    }
    return false;
}

double
rtl_grid_volume(const rtl_grid_t *self, size_t cell)
{
    double volume = 1.0;

    for (size_t k = 0; k < self->dim; k++) {
        volume *= rtl_grid_width(self, k, rtl_grid_index(self, cell, k));
    }
    return volume;
}
