/* SPDX-License-Identifier: MIT */
/* Rattling at points, by local-linear regression of increments and of their squares.
 *
 * Increments that start within the bandwidth of a point are fitted by a drift that is
 * linear in the start, and the squares of what is left by a covariance that is:
 * the intercepts belong to the point itself. Unlike averages over a bin or a kernel
 * their bias does not contain grad log p (Fan & Gijbels 1996, sect. 3.2). */
#ifndef RTL_LOCAL_H
#define RTL_LOCAL_H

#include "bins.h"
#include "parallel.h"

typedef struct {
    size_t n_points;
    const double *points;    /* (n_points, dim); borrowed */
    const double *bandwidth; /* (dim,) radius of the kernel along each axis; borrowed */
    size_t n_threads;
} rtl_local_points_t;

/* Kernel (1 - u^2)+ with u the distance in bandwidths; lags, extrapolation, bias of the
 * log det and outputs as in bins.h, one row a point. n_eff counts the kernel's weights
 * and the overlap of increments; count the increments within the bandwidth. */
int rtl_local_estimate(const rtl_bins_paths_t *paths, const rtl_local_points_t *points,
    const rtl_bins_out_t *out, rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
