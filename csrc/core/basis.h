/* SPDX-License-Identifier: MIT */
/* Rattling from global polynomials: increments and their squares, over each lag, are
 * regressed on
 *
 *     B(x) = products of He_e((x_k - mean_k)/s_k)/sqrt(e!) over the axes k, sum e <= m,
 *
 * with sin and cos of multiples of the angle on periodic axes. */
#ifndef RTL_BASIS_H
#define RTL_BASIS_H

#include "extrapolate.h"

enum { RTL_BASIS_DEGREE = 12, RTL_BASIS_TERMS = 128 };

typedef struct {
    rtl_extrapolate_t terms;
    size_t n_points;
    const double *points; /* (n_points, dim); borrowed */
    const double *width;  /* (dim,) of the cells that the increments are summed over */
    const double *low;    /* (dim,) see cells.h; borrowed */
    size_t degree;        /* m */
    bool scaled;          /* as in cells.h */
} rtl_basis_t;

/* One number a point, if not said otherwise. NaN where it cannot be estimated. */
typedef struct {
    double *rattling;
    double *error;      /* standard error of R, for Gaussian increments */
    double *covariance; /* (n_points, dim, dim) per unit time, over the shortest lag */
    double *drift;      /* (n_points, dim) likewise */
    double *n_eff;      /* independent increments behind C */
    double *count;      /* all increments */
    double *kurtosis;   /* excess, of increments along the axes, their mean */
} rtl_basis_out_t;

/* RTL_NOT_POSITIVE_DEFINITE: the data do not determine so many terms.
 * RTL_BAD_ARGUMENT: more than RTL_BASIS_TERMS terms. */
int rtl_basis_estimate(const rtl_basis_t *self, const rtl_increments_t *increments,
    const rtl_basis_out_t *out, rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
