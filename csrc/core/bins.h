/* SPDX-License-Identifier: MIT */
/* Rattling on the cells of a grid: the sample covariance of the increments that start
 * in each, extrapolated to lag zero as extrapolate.h says. */
#ifndef RTL_BINS_H
#define RTL_BINS_H

#include "extrapolate.h"
#include "grid.h"

typedef struct {
    rtl_extrapolate_t terms;
    const rtl_grid_t *grid; /* borrowed */
    double dt;
    bool uneven; /* times are summed; else all steps take dt */
    bool scaled; /* as in cells.h */
    size_t n_threads;
} rtl_bins_t;

/* One number a cell, if not said otherwise. NaN where it cannot be estimated. */
typedef struct {
    double *rattling;   /* needs more samples than dim, and a regular covariance */
    double *error;      /* standard error, if increments in a cell are Gaussian */
    double *covariance; /* (n_cells, dim, dim) per unit time, from the shortest lag */
    double *drift;      /* (n_cells, dim) mean increment per unit time, likewise */
    double *n_eff;      /* independent increments at the first lag */
    double *count;      /* increments at each lag, overlapping or not */
    double *kurtosis;   /* excess, of increments along the axes, their mean */
} rtl_bins_out_t;

/* Numbers that are summed in a cell: how many increments; then fourth powers at the
 * first lag, (dim,); then for each lag increments, (dim,), and squares; then how many
 * pairs of starts are 1 .. longest - 1 states apart; then, if uneven, for each lag time
 * and weight, as in cells.h. Starts `longest` apart have an error of measurement in
 * common at most, and what the terms make of that sums to 0 or, where its covariance is
 * known, to little: they are taken to be as many as those one less apart. */
size_t rtl_bins_size(size_t dim, size_t n_lags, size_t longest, bool uneven);

/* Add a start with its increments, (n_lags, dim); the pairs are left alone. */
void rtl_bins_add(size_t dim, size_t n_lags, double *sums, const double *dx);

/* Add the sums of all increments to `sums`, (n_cells, size). Increments belong to the
 * cell they start from; starts outside the grid belong to none (on a periodic axis of
 * the grid there is no outside). */
int rtl_bins_sum(const rtl_bins_t *self, const rtl_increments_t *increments,
    double *sums, rtl_monitor_t *monitor) RTL_MUST_CHECK;

/* What sums, of any number of calls, say. */
int rtl_bins_conclude(const rtl_bins_t *self, const double *sums,
    const rtl_bins_out_t *out, rtl_monitor_t *monitor) RTL_MUST_CHECK;

/* Number of the cell of a point, or n_cells where it is outside. */
size_t rtl_bins_find(const rtl_grid_t *grid, const double *x);

/* How many of n points, (n, dim), lie in each cell, (n_cells,): added to `count`. */
int rtl_bins_count(const rtl_grid_t *grid, const double *x, size_t n, double *count,
    rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
