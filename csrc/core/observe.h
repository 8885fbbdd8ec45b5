/* SPDX-License-Identifier: MIT */
/* What is collected of paths while they are simulated, instead of the paths: visits of
 * the cells of a grid and, of the increments that start in each, the sums that bins.h
 * makes estimates of. Nothing grows with the number of steps.
 *
 * Every block of paths has sums of its own, added in order at the end: the bits do not
 * depend on threads, nor on how the steps are divided among calls. */
#ifndef RTL_OBSERVE_H
#define RTL_OBSERVE_H

#include "bins.h"
#include "simulate.h"

typedef struct {
    const rtl_grid_t *grid;      /* borrowed */
    rtl_increments_t increments; /* dt, lags and period (borrowed) between the states
                                    looked at; the rest is filled in. No lags: visits
                                    only */
    uint64_t every;              /* steps between two of them */
    size_t n_paths, n_parts;     /* a part is a block of the simulation */
    size_t size;                 /* sums a cell, see rtl_bins_size */
    double *visits;              /* (n_parts, n_cells + 1), the last: outside; owned */
    double *sums;                /* (n_parts, n_cells, size); owned */
    double
        *recent;   /* (n_paths, longest + 1, dim) last states, the newest last; owned */
    double *cells; /* (n_paths, 2 longest) and their cells, -1: not yet; owned */
} rtl_observe_t;

/* Whether the first three members are in their ranges. */
bool rtl_observe_good(const rtl_observe_t *self);

/* The number of blocks that a simulation may have for this observer's memory; `self`
 * has its first three members. */
size_t rtl_observe_blocks(const rtl_observe_t *self);

/* Watch a simulation, from its present state on; both must stay where they are. */
int rtl_observe_init(rtl_observe_t *self, rtl_simulate_t *simulation) RTL_MUST_CHECK;
void rtl_observe_free(rtl_observe_t *self);

/* Sums over the parts: visits (n_cells + 1,), sums (n_cells, size) or NULL. */
void rtl_observe_total(const rtl_observe_t *self, double *visits, double *sums);

#endif
