/* SPDX-License-Identifier: MIT */
/* Rattling on the cells of a grid, from increments over one or two lags.
 *
 *     R(l) = 1/2 log det Cov[x(t + l dt) - x(t) | cell of x(t)] / (l dt)
 *     R    = (l2 R(l1) - l1 R(l2)) / (l2 - l1)
 *
 * The second removes the part that is linear in the lag: it is 2 R(1) - R(2) for lags 1
 * and 2. The bias that the log det has in a finite sample is taken off each R(l). */
#ifndef RTL_BINS_H
#define RTL_BINS_H

#include "estimate.h"
#include "grid.h"

enum { RTL_BINS_MAX_LAG = 64 };

typedef struct {
    const double *x; /* (n_paths, n_times, dim), finite; borrowed */
    size_t n_paths, n_times, dim;
    double dt;            /* between states */
    const double *period; /* (dim,) length of a periodic axis, else 0; borrowed */
    size_t n_lags;        /* 1, or 2 to extrapolate */
    size_t lags[2];       /* in states, increasing */
} rtl_bins_paths_t;

/* One number a cell, if not said otherwise. NaN where it cannot be estimated. */
typedef struct {
    double *rattling;   /* needs more samples than dim, and a regular covariance */
    double *error;      /* standard error, if increments in a cell are Gaussian */
    double *covariance; /* (n_cells, dim, dim) per unit time, at the first lag */
    double *drift;      /* (n_cells, dim) mean increment per unit time, first lag */
    double *n_eff;      /* independent increments at the first lag */
    double *count;      /* increments at each lag, overlapping or not */
} rtl_bins_out_t;

/* Whether dt > 0 and there are one or two lags, increasing, up to RTL_BINS_MAX_LAG. */
bool rtl_bins_paths_are_good(const rtl_bins_paths_t *self);

/* Increments from x over each lag, (n_lags, dim). On a periodic axis each step is the
 * shortest way round. */
void rtl_bins_increments(
    const rtl_bins_paths_t *self, const double *x, double *increments);

/* Increments belong to the cell they start from; starts outside the grid belong to
 * none (on a periodic axis of the grid there is no outside). */
int rtl_bins_estimate(const rtl_bins_paths_t *self, const rtl_grid_t *grid,
    const rtl_bins_out_t *out, rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
