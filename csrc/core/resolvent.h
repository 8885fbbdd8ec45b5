/* SPDX-License-Identifier: MIT */
/* The resolvent of a chain, x = (1 - gamma W)^-1 b: one multigrid cycle for it.
 *
 * It is the law after an exponentially distributed time of mean gamma, from the law b.
 * Every level is a Markov chain, W_IJ = sum w(j -> i) s_j with the shares s of states
 * in their aggregate, so the same hierarchy serves every gamma.
 *
 * Notay 2012, SIAM J. Sci. Comput. 34, A2288; Notay & Vassilevski 2008, Numer. Linear
 * Algebra Appl. 15, 473 (K-cycle). */
#ifndef RTL_RESOLVENT_H
#define RTL_RESOLVENT_H

#include "generator.h"
#include "monitor.h"

enum { RTL_RESOLVENT_LEVELS = 40 };

typedef struct {
    const rtl_generator_t *chain; /* finest: borrowed; else points to own */
    rtl_generator_t own;
    double fastest;     /* largest exit rate */
    int32_t *aggregate; /* (n,) state of the next level; owned, NULL on the last */
    double *share;      /* (n,) its share of it; owned, NULL on the last */
    double *inverse;    /* (n,) 1 / (1 + gamma q); owned */
    double *work;       /* vectors of the cycle; owned */
} rtl_resolvent_level_t;

typedef struct {
    size_t n_levels;
    size_t n_active; /* levels that the present gamma needs */
    rtl_resolvent_level_t level[RTL_RESOLVENT_LEVELS];
    double *dense; /* (n + 1, n + 1) the coarsest chain, eliminated; state 0 is outside;
                      owned. NULL if the coarsest chain is large */
    double gamma;
    rtl_monitor_t *monitor; /* borrowed; NULL for none */
} rtl_resolvent_t;

/* The hierarchy, for gamma = 0. `chain` is borrowed and must outlive self. `guess` (n,)
 * is log p of the steady state, roughly: aggregates are chosen by it. NULL: sweeps from
 * a constant have to do. */
int rtl_resolvent_init(rtl_resolvent_t *self, const rtl_generator_t *chain,
    const double *guess, rtl_monitor_t *monitor) RTL_MUST_CHECK;
void rtl_resolvent_free(rtl_resolvent_t *self);

/* Another gamma >= 0. */
int rtl_resolvent_set(rtl_resolvent_t *self, double gamma) RTL_MUST_CHECK;

/* x = M b, one cycle. RTL_INTERRUPTED is the only failure. */
int rtl_resolvent_cycle(rtl_resolvent_t *self, const double *b, double *x)
    RTL_MUST_CHECK;

/* Add to x, along |p| (n,), what it lacks of sum (1 - gamma W) x = sum b. */
void rtl_resolvent_keep_mass(
    const rtl_resolvent_t *self, const double *p, const double *b, double *x);

#endif
