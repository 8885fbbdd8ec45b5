/* SPDX-License-Identifier: MIT */
/* The quasi-stationary law of a chain that is left for good, and its escape rate.
 *
 *     W p = -kappa p,   kappa = sum_j k_j p_j = -(the largest eigenvalue of W),
 *
 * k the killing: what the chain looks like after a long time, given that it has not
 * been left (Darroch & Seneta 1967, J. Appl. Probab. 4, 192). */
#ifndef RTL_ESCAPE_H
#define RTL_ESCAPE_H

#include "steady.h"

/* log p and kappa of a chain with killing that is irreducible without it; residuals are
 * |(W p + kappa p)_i| / (q_i p_i). `y` and the other arguments are those of
 * rtl_steady_solve. A chain without killing has kappa = 0 and its steady state. */
int rtl_escape_solve(const rtl_generator_t *chain, const rtl_steady_options_t *options,
    bool has_guess, double *y, double *escape_rate, rtl_steady_info_t *info)
    RTL_MUST_CHECK;

#endif
