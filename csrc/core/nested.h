/* SPDX-License-Identifier: MIT */
/* The steady state of a model on a grid, started from coarser grids: each answer,
 * interpolated in log density, is the first guess on the next finer grid, and its
 * generator a level of the multigrid preconditioner there. */
#ifndef RTL_NESTED_H
#define RTL_NESTED_H

#include "finite_volume.h"
#include "steady.h"

/* log p of the model's generator `chain` on `grid` (irreducible), through coarser grids
 * of the same model. info adds up the work of all of them. */
int rtl_nested_solve(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    rtl_steady_info_t *info, rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
