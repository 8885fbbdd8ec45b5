/* SPDX-License-Identifier: MIT */
/* The member of an exponential family that is nearest to a distribution.
 *
 *     p_gamma = exp(-gamma R) / Z,   <R>_{p_gamma} = <R>_p,
 *
 * which minimises KL(p || p_gamma), a convex function of gamma. */
#ifndef RTL_FAMILY_H
#define RTL_FAMILY_H

#include "monitor.h"

typedef struct {
    double gamma;           /* NaN when R is constant */
    double kl;              /* KL(p || p_gamma), nat */
    double kl_uniform;      /* KL(p || uniform), nat; uniform in volume */
    double total_variation; /* 1/2 sum |P - P_gamma| */
} rtl_family_t;

/* log_p (n,): log of the density, any constant added; r (n,): R; both finite, and
 * spanning less than 1e150. volume (n,) > 0, or NULL: 1. `gamma` is a guess;
 * NaN will do. When R is constant every member is the uniform one. */
int rtl_family_fit(rtl_family_t *self, size_t n, const double *log_p, const double *r,
    const double *volume, double gamma, rtl_monitor_t *monitor) RTL_MUST_CHECK;

#endif
