/* SPDX-License-Identifier: MIT */
/* Where things are among the sums of a cell, see bins.h. */
#ifndef RTL_BINS_LAYOUT_H
#define RTL_BINS_LAYOUT_H

#include "bins.h"

typedef struct {
    size_t dim, n_moments, n_lags;
    size_t block; /* numbers a lag */
    size_t reach; /* how far apart pairs are that have steps in common */
    size_t pairs, times;
    size_t size;
} rtl_bins_layout_t;

rtl_bins_layout_t rtl_bins_layout(
    size_t dim, size_t n_lags, size_t longest, bool uneven);

/* Of the sums that these bins need. */
rtl_bins_layout_t rtl_bins_layout_of(const rtl_bins_t *self);

#endif
