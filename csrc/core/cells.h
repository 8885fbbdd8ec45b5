/* SPDX-License-Identifier: MIT */
/* Sums of increments over small cells: all that the estimators need of the data.
 *
 * A cell holds, of the increments that start in it, their number and mean start and,
 * for each lag, sums of times, increments and squares: binned data, on which a
 * regression is as good as on the increments where cells are small against its
 * bandwidth (Fan & Marron 1994, J. Comput. Graph. Stat. 3, 35). Only visited cells are
 * kept. */
#ifndef RTL_CELLS_H
#define RTL_CELLS_H

#include "increments.h"
#include "monitor.h"

typedef struct {
    size_t dim, n_lags;
    size_t n_moments; /* dim (dim + 1) / 2, in the order 00, 10, 11, 20, ... */
    size_t size;      /* numbers a cell */
    size_t n_cells;
    double *sums; /* (n_cells, size): count, mean start, then a block a lag */
} rtl_cells_t;

/* Where things are among the numbers of a cell. */
enum { RTL_CELLS_COUNT = 0, RTL_CELLS_START = 1 };
/* and in the block of a lag: time taken; weight of the squares (see below). */
enum { RTL_CELLS_TIME = 0, RTL_CELLS_WEIGHT = 1, RTL_CELLS_INCREMENT = 2 };

static inline size_t
rtl_cells_block(const rtl_cells_t *self, size_t lag)
{
    return 1 + self->dim + lag * (2 + 2 * self->dim + self->n_moments);
}

/* Offset of the squares, and of the fourth powers along the axes, in a block. */
static inline size_t
rtl_cells_squares(const rtl_cells_t *self)
{
    return RTL_CELLS_INCREMENT + self->dim;
}

static inline size_t
rtl_cells_quartics(const rtl_cells_t *self)
{
    return RTL_CELLS_INCREMENT + self->dim + self->n_moments;
}

/* Add an increment to the block of a lag; `scale` multiplies the squares and tau. */
void rtl_cells_add(
    const rtl_cells_t *self, double *block, const double *dx, double tau, double scale);

/* Cells of the given widths, (dim,), of which one has its middle at `low`; on a
 * periodic axis its corner, and a whole number of cells, at most so wide, goes round.
 * Where `scaled`, squares are times l dt / tau and the weight is l dt, which is best
 * for white noise if tau varies; else the weight is tau. In order of first visit. The
 * caller frees. */
int rtl_cells_gather(rtl_cells_t *self, const rtl_increments_t *increments,
    const double *low, const double *width, bool scaled, rtl_monitor_t *monitor)
    RTL_MUST_CHECK;

/* The same from smaller cells, which go where their mean start is. */
int rtl_cells_merge(rtl_cells_t *self, const rtl_cells_t *fine, const double *period,
    const double *low, const double *width) RTL_MUST_CHECK;

void rtl_cells_free(rtl_cells_t *self);

#endif
