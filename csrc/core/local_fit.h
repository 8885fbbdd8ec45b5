/* SPDX-License-Identifier: MIT */
/* One local polynomial fit on one rung of bandwidths. */
#ifndef RTL_LOCAL_FIT_H
#define RTL_LOCAL_FIT_H

#include "local.h"

/* Most monomials: degree 2 in 8 dimensions. */
enum { RTL_LOCAL_TERMS = 45 };

/* Cells of a bandwidth, sorted into a lattice of bandwidth-sized boxes. */
typedef struct {
    const rtl_local_t *local;
    rtl_cells_t cells;
    const double *period;                 /* (dim,) borrowed */
    double bandwidth[RTL_INCREMENTS_DIM]; /* radius of the kernel */
    size_t n_box_axes;                    /* boxes divide the first axes only */
    size_t boxes[3];
    double low[3];
    size_t *first; /* (n_boxes + 2,) owned */
    size_t *order; /* cells by box; owned */
} rtl_local_rung_t;

/* Sort `cells`, which become the rung's own. */
int rtl_local_rung_init(rtl_local_rung_t *self, const rtl_local_t *local,
    rtl_cells_t *cells, const double *period, double scale) RTL_MUST_CHECK;
void rtl_local_rung_free(rtl_local_rung_t *self);

/* The place x0 with `scale`, at most 1, times the bandwidth; false where there are too
 * few increments, or they lie to one side. *count: increments within the bandwidth. */
bool rtl_local_rung_fit(const rtl_local_rung_t *self, double scale, const double *x0,
    rtl_extrapolate_place_t *place, double *count);

/* Fill what errors of the starts add to the squares of `place`, which is that of
 * rtl_local_rung_fit, of degree 1 or more; `score`, (dim,), is the gradient of log p
 * there. */
void rtl_local_rung_displace(const rtl_local_rung_t *self, double scale,
    const double *x0, const double *score, rtl_extrapolate_place_t *place);

#endif
