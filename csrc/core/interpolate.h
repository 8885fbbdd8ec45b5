/* SPDX-License-Identifier: MIT */
/* From a grid with every second edge to the full one: linear along each axis in turn,
 * wrapped where periodic. */
#ifndef RTL_INTERPOLATE_H
#define RTL_INTERPOLATE_H

#include <stdint.h>

#include "grid.h"
#include "parallel.h"

typedef struct {
    size_t dim;
    size_t fine_shape[RTL_MAX_DIM], coarse_shape[RTL_MAX_DIM];
    int32_t *low[RTL_MAX_DIM];  /* coarse centres on both sides of each fine one; owned
                                 */
    int32_t *high[RTL_MAX_DIM]; /* owned */
    double *
        share[RTL_MAX_DIM]; /* weight of the upper one, beyond [0, 1] at walls; owned */
} rtl_interpolate_t;

/* A grid with every second edge of those axes that have at least 8 cells. *coarser is
 * false, and `coarse` empty, if there is no such axis. The caller frees coarse. */
int rtl_interpolate_coarsen(const rtl_grid_t *fine, rtl_grid_t *coarse, bool *coarser)
    RTL_MUST_CHECK;

/* Beyond the last centres before a wall the field is continued linearly if
 * `extrapolate`, else as a constant. */
int rtl_interpolate_init(rtl_interpolate_t *self, const rtl_grid_t *coarse,
    const rtl_grid_t *fine, bool extrapolate) RTL_MUST_CHECK;
void rtl_interpolate_free(rtl_interpolate_t *self);

/* The coarse cell that holds each fine cell, (n_fine,). */
int rtl_interpolate_parents(
    const rtl_grid_t *coarse, const rtl_grid_t *fine, int32_t *parent) RTL_MUST_CHECK;

/* fine += the interpolated coarse field. `work` is (2, n_fine). */
void rtl_interpolate_add(const rtl_interpolate_t *self, const double *coarse,
    double *fine, double *work, rtl_team_t team);

/* Log probabilities on `fine` from those on `coarse`, the densities interpolated.
 * coarse_y is left with log densities. */
int rtl_interpolate_law(const rtl_grid_t *coarse, double *coarse_y,
    const rtl_grid_t *fine, double *y, rtl_team_t team) RTL_MUST_CHECK;

#endif
