/* SPDX-License-Identifier: MIT */
/* What all estimators of rattling share, and the published one.
 *
 *     R = 1/2 log det C,   C = covariance of displacements per unit time,
 *
 * C = 2D for white noise. In windows of one path this is the estimator of Chvykov et
 * al. (2021), Science 371, 90. */
#ifndef RTL_ESTIMATE_H
#define RTL_ESTIMATE_H

#include <stddef.h>

#include "monitor.h"

/* psi and psi', x > 0, to about 1e-15. */
double rtl_estimate_digamma(double x);
double rtl_estimate_trigamma(double x);

/* log det of a sample covariance, (dim, dim): -inf where it is singular to rounding,
 * NaN where a value is not finite. `work` has room for dim * dim numbers. */
double rtl_estimate_log_det(size_t dim, const double *c, double *work);

/* Bias and variance of 1/2 log det of a sample covariance with `dof` Gaussian degrees
 * of freedom, dof > dim - 1. */
void rtl_estimate_log_det_law(size_t dim, double dof, double *bias, double *variance);

/* --- windows ---------------------------------------------------------------------- */

typedef enum {
    RTL_SQRT_TIME, /* v_k = (x_k - x_0) / sqrt((k + 1) dt), k = 0 .. rows-1 */
    RTL_INCREMENTS /* v_k = (x_{k+1} - x_k) / sqrt(dt), k = 0 .. rows-2 */
} rtl_displacement_t;

typedef struct {
    const double *x; /* (n_times, dim); borrowed */
    size_t n_times, dim;
    double dt;
    size_t rows;   /* of x in a window */
    size_t stride; /* rows from one window to the next */
    rtl_displacement_t displacement;
    size_t n_threads;
} rtl_estimate_windows_t;

/* R of windows 0 .. n_windows-1, window i being rows i stride .. i stride + rows - 1.
 * -inf where the covariance is singular, NaN where x is. */
int rtl_estimate_windowed(const rtl_estimate_windows_t *self, size_t n_windows,
    double *rattling, rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
