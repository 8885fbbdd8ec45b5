/* SPDX-License-Identifier: MIT */
/* Probability currents and entropy production of a chain at y = log p.
 *
 *     sigma = sum over linked pairs of (a - b) log(a / b),
 *     a = w(j -> i) p_j,  b = w(i -> j) p_i        (Schnakenberg 1976) */
#ifndef RTL_CURRENT_H
#define RTL_CURRENT_H

#include "finite_volume.h"
#include "parallel.h"

/* Density of the current through the faces of `axis`, positive upwards: one value per
 * face in the shape of the grid with one more along the axis. 0 at reflecting walls,
 * outwards at absorbing ones, the same on both ends of a periodic axis. `chain` is
 * assembled on `grid`. */
void rtl_current_faces(const rtl_generator_t *chain, const rtl_grid_t *grid,
    const double *y, size_t axis, rtl_team_t team, double *current);

/* Entropy production rate, in units of Boltzmann's constant per unit time, of each
 * state (n,): half of what its links produce. Infinite where a link with flow has no
 * way back. The total is the sum. Several links between the same two states (a periodic
 * axis of two cells) count as one. */
int rtl_current_entropy_production(const rtl_generator_t *chain, const double *y,
    rtl_team_t team, double *sigma) RTL_MUST_CHECK;

#endif
