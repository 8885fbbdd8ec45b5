/* SPDX-License-Identifier: MIT */
/* The steady state of chains that forget their start within a few jumps, by
 * Gauss-Seidel sweeps x_i = sum_j w(j -> i) x_j / q_i from two starts at once.
 *
 * Where the two agree the chain has forgotten its start; a slow mode, which a small
 * residual would hide, keeps them apart. */
#ifndef RTL_MIXING_H
#define RTL_MIXING_H

#include "generator.h"
#include "monitor.h"

/* log p to the relative tolerance, after *n_rounds sweeps there and back.
 * RTL_NOT_CONVERGED, with y as it was, as soon as too many sweeps are to be expected:
 * mostly after three rounds. */
int rtl_mixing_solve(const rtl_generator_t *chain, double tolerance,
    rtl_monitor_t *monitor, double *y, long *n_rounds) RTL_MUST_CHECK;

#endif
