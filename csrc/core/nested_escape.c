/* SPDX-License-Identifier: MIT */
/* Quasi-stationary laws from coarser grids: each is the first guess on the next finer
 * one. */
#include <math.h>
#include <string.h>

#include "memory.h"
#include "nested.h"

static const double coarse_rtol = 1e-4;

/* A guess for `grid` from the law on the next coarser one, which is asked likewise;
 * there is none if no grid is coarser, or its law spans too much. */
static int
guess(const rtl_model_t *model, const rtl_grid_t *grid,
    const rtl_steady_options_t *options, double *y, bool *has_guess,
    rtl_steady_info_t *work, rtl_fault_t *fault)
{
    rtl_grid_t coarse = {0};
    rtl_generator_t chain = {0};
    rtl_steady_options_t loose = *options;
    rtl_steady_info_t info = {0};
    double peclet, escape_rate, *coarse_y = NULL;
    bool coarser = false;
    int status = 0;

    *has_guess = false;
    if (grid->n_cells <= RTL_NESTED_SMALLEST) {
        return 0;
    }
    status = rtl_interpolate_coarsen(grid, &coarse, &coarser);
    if (status != 0 || !coarser) {
        goto out;
    }
    coarse_y = rtl_memory_alloc(coarse.n_cells, sizeof *coarse_y);
    if (coarse_y == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = guess(model, &coarse, options, coarse_y, has_guess, work, fault);
    if (status == 0) {
        status = rtl_finite_volume_assemble(&chain, model, &coarse, &peclet,
            options->team.n_threads, options->team.monitor, fault);
    }
    if (status != 0) {
        *has_guess = false;
        status = status == RTL_ANISOTROPIC ? 0 : status;
        goto out;
    }
    loose.rtol = fmax(coarse_rtol, options->rtol);
    loose.method = RTL_STEADY_AUTO;
    status =
        rtl_escape_solve(&chain, &loose, *has_guess, coarse_y, &escape_rate, &info);
    rtl_steady_add_work(work, &info);
    if (status != 0 && status != RTL_NOT_CONVERGED) {
        goto out;
    }
    *has_guess = true;
    for (size_t i = 0; i < coarse.n_cells; i++) {
        *has_guess = *has_guess && isfinite(coarse_y[i]);
    }
    status =
        *has_guess ? rtl_interpolate_law(&coarse, coarse_y, grid, y, options->team) : 0;
out:
    rtl_memory_free(coarse_y);
    rtl_generator_free(&chain);
    rtl_grid_free(&coarse);
    return status;
}

int
rtl_nested_escape(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    double *escape_rate, rtl_steady_info_t *info, rtl_fault_t *fault)
{
    rtl_steady_info_t work = {0};
    bool has_guess = false;
    int status = guess(model, grid, options, y, &has_guess, &work, fault);

    if (status == 0) {
        status = rtl_escape_solve(chain, options, has_guess, y, escape_rate, info);
        rtl_steady_add_work(info, &work);
    }
    return status;
}
