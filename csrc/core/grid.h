/* SPDX-License-Identifier: MIT */
/* A box divided into cells by the edges of each axis.
 *
 * Cells are numbered in C order: axis 0 varies slowest. */
#ifndef RTL_GRID_H
#define RTL_GRID_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef enum { RTL_REFLECTING, RTL_PERIODIC, RTL_ABSORBING } rtl_boundary_t;

typedef struct {
    size_t dim;
    size_t n_cells;
    size_t shape[RTL_MAX_DIM];         /* cells along each axis, >= 2 */
    size_t stride[RTL_MAX_DIM];        /* cell number step along each axis */
    rtl_boundary_t lower[RTL_MAX_DIM]; /* periodic: both sides are */
    rtl_boundary_t upper[RTL_MAX_DIM];
    double *edges[RTL_MAX_DIM]; /* (shape + 1,) increasing, owned */
} rtl_grid_t;

/* Copies edges[axis], shape[axis] + 1 numbers each. RTL_BAD_ARGUMENT: dim, a shape
 * below 2, edges that do not increase, one periodic side without the other.
 * RTL_TOO_LARGE: the number of cells does not fit an int32_t. */
int rtl_grid_init(rtl_grid_t *self, size_t dim, const size_t *shape,
    const double *const *edges, const rtl_boundary_t *lower,
    const rtl_boundary_t *upper) RTL_MUST_CHECK;
void rtl_grid_free(rtl_grid_t *self);

/* Centre of cell i of an axis. */
static inline double
rtl_grid_centre(const rtl_grid_t *self, size_t axis, size_t i)
{
    return 0.5 * (self->edges[axis][i] + self->edges[axis][i + 1]);
}

/* Width of cell i of an axis. */
static inline double
rtl_grid_width(const rtl_grid_t *self, size_t axis, size_t i)
{
    return self->edges[axis][i + 1] - self->edges[axis][i];
}

/* Index of a cell along one axis. */
static inline size_t
rtl_grid_index(const rtl_grid_t *self, size_t cell, size_t axis)
{
    return cell / self->stride[axis] % self->shape[axis];
}

/* The neighbour of a cell one step up an axis, and the distance between their
 * centres. False at a wall. */
bool rtl_grid_next(
    const rtl_grid_t *self, size_t cell, size_t axis, size_t *next, double *distance);

/* The neighbour one step down. */
bool rtl_grid_previous(
    const rtl_grid_t *self, size_t cell, size_t axis, size_t *previous);

/* The cell sign * e cells away, e (dim,), round periodic axes. False outside the box.
 */
bool rtl_grid_jump(
    const rtl_grid_t *self, size_t cell, const int8_t *e, int sign, size_t *target);

/* Distance from the centre of cell i of an axis to that of cell i + step, which the
 * axis has or, periodic, repeats. */
double rtl_grid_distance(const rtl_grid_t *self, size_t axis, size_t i, int step);

/* Centres of n cells from `first` on, (dim, n). */
void rtl_grid_points(const rtl_grid_t *self, size_t first, size_t n, double *x);

/* The largest ratio of the widths of neighbouring cells along any axis. */
double rtl_grid_largest_ratio(const rtl_grid_t *self);

/* Whether any side is absorbing. */
bool rtl_grid_has_absorbing(const rtl_grid_t *self);

double rtl_grid_volume(const rtl_grid_t *self, size_t cell);

#endif
