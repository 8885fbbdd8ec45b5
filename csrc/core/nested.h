/* SPDX-License-Identifier: MIT */
/* The steady state of a model on a grid, started from coarser grids: each answer,
 * interpolated in log density, is the first guess on the next finer grid, and its
 * generator a level of the multigrid preconditioner there. */
#ifndef RTL_NESTED_H
#define RTL_NESTED_H

#include "escape.h"
#include "finite_volume.h"
#include "steady.h"

/* Grids of so many cells or fewer are solved without a coarser one. */
enum { RTL_NESTED_SMALLEST = 300 };

typedef struct {
    bool log_mean; /* the answer is that of the logarithmic-mean flux (log_mean.h), on a
                    * line without current that of both */
    int rounds;    /* reweighted chains solved on the finest grid */
    double
        gain; /* L1 distance between the answers of the two fluxes; NaN if one only */
    double defect; /* of its balance, see rtl_log_mean_defect; NaN if exponential */
    double error;  /* estimated L1 error of the answer; NaN without a coarser grid */
    bool settled_late; /* the coarser grid's answer is the exponential flux's: error is
                        * then far above that of the logarithmic-mean flux */
} rtl_nested_flux_t;

/* log p of the model's generator `chain` on `grid` (irreducible), through coarser grids
 * of the same model. info adds up the work of all of them.
 *
 * If `reweighted` is not NULL the logarithmic-mean flux is tried: where it settles y is
 * its answer and *reweighted the chain whose steady state that is, or empty if that is
 * `chain` too; else y is the exponential flux's and *reweighted is empty. The caller
 * frees it.
 *
 * flux->error compares with the same flux on the next coarser grid, if it settled
 * there, as for a scheme of second order. */
int rtl_nested_solve(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    rtl_generator_t *reweighted, rtl_steady_info_t *info, rtl_nested_flux_t *flux,
    rtl_fault_t *fault) RTL_MUST_CHECK;

/* The same for a chain with killing: the quasi-stationary law (see escape.h). */
int rtl_nested_escape(const rtl_generator_t *chain, const rtl_model_t *model,
    const rtl_grid_t *grid, const rtl_steady_options_t *options, double *y,
    double *escape_rate, rtl_steady_info_t *info, rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
