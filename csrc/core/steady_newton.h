/* SPDX-License-Identifier: MIT */
/* The iterative solution of the steady state; see steady.h for the equation. */
#ifndef RTL_STEADY_NEWTON_H
#define RTL_STEADY_NEWTON_H

#include "steady.h"

/* As rtl_steady_solve, by iteration alone. The answer is not checked here; info gets
 * the counts of the work. */
int rtl_steady_newton(const rtl_generator_t *chain, rtl_geometric_t *geometric,
    const rtl_steady_options_t *options, bool has_guess, double *y,
    rtl_steady_info_t *info) RTL_MUST_CHECK;

#endif
