/* SPDX-License-Identifier: MIT */
/* Small symmetric matrices at n points, (dim, dim, n): made from noise amplitudes,
 * checked, and their determinants; inverses and products of single ones.
 *
 *     D = G G^T / 2,    log det D */
#ifndef RTL_TENSOR_H
#define RTL_TENSOR_H

#include <stdbool.h>

#include "status.h"

/* |D_ij - D_ji| allowed in units of the elements: users compute in floating point. */
#define RTL_TENSOR_TOLERANCE 1e-12

/* d = g g^T / 2, exactly symmetric: g is (dim, columns, n), d is (dim, dim, n). */
void rtl_tensor_from_noise(
    const double *g, size_t dim, size_t columns, size_t n, double *d);

/* Make d, (dim, dim, n), exactly symmetric. RTL_NOT_SYMMETRIC where it is not so up to
 * round-off: then *point and *component (i * dim + j, i < j) say where. */
int rtl_tensor_symmetrise(
    double *d, size_t dim, size_t n, size_t *point, size_t *component) RTL_MUST_CHECK;

/* Log det of one symmetric matrix, whose elements are `stride` numbers apart: -inf if
 * it is singular. False if it is not positive semidefinite. The verdict does not
 * depend on the units of the coordinates. `work` has room for dim * dim numbers. */
bool rtl_tensor_log_det(
    const double *a, size_t dim, size_t stride, double *work, double *value);

/* Invert a symmetric positive definite matrix, (n, n), or one near the identity, in
 * place. False, and a is spoilt, if a leading minor is not positive to rounding. */
bool rtl_tensor_invert(size_t n, double *a);

/* out = a b, and a b a^T; matrices are (n, n), and out is none of the others. */
void rtl_tensor_multiply(size_t n, const double *a, const double *b, double *out);
void rtl_tensor_conjugate(size_t n, const double *a, const double *b, double *out);

/* Trace of a^T b. */
double rtl_tensor_trace(size_t n, const double *a, const double *b);

#endif
