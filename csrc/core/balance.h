/* SPDX-License-Identifier: MIT */
/* The balance of a chain relative to its probabilities, y = log p:
 *
 *     A = diag(1/(p q)) W diag(p),   A_ij = w(j -> i) p_j / (p_i q_i),   A_ii = -1.
 *
 * A 1 is the relative residual (W p)_i / (q_i p_i). `value` holds A off the diagonal,
 * in the order of the chain's entries. */
#ifndef RTL_BALANCE_H
#define RTL_BALANCE_H

#include "generator.h"

/* value at y; `work` is (2, n). Ratios p_j / p_i are kept within e^-690 .. e^690. */
void rtl_balance_values(
    const rtl_generator_t *chain, const double *y, double *value, double *work);

/* r = A 1; the largest magnitude is returned, NaN if there is one. */
double rtl_balance_residual(
    const rtl_generator_t *chain, const double *value, double *r);

/* out = A x */
void rtl_balance_apply(
    const rtl_generator_t *chain, const double *value, const double *x, double *out);

/* Gauss-Seidel for A x = b: forward from x = 0, with r = b - A x in the same pass over
 * the entries; and backward from x. */
void rtl_balance_forward(const rtl_generator_t *chain, const double *value,
    const double *b, double *x, double *r);
void rtl_balance_backward(
    const rtl_generator_t *chain, const double *value, const double *b, double *x);

#endif
