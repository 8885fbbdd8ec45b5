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

/* value at y. Ratios p_j / p_i are kept within e^-690 .. e^690. `work`, (2, n), is left
 * with p = work[i] 2^work[n + i], 1 <= work[i] < 2. */
void rtl_balance_values(
    const rtl_generator_t *chain, const double *y, double *value, double *work);

/* p_i / p_j from what rtl_balance_values left in work. */
double rtl_balance_ratio(const double *work, size_t n, size_t i, size_t j);

/* r = A 1; the largest magnitude is returned, NaN if there is one. */
double rtl_balance_residual(
    const rtl_generator_t *chain, const double *value, double *r);

/* out = A x */
void rtl_balance_apply(
    const rtl_generator_t *chain, const double *value, const double *x, double *out);

/* Largest j - i over the entries. */
size_t rtl_balance_reach(const rtl_generator_t *chain);

/* Gauss-Seidel for A x = b: forward from x = 0, with r = b - A x in the same pass; and
 * backward from x. `reach` is at least that of the chain. */
void rtl_balance_forward(const rtl_generator_t *chain, const double *value,
    size_t reach, const double *b, double *x, double *r);
void rtl_balance_backward(
    const rtl_generator_t *chain, const double *value, const double *b, double *x);

#endif
