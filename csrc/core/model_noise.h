/* SPDX-License-Identifier: MIT */
/* The noise amplitude of a model as it was given, or a root of its D.
 *
 *     D = G G^T / 2 */
#ifndef RTL_MODEL_NOISE_H
#define RTL_MODEL_NOISE_H

#include "model.h"

/* Columns of G: n_noise where a matrix was given, else dim. */
size_t rtl_model_noise_columns(const rtl_model_t *self);

/* G at n points, (dim, columns, n), checked finite: what was given if that was a noise;
 * else the roots of a diagonal 2 D, or the lower triangle L of a full one, L L^T = 2 D.
 * `room` holds 2 n numbers. */
int rtl_model_noise(const rtl_model_t *self, const double *x, size_t n, double *g,
    double *room, rtl_fault_t *fault) RTL_MUST_CHECK;

/* The positive semidefinite D of n points, (dim, dim, n), becomes L, lower triangular
 * (zeros above), L L^T = factor D, by Cholesky; `room` holds 2 n numbers. */
void rtl_model_noise_factorise(
    size_t dim, size_t n, double factor, double *d, double *room);

#endif
