/* SPDX-License-Identifier: MIT */
/* Rattling at points, by local polynomial regression of increments and their squares.
 *
 * With b(x) the monomials of (x - x0)/h up to a degree, kernel weights w and
 * S = sum w b b^T, the fit's value at x0 is sum g y, g = w (S^-1 b)_0. Unlike averages
 * over a bin or a kernel its bias does not contain grad log p; with degree 2 it is of
 * fourth order in h (Fan & Gijbels 1996, sect. 3.2). */
#ifndef RTL_LOCAL_H
#define RTL_LOCAL_H

#include "extrapolate.h"
#include "monitor.h"

enum { RTL_LOCAL_RUNGS = 24 };

typedef struct {
    rtl_extrapolate_t terms;
    size_t n_points;
    const double *points;    /* (n_points, dim); borrowed */
    const double *bandwidth; /* (dim,) radius of the kernel on the first rung */
    const double *low;       /* (dim,) see cells.h; borrowed */
    size_t n_rungs;          /* of bandwidths, each sqrt 2 times the one before */
    size_t degree;           /* 0, 1 or 2 */
    bool scaled;             /* as in cells.h */
    size_t n_threads;
} rtl_local_t;

/* One number a point, if not said otherwise. NaN where it cannot be estimated. */
typedef struct {
    double *rattling;
    double *error;      /* standard error of R, for Gaussian increments */
    double *covariance; /* (n_points, dim, dim) per unit time, over the shortest lag */
    double *drift;      /* (n_points, dim) likewise */
    double *n_eff;      /* independent increments behind C */
    double *count;      /* increments within the bandwidth */
    double *kurtosis;   /* excess, of increments along the axes, their mean */
    double *rung;       /* in: negative to choose, else the one to take, which may lie
                         * between two. Out: taken */
} rtl_local_out_t;

/* With one rung, that bandwidth. With more, the largest at which the estimates about
 * the point still agree, within their errors, with those of half the bandwidth, less
 * one rung; the effect of the lag is taken from the largest that agrees. */
int rtl_local_estimate(const rtl_local_t *self, const rtl_increments_t *increments,
    const rtl_local_out_t *out, rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
