/* SPDX-License-Identifier: MIT */
/* gamma without the steady state, by closing one moment.
 *
 * In the steady state <L R> = 0 for the backward operator L; with p ~ exp(-gamma R),
 *
 *     sum v exp(-gamma R) (L R) = 0. */
#ifndef RTL_CLOSURE_H
#define RTL_CLOSURE_H

#include "monitor.h"

/* The root nearest to `guess` within `reach` of it, found by steps of `step`: NaN if
 * there is none. r, change (n,): R and L R, finite; volume (n,) > 0, or NULL: 1.
 * RTL_BAD_ARGUMENT unless step is positive, guess and reach finite. */
int rtl_closure_solve(size_t n, const double *r, const double *change,
    const double *volume, double guess, double reach, double step,
    rtl_monitor_t *monitor, double *gamma) RTL_MUST_CHECK;

#endif
