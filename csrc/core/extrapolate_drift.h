/* SPDX-License-Identifier: MIT */
/* What linear drift does to the covariance of increments.
 *
 * With M = e^(A l) an increment over the lag l from x has mean (M - 1) x. A start that
 * is seen with an error of covariance Sigma was on average at E x, E = 1 + Sigma grad
 * grad log p (Tweedie's formula), so that slopes of mean increments are M E - 1, and is
 * known but for E Sigma. */
#ifndef RTL_EXTRAPOLATE_DRIFT_H
#define RTL_EXTRAPOLATE_DRIFT_H

#include "extrapolate.h"

/* What is added to 1/2 log det C_j, which is c; `seen`, (dim, dim), is M(minus), if the
 * term has one. NaN where that is not to be had. */
double rtl_extrapolate_drift(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *place, size_t term, const double *c,
    const double *seen);

/* Numbers of a lag l and of 2l, which errors of the start shift alike: those of the
 * term, or l of the first term where Sigma is known. */
void rtl_extrapolate_pair(
    const rtl_extrapolate_t *self, size_t term, size_t *l, size_t *twice);

#endif
