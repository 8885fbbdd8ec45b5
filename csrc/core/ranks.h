/* SPDX-License-Identifier: MIT */
/* Weighted mid-ranks: the weight below plus half the weight of what is equal.
 *
 *     rank_i = sum_{x_j < x_i} w_j + 1/2 sum_{x_j = x_i} w_j */
#ifndef RTL_RANKS_H
#define RTL_RANKS_H

#include "monitor.h"

/* Ranks of n finite numbers. `weights` (n,), or NULL: 1 / n each, which gives the usual
 * average ranks up to scale and origin. RTL_TOO_LARGE: n does not fit a uint32_t.
 * Takes time proportional to n and 24 bytes a number. */
int rtl_ranks_fill(size_t n, const double *x, const double *weights,
    rtl_monitor_t *monitor, double *ranks) RTL_MUST_CHECK;

#endif
