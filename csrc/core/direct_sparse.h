/* SPDX-License-Identifier: MIT */
/* GTH elimination of a sparse chain: exact to rounding in each entry, whatever the
 * rates.
 *
 * Of the states that are left always one with few neighbours is eliminated, with
 *
 *     w(i -> j) += w(i -> k) w(k -> j) / s_k,   s_k = sum of the rates out of k,
 *
 * and p_k = sum_i w(i -> k) p_i / s_k afterwards: nothing is subtracted. */
#ifndef RTL_DIRECT_SPARSE_H
#define RTL_DIRECT_SPARSE_H

#include "generator.h"
#include "monitor.h"

/* log p of an irreducible chain. A tree costs O(n), two-dimensional grids O(n^1.5) time
 * and O(n log n) memory. RTL_TOO_LARGE, mostly at once: more than `most_work` products
 * of rates or `most_bytes` bytes are to be expected. RTL_NOT_CONVERGED: rates of the
 * chain watched on few states underflow, or it is reducible. `bytes` gets the peak. */
int rtl_direct_sparse(const rtl_generator_t *chain, double most_work, double most_bytes,
    rtl_monitor_t *monitor, double *y, size_t *bytes) RTL_MUST_CHECK;

#endif
