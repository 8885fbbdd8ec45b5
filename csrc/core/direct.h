/* SPDX-License-Identifier: MIT */
/* Steady states by elimination without subtraction, exact to rounding in each entry.
 *
 * GTH (Grassmann, Taksar & Heyman 1985, Oper. Res. 33, 1107) for dense chains, and
 * Kirchhoff's sum over spanning trees for lines and rings. */
#ifndef RTL_DIRECT_H
#define RTL_DIRECT_H

#include "generator.h"
#include "monitor.h"

/* Eliminate states n-1, ..., n_left >= 1 of a dense chain in place. w[i n + j] = rate
 * j -> i; what the diagonal holds is ignored. Afterwards w[k n + j] and w[j n + k],
 * j < k, are the rates of the chain watched on states 0 .. k, and w[k n + k] is the
 * rate at which k leaves for states below it. That is 0 only if no state below k can be
 * reached. Rates among states below n_left are those watched on them.
 * RTL_INTERRUPTED is the only failure. */
int rtl_direct_eliminate(size_t n, size_t n_left, rtl_monitor_t *monitor, double *w)
    RTL_MUST_CHECK;

/* States by falling y: order[0] has the largest. */
int rtl_direct_order(size_t n, const double *y, int32_t *order) RTL_MUST_CHECK;

/* Row-major dense rates of the chain with its states in this order; place[] receives
 * the inverse of order[]. */
void rtl_direct_gather(
    const rtl_generator_t *chain, const int32_t *order, int32_t *place, double *w);

/* log p of a chain by GTH; O(n^3) time, 8 n^2 bytes. The chain has one recurrent class
 * and no transient state. On entry y holds a guess, which only sets the order:
 * the most probable are eliminated first. Then rates that are left are no slower than
 * those of the improbable states themselves; the other way round they would end as
 * those of slow exchange between metastable parts, which underflow. */
int rtl_direct_dense(const rtl_generator_t *chain, rtl_monitor_t *monitor, double *y)
    RTL_MUST_CHECK;

/* A ring's states are linked only to i +- 1 (mod n), both ways; a line lacks the link
 * from n-1 to 0, and has no current. */
typedef enum { RTL_DIRECT_OTHER, RTL_DIRECT_LINE, RTL_DIRECT_RING } rtl_direct_shape_t;

rtl_direct_shape_t rtl_direct_shape(const rtl_generator_t *chain);

/* log p of a line or a ring, O(n). */
int rtl_direct_ring(const rtl_generator_t *chain, rtl_direct_shape_t shape,
    rtl_monitor_t *monitor, double *y) RTL_MUST_CHECK;

/* Subtract log sum exp(y), so that p sums to 1. */
void rtl_direct_normalise(size_t n, double *y);

#endif
