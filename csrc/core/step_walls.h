/* SPDX-License-Identifier: MIT */
/* A box that paths live in: what happens to one that a step has taken across a wall.
 *
 * Reflecting walls send it back by twice its distance along the co-normal D n, the
 * direction that belongs to zero flux, n . (f p - div(D p)) = 0; for a diagonal D that
 * is a fold along the axis. A periodic axis is a circle. At absorbing walls paths end
 * (step.h). */
#ifndef RTL_STEP_WALLS_H
#define RTL_STEP_WALLS_H

#include <stdbool.h>
#include <stddef.h>

/* All NULL: there is no box. */
typedef struct {
    const double *lower;  /* (dim,), -inf: no wall there; borrowed, as are the others */
    const double *upper;  /* (dim,), inf: no wall there */
    const bool *periodic; /* (dim,) */
    const bool *absorbing; /* (dim, 2): its lower and its upper wall; NULL: none */
} rtl_walls_t;

/* Whether they make sense: lower < upper, both finite on a periodic axis, which does
 * not absorb. */
bool rtl_step_walls_check(const rtl_walls_t *self, size_t dim);

/* Whether some wall absorbs. */
bool rtl_step_walls_absorb(const rtl_walls_t *self, size_t dim);

/* A coordinate taken into the box, however far outside it is. */
double rtl_step_walls_fold(const rtl_walls_t *self, size_t axis, double x);

/* All coordinates of n points, (dim, n). */
void rtl_step_walls_fold_block(
    const rtl_walls_t *self, size_t dim, size_t n, double *x);

/* The same with co-normals: `g`, (dim, columns, n), is an amplitude, G G^T ~ D. */
void rtl_step_walls_reflect(const rtl_walls_t *self, size_t dim, size_t columns,
    size_t n, const double *g, double *x);

#endif
