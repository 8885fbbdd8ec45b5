/* SPDX-License-Identifier: MIT */
/* Which states of a chain to join, and the pattern of the chain of the joined ones.
 *
 * Double pairwise matching by the symmetrised flow between two states, relative to the
 * throughput of the first: (w(j->i) p_j + w(i->j) p_i) / (p_i q_i). */
#ifndef RTL_AGGREGATE_H
#define RTL_AGGREGATE_H

#include "generator.h"

/* All of these ask `monitor`, which may be NULL, whether to go on. */

/* aggregate[i], (n,), gets the group of state i, 0 .. *n_groups - 1, of about four. */
int rtl_aggregate_match(const rtl_generator_t *chain, const double *y,
    rtl_monitor_t *monitor, int32_t *aggregate, size_t *n_groups) RTL_MUST_CHECK;

/* Groups linked by flows that are not weak for one of the two states: at least 1e-3 of
 * its strongest. The parts of a metastable chain, in time linear in its entries. */
int rtl_aggregate_strong(const rtl_generator_t *chain, const double *y,
    rtl_monitor_t *monitor, int32_t *aggregate, size_t *n_groups) RTL_MUST_CHECK;

/* The chain of groups with all rates zero, and for each entry of `chain` the entry of
 * `coarse` it adds to, -1 inside a group. The caller frees coarse. */
int rtl_aggregate_pattern(const rtl_generator_t *chain, const int32_t *aggregate,
    size_t n_groups, rtl_monitor_t *monitor, rtl_generator_t *coarse, int32_t *target)
    RTL_MUST_CHECK;

/* Given the pattern: log P_I, p_i / P_I and the rates between groups,
 * W_IJ = sum w(j -> i) p_j / P_J. `work` is (n_groups,). */
int rtl_aggregate_rates(const rtl_generator_t *chain, const double *y,
    const int32_t *aggregate, const int32_t *target, rtl_monitor_t *monitor,
    rtl_generator_t *coarse, double *coarse_y, double *share, double *work)
    RTL_MUST_CHECK;

#endif
