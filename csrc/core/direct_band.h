/* SPDX-License-Identifier: MIT */
/* GTH elimination of a sparse chain within a band: exact to rounding in each entry.
 *
 * States are numbered by distance from an end of the chain (Cuthill & McKee 1969, Proc.
 * 24th ACM Nat. Conf., 157), so that links join near numbers; what elimination fills in
 * stays as near. */
#ifndef RTL_DIRECT_BAND_H
#define RTL_DIRECT_BAND_H

#include "generator.h"
#include "monitor.h"

/* order[0] .. order[n-1] number the states of a chain; `band` receives the largest
 * difference of the numbers of linked states. RTL_TOO_LARGE: that is above `most`.
 * RTL_BAD_ARGUMENT: the chain is reducible. */
int rtl_direct_band_order(const rtl_generator_t *chain, size_t most, int32_t *order,
    size_t *band) RTL_MUST_CHECK;

/* log p in n band^2 operations and 16 n band bytes. It is NaN or infinite somewhere, or
 * does not balance, where the chain's watched rates underflow. */
int rtl_direct_band_solve(const rtl_generator_t *chain, const int32_t *order,
    size_t band, rtl_monitor_t *monitor, double *y) RTL_MUST_CHECK;

#endif
