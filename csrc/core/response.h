/* SPDX-License-Identifier: MIT */
/* How a function of the steady state answers to changes of drift and diffusion.
 *
 * Let W p = 0 and L(p) be a function whose gradient c has c.p = 0. With the adjoint
 * field a, W^T a = c, a change dw of the rate j -> i changes L by
 *
 *     dL = -dw p_j (a_i - a_j),
 *
 * and the rates of a grid depend on f and log D through the finite-volume formula. One
 * adjoint field gives the answer to a change anywhere. */
#ifndef RTL_RESPONSE_H
#define RTL_RESPONSE_H

#include "finite_volume.h"

/* dL / d log w of each entry of the chain, (n_entries,). */
void rtl_response_rates(const rtl_generator_t *chain, const double *p,
    const double *adjoint, double *change);

/* dL for a change of log D_k and of f_k by 1 at the centre of a cell, falling linearly
 * to 0 at the neighbours' centres: (dim, n_cells) each. The model has diagonal
 * diffusion; what changes is D and the Ito drift. */
int rtl_response_fields(const rtl_model_t *model, const rtl_grid_t *grid,
    const double *p, const double *adjoint, double *diffusion, double *drift,
    rtl_monitor_t *monitor, rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
