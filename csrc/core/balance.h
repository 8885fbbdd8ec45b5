/* SPDX-License-Identifier: MIT */
/* The balance of a chain relative to its probabilities, y = log p:
 *
 *     A = diag(1/(p q)) W diag(p),   A_ij = w(j -> i) p_j / (p_i q_i),   A_ii = -1.
 *
 * A 1 is the relative residual (W p)_i / (q_i p_i). All loops run on a few threads
 * where the chain is long, and the numbers do not depend on how many. */
#ifndef RTL_BALANCE_H
#define RTL_BALANCE_H

#include "generator.h"
#include "parallel.h"

typedef struct {
    const rtl_generator_t *chain; /* borrowed */
    double *value;   /* (n_entries,) A off the diagonal, in the order of the chain's
                      * entries; owned */
    rtl_team_t team; /* that runs its loops */
    /* Sweeps go through strips of consecutive states: first every other one, then the
     * rest, which no rate links with each other. */
    size_t strip;             /* states in a strip; n where that cannot be had */
    size_t reach;             /* largest j - i of the entries within strips */
    size_t from_low, to_high; /* states at both ends of even strips that others feed */
} rtl_balance_t;

/* The chain's rates may change later, but not its pattern. */
int rtl_balance_init(rtl_balance_t *self, const rtl_generator_t *chain, rtl_team_t team)
    RTL_MUST_CHECK;
void rtl_balance_free(rtl_balance_t *self);

/* value at y. Ratios p_j / p_i are kept within e^-690 .. e^690. `work`, (2, n), is left
 * with p = work[i] 2^work[n + i], 1 <= work[i] < 2. */
void rtl_balance_update(rtl_balance_t *self, const double *y, double *work);

/* p_i / p_j from what rtl_balance_update left in work. */
double rtl_balance_ratio(const double *work, size_t n, size_t i, size_t j);

/* r = A 1; the largest magnitude is returned, NaN if there is one. */
double rtl_balance_residual(const rtl_balance_t *self, double *r);

/* out = A x */
void rtl_balance_apply(const rtl_balance_t *self, const double *x, double *out);

/* b -= A x */
void rtl_balance_reduce(const rtl_balance_t *self, const double *x, double *b);

/* Gauss-Seidel for A x = b: forward from x = 0, with r = b - A x in the same pass; and
 * backward from x. */
void rtl_balance_forward(
    const rtl_balance_t *self, const double *b, double *x, double *r);
void rtl_balance_backward(const rtl_balance_t *self, const double *b, double *x);

/* Gauss-Seidel for A x = 0 there and back from x > 0, which stays positive. */
void rtl_balance_relax(const rtl_balance_t *self, double *x);

#endif
