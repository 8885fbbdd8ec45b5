/* SPDX-License-Identifier: MIT */
/* One step of the Euler-Maruyama method for a block of paths.
 *
 *     x_{n+1} = x_n + f(x_n) dt + L(x_n) xi_n,   L L^T = 2 D dt,
 *
 * with f the Ito drift and xi_n standard normals of (key, path, n); then walls. */
#ifndef RTL_STEP_H
#define RTL_STEP_H

#include "model.h"
#include "random.h"

/* A box that paths cannot leave; all NULL: there is none. A reflecting wall folds a
 * path that has crossed it back along that axis; a periodic axis is a circle. Where D
 * couples axes at a wall, this is not the no-flux condition, whose reflection is
 * oblique. */
typedef struct {
    const double *lower;  /* (dim,), -inf: no wall there; borrowed, as are the others */
    const double *upper;  /* (dim,), inf: no wall there */
    const bool *periodic; /* (dim,) */
} rtl_walls_t;

/* What the steps of all paths share. */
typedef struct {
    const rtl_model_t *model; /* borrowed */
    rtl_walls_t walls;
    rtl_random_t random;
    double dt; /* time step */
} rtl_step_t;

/* Consecutive paths on their way, and room to work in. */
typedef struct {
    size_t first, n; /* the paths */
    double *x;       /* (dim, n) state; owned, as are the others */
    double *next;    /* (dim, n) state after the step */
    double *drift;   /* (dim, n) f */
    double *noise;   /* (dim, n) D, or (dim, dim, n) D and then L */
    double *normal;  /* (dim, n) xi */
    double *room;    /* (2, n) */
} rtl_step_block_t;

int rtl_step_block_init(rtl_step_block_t *self, size_t dim, size_t first, size_t n)
    RTL_MUST_CHECK;
void rtl_step_block_free(rtl_step_block_t *self);

/* Whether the walls make sense: lower < upper, and both finite on a periodic axis. */
bool rtl_step_check_walls(const rtl_walls_t *walls, size_t dim);

/* A coordinate taken into the box, however far outside it is. */
double rtl_step_fold(const rtl_walls_t *walls, size_t axis, double x);

/* Take a block from `step` to step + 1. Where the numbers are at fault the state is
 * left as it was, and *path (counted in the block) and `fault` say where. A state that
 * is not finite after the step is RTL_NOT_FINITE with fault->what = "path". */
int rtl_step_run(const rtl_step_t *self, rtl_step_block_t *block, uint64_t step,
    size_t *path, rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
