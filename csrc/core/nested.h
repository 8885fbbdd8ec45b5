/* SPDX-License-Identifier: MIT */
/* The steady state of a model on a grid, started from coarser grids: each answer,
 * interpolated in log density, is the first guess on the next finer grid. */
#ifndef RTL_NESTED_H
#define RTL_NESTED_H

#include "finite_volume.h"
#include "steady.h"

/* A grid with every second edge of those axes that have at least 8 cells. *coarser is
 * false, and `coarse` empty, if there is no such axis. The caller frees coarse. */
int rtl_nested_coarsen(const rtl_grid_t *fine, rtl_grid_t *coarse, int *coarser)
    RTL_MUST_CHECK;

/* Log density at the cells of `fine` from that of `coarse`: linear along each axis in
 * turn, extrapolated at walls, wrapped where periodic. */
int rtl_nested_interpolate(const rtl_grid_t *coarse, const double *coarse_log_density,
    const rtl_grid_t *fine, double *log_density) RTL_MUST_CHECK;

/* log p of the model's generator `chain` on `grid` (irreducible), through coarser grids
 * of the same model. info adds up the work of all of them. */
int rtl_nested_solve(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    rtl_steady_info_t *info, rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
