/* SPDX-License-Identifier: MIT */
/* A diffusion tensor as jumps between lattice points with non-negative rates:
 *
 *     D + diag(added) = sum_k weight_k e_k e_k^T,   weight_k > 0, e_k integer,
 *
 * D in units of the cells. Up to three coupled axes at once by Selling's algorithm
 * (Selling 1874; Conway & Sloane 1992, Proc. R. Soc. A 436, 55), more by pairs. */
#ifndef RTL_SELLING_H
#define RTL_SELLING_H

#include "status.h"

/* Offsets of any tensor: d (d + 1) / 2 */
#define RTL_SELLING_MOST (RTL_MAX_DIM * (RTL_MAX_DIM + 1) / 2)

typedef struct {
    size_t n;
    int offset[RTL_SELLING_MOST][RTL_MAX_DIM]; /* the first component not 0 is > 0 */
    double weight[RTL_SELLING_MOST];
    double added[RTL_MAX_DIM]; /* to the diagonal; see below */
} rtl_selling_t;

/* The decomposition of d, a symmetric (dim, dim) that is positive semidefinite. No
 * offset has a component beyond longest[axis], 1 to 64: where that is too short for the
 * anisotropy, the smallest number that helps is added to the diagonal of the axes
 * coupled with it, and `floor` at least. RTL_ANISOTROPIC: more than three axes are
 * coupled, and the pairs of them have no non-negative weights. Offsets are the same for
 * any numbering of the axes.
 */
int rtl_selling_decompose(size_t dim, const double *d, const int *longest, double floor,
    rtl_selling_t *out) RTL_MUST_CHECK;

/* The largest eigenvalue of d over the smallest, infinite if that is not positive. */
double rtl_selling_anisotropy(size_t dim, const double *d);

#endif
