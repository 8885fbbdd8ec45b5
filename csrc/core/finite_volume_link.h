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

/* Whether D could jump between the two cells, as far as cells can tell. If so it has to
 * be looked at there. */
bool rtl_finite_volume_link_may_jump(
    const rtl_finite_volume_stencil_t *self, const rtl_link_t *link);

enum { RTL_LINK_POINTS = 2 };

/* The points where it is looked at: columns of x (dim, stride). */
void rtl_finite_volume_link_points(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, size_t stride, double *x);

/* Whether D jumps, from its values there: columns of d (dim, dim, stride). */
bool rtl_finite_volume_link_jumps(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, const double *d, size_t stride);

/* Rates from a to b and back. Returns |z|. */
double rtl_finite_volume_link_rates(const rtl_finite_volume_stencil_t *self,
    const rtl_link_t *link, bool jumps, double *up, double *down);

/* Rate at which a cell is left by a jump along e, of either sign, that meets an
 * absorbing wall after a share of its way; `place` is that of its offset. */
double rtl_finite_volume_link_escape(const rtl_finite_volume_stencil_t *self,
    size_t cell, const int8_t *e, size_t place, double share);

#endif
