/* SPDX-License-Identifier: MIT */
/* Aggregation multigrid for the balance of a chain: the steady state's preconditioner.
 *
 * Every level is a Markov chain. The chain of aggregates has the rates
 * W_IJ = sum_{i in I, j in J} w(j -> i) p_j / P_J and log P_I = log sum_I p, so exit
 * rates need no subtraction and nothing underflows. On each level
 *
 *     A = diag(1/(p q)) W diag(p),   A_ij = w(j -> i) p_j / (p_i q_i),   A_ii = -1.
 *
 * Notay 2012, SIAM J. Sci. Comput. 34, A2288 (double pairwise aggregation); Notay &
 * Vassilevski 2008, Numer. Linear Algebra Appl. 15, 473 (K-cycle). */
#ifndef RTL_MULTILEVEL_H
#define RTL_MULTILEVEL_H

#include <stdbool.h>

#include "balance.h"

typedef struct {
    rtl_balance_t balance; /* A at y; its chain: finest, borrowed; coarser, `own` */
    rtl_generator_t own;
    double *y;           /* (n,) log p; owned */
    int32_t *aggregate;  /* (n,) state of the next level; owned, NULL on the last */
    int32_t *target;     /* (n_entries,) entry of the next level, -1 inside; owned */
    double *share;       /* (n,) p_i / P_I; owned */
    double *restriction; /* (n,) p_i q_i / (P_I q_I); owned */
    double *work;        /* (WORK, n) vectors of the cycle; owned */
} rtl_level_t;

enum { RTL_MULTILEVEL_MAX = 40 };

typedef struct {
    size_t n_levels;
    bool is_current; /* updated since `init`, and y not changed from within */
    rtl_level_t level[RTL_MULTILEVEL_MAX];
    int32_t *order; /* (2, n) coarsest states by falling p, and the inverse; owned */
    double *dense;  /* (n, n) eliminated coarsest chain, entries times p_j / p_i; owned.
                      NULL if the coarsest chain is large: then it is only smoothed */
} rtl_multilevel_t;

/* The team's monitor may interrupt each of these; rtl_multilevel_update, and nothing
 * less, makes up for it. */

/* Aggregates chosen for probabilities e^y. `chain` is borrowed and must outlive self.
 */
int rtl_multilevel_init(rtl_multilevel_t *self, const rtl_generator_t *chain,
    const double *y, rtl_team_t team) RTL_MUST_CHECK;
void rtl_multilevel_free(rtl_multilevel_t *self);

/* New probabilities, same aggregates. */
int rtl_multilevel_update(rtl_multilevel_t *self, const double *y) RTL_MUST_CHECK;

/* x = M b, one cycle. RTL_INTERRUPTED is the only failure. */
int rtl_multilevel_cycle(rtl_multilevel_t *self, const double *b, double *x)
    RTL_MUST_CHECK;

/* A multiplicative cycle from the y of the last update: the coarsest chain is solved
 * exactly, and each level keeps the shares within its aggregates and is smoothed by
 * `sweeps` Gauss-Seidel sweeps. It subtracts nothing, so exchange between metastable
 * parts, which no residual shows, comes out as right as the parts themselves (Takahashi
 * 1975; Horton & Leutenegger 1994). Self is left updated to the new y. */
int rtl_multilevel_multiply(rtl_multilevel_t *self, int sweeps, double *y)
    RTL_MUST_CHECK;

/* Take from z its p-weighted mean over each coarsest aggregate: what `multiply` finds
 * better. */
void rtl_multilevel_project(rtl_multilevel_t *self, double *z);

size_t rtl_multilevel_bytes(const rtl_multilevel_t *self);

#endif
