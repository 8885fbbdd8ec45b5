/* SPDX-License-Identifier: MIT */
/* Geometric multigrid for the balance of a generator on a grid: the preconditioner
 * where coarser grids are at hand.
 *
 * The same operator as multilevel.h, A = diag(1/(p q)) W diag(p); but coarse levels are
 * the generators of coarser grids at their own steady states, which the solution passes
 * through anyway (nested.h), and corrections are interpolated linearly. It needs fewer
 * and cheaper cycles than aggregates where the solution is smooth on the grid. */
#ifndef RTL_GEOMETRIC_H
#define RTL_GEOMETRIC_H

#include <stdbool.h>

#include "balance.h"
#include "interpolate.h"
#include "multilevel.h"

typedef struct {
    rtl_balance_t balance; /* A at y */
    double *y;             /* (n,) log p; owned */
    double *work;          /* vectors of the cycle; owned */
    /* between this level and the next coarser one; unused on the coarsest: */
    rtl_interpolate_t interpolate;
    size_t n_slabs;         /* coarse cells along axis 0 */
    size_t slab, fine_slab; /* cells in one, and in the fine ones of one */
    int32_t *parent;        /* (n,) coarse cell; owned */
    double *restriction;    /* (n,) p_i q_i / (P_I Q_I); owned */
    int32_t *top; /* (n_coarse,) most probable cell of each coarse one; owned */
    bool updated; /* balance and restriction are those of y */
} rtl_geometric_level_t;

enum { RTL_GEOMETRIC_MAX = 32 };

typedef struct {
    size_t n_levels;
    rtl_geometric_level_t level[RTL_GEOMETRIC_MAX]; /* 0 is the coarsest */
    rtl_multilevel_t coarsest;                      /* solves level 0 */
    rtl_team_t team;
    double *scratch; /* (2, n of the finest); owned */
} rtl_geometric_t;

/* One level, whose chain is small, at log p = y. Chains are borrowed for good. */
int rtl_geometric_init(rtl_geometric_t *self, const rtl_generator_t *chain,
    const double *y, rtl_team_t team) RTL_MUST_CHECK;

/* Add a finer level on top; `coarse` is the grid of the level that was the finest.
 * rtl_geometric_update must follow. */
int rtl_geometric_push(rtl_geometric_t *self, const rtl_generator_t *chain,
    const rtl_grid_t *coarse, const rtl_grid_t *fine) RTL_MUST_CHECK;
void rtl_geometric_free(rtl_geometric_t *self);

/* Another chain of the same pattern, or the same with other rates, for the finest
 * level; rtl_geometric_update must follow. Borrowed. */
void rtl_geometric_replace(rtl_geometric_t *self, const rtl_generator_t *chain);

/* New probabilities on the finest level. */
void rtl_geometric_update(rtl_geometric_t *self, const double *y);

/* x = M b, one W-cycle. RTL_INTERRUPTED is the only failure. */
int rtl_geometric_cycle(rtl_geometric_t *self, const double *b, double *x)
    RTL_MUST_CHECK;

size_t rtl_geometric_bytes(const rtl_geometric_t *self);

#endif
