/* SPDX-License-Identifier: MIT */
/* A link between two cells along a lattice offset, and its rates: exponentially fitted,
 *
 *     rate(a -> b) = w B(-z) / V_a,   rate(b -> a) = w B(z) / V_b. */
#ifndef RTL_FINITE_VOLUME_LINK_H
#define RTL_FINITE_VOLUME_LINK_H

#include "finite_volume_stencil.h"

/* Cells a and b = a + e. */
typedef struct {
    int32_t a, b;
    int8_t e[RTL_MAX_DIM];
    double conductance; /* w, of a link along a wall; 0: from the cells' weights */
} rtl_link_t;

enum { RTL_LINK_POINTS = 2 }; /* where the model is evaluated for a link */

/* Those points of n_links links, (dim, 2 n_links), and the cell that each is near. */
void rtl_finite_volume_link_points(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *links, size_t n_links, double *x, size_t *cell);

/* Rates from a to b and back. `d` and `b` are rtl_finite_volume_stencil_evaluate's
 * answers at n points, of which `first` and the next are the link's. Returns |z|. */
double rtl_finite_volume_link_rates(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, const double *d, const double *b, size_t first, size_t n,
    double *up, double *down);

/* Rate at which a cell is left by a jump along e, of either sign, that meets an
 * absorbing wall after a share of its way; `place` is that of its offset. */
double rtl_finite_volume_link_escape(const rtl_finite_volume_stencil_t *self,
    size_t cell, const int8_t *e, size_t place, double share);

#endif
