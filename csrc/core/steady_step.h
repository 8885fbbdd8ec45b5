/* SPDX-License-Identifier: MIT */
/* Changes of log p: steps in p, sweeps, and how large a change is. */
#ifndef RTL_STEADY_STEP_H
#define RTL_STEADY_STEP_H

#include <stdbool.h>

#include "balance.h"

/* y += log(1 + z), the factors of p bounded below by `floor`. A (1 + z) = 0 leaves the
 * scale of 1 + z open, even its sign: it is fixed by sum p (1 + z) = sum p. */
void rtl_steady_step_in_p(
    size_t n, const double *z, double floor, rtl_team_t team, double *y);

/* Gauss-Seidel sweeps at y, to which `balance` is updated, for the factors of p: they
 * carry what is wrong with tails along the drift. `work` is (n,). */
int rtl_steady_step_sweep(
    const rtl_balance_t *balance, int n_sweeps, double *y, double *work) RTL_MUST_CHECK;

/* Largest difference of two log laws, which are normalised here. */
double rtl_steady_step_change(size_t n, double *a, double *b);

/* Whether a guess can be started from. */
bool rtl_steady_step_finite(size_t n, const double *y);

#endif
