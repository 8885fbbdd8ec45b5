/* SPDX-License-Identifier: MIT */
/* The steady state by sparse LU factorisation, where the SUNDIALS found has KLU.
 *
 * With A = diag(1/(p q)) W diag(p) at a guess (balance.h) and x_k = 1 for the state k
 * most probable there, the other rows of A x = 0 are an M-matrix's system with a
 * non-negative right side: only the pivots are formed by subtraction. */
#ifndef RTL_SPARSE_LU_H
#define RTL_SPARSE_LU_H

#include "balance.h"

/* KLU's version, or NULL where the SUNDIALS that this was built with has none. */
const char *rtl_sparse_lu_version(void);

/* y = log p, better than the guess in y; where exchange is so slow that pivots lose
 * their sign, states keep what the guess says. `bytes` receives the memory of the
 * factors. RTL_NO_KLU: it is not there. A factorisation is not interrupted. */
int rtl_sparse_lu_solve(const rtl_generator_t *chain, rtl_team_t team, double *y,
    size_t *bytes) RTL_MUST_CHECK;

#endif
