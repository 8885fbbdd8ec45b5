/* SPDX-License-Identifier: MIT */
/* In a cell all increments have the same weight, 1/N; of the pairs that start k states
 * apart both are in it in a share rho_k. */
#include "bins.h"

#include <math.h>
#include <string.h>

#include "bins_layout.h"

enum { STARTS_A_POLL = 4096 };

/* --- where a point is ------------------------------------------------------------- */

/* Index along one axis; false outside. The guess is right for equal cells. */
static bool
find_index(const rtl_grid_t *grid, size_t axis, double x, size_t *index)
{
    const double *edges = grid->edges[axis];
    size_t n = grid->shape[axis];
    double lower = edges[0], length = edges[n] - lower;

    if (grid->lower[axis] == RTL_PERIODIC) {
        x -= length * floor((x - lower) / length);
        x = x < lower ? lower : x >= edges[n] ? lower : x;
    }
    if (!(x >= lower && x <= edges[n])) {
        return false;
    }
    double guess = (x - lower) / length * (double) n;
    size_t low = guess < (double) n ? (size_t) guess : n - 1, high = low + 1;
    if (x < edges[low]) {
        high = low;
        low = 0;
    } else if (x >= edges[high]) { /* the last edge is in the last cell */
        low = high < n ? high : n - 1;
        high = n;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (x < edges[middle]) {
            high = middle;
        } else {
            low = middle;
        }
    }
    *index = low;
    return true;
}

size_t
rtl_bins_find(const rtl_grid_t *grid, const double *x)
{
    size_t cell = 0, index = 0;

    for (size_t k = 0; k < grid->dim; k++) {
        if (!find_index(grid, k, x[k], &index)) {
            return grid->n_cells;
        }
        cell += index * grid->stride[k];
    }
    return cell;
}

int
rtl_bins_count(const rtl_grid_t *grid, const double *x, size_t n, double *count,
    rtl_monitor_t *monitor)
{
    for (size_t i = 0; i < n; i++) {
        size_t cell = rtl_bins_find(grid, x + i * grid->dim);
        if (cell < grid->n_cells) {
            count[cell] += 1.0;
        }
        if (i % STARTS_A_POLL == 0) {
            int status = rtl_monitor_poll(monitor, (double) i / (double) n);
            if (status != 0) {
                return status;
            }
        }
    }
    return 0;
}

/* --- sums ------------------------------------------------------------------------- */

rtl_bins_layout_t
rtl_bins_layout(size_t dim, size_t n_lags, size_t longest, bool uneven)
{
    rtl_bins_layout_t l = {.dim = dim, .n_lags = n_lags, .reach = longest - 1};

    l.n_moments = dim * (dim + 1) / 2;
    l.block = dim + l.n_moments;
    l.pairs = 1 + dim + n_lags * l.block;
    l.times = l.pairs + l.reach;
    l.size = l.times + (uneven ? 2 * n_lags : 0);
    return l;
}

rtl_bins_layout_t
rtl_bins_layout_of(const rtl_bins_t *self)
{
    const rtl_extrapolate_t *terms = &self->terms;

    return rtl_bins_layout(
        terms->dim, terms->n_lags, terms->lags[terms->n_lags - 1], self->uneven);
}

size_t
rtl_bins_size(size_t dim, size_t n_lags, size_t longest, bool uneven)
{
    return rtl_bins_layout(dim, n_lags, longest, uneven).size;
}

/* --- from sums to estimates ------------------------------------------------------- */

static void
fill_place(const rtl_bins_t *self, const rtl_bins_layout_t *layout, const double *sums,
    rtl_extrapolate_place_t *place)
{
    const double *block = sums + 1 + layout->dim;
    double n = sums[0];

    memset(place, 0, sizeof *place);
    place->share = place->centre = 1.0 / n;
    place->unequal = 1.0;
    for (size_t lag = 0; lag < layout->n_lags; lag++, block += layout->block) {
        const double *times = sums + layout->times + 2 * lag;
        double nominal = (double) self->terms.lags[lag] * self->dt;
        place->time[lag] = self->uneven ? times[0] / n : nominal;
        place->weight[lag] = self->uneven ? times[1] / n : nominal;
        for (size_t k = 0; k < layout->dim; k++) {
            place->increment[lag][k] = block[k] / n;
        }
        for (size_t k = 0; k < layout->n_moments; k++) {
            place->square[lag][k] = block[layout->dim + k] / n;
        }
    }
    for (size_t k = 0; k < layout->dim; k++) {
        place->quartic[k] = sums[1 + k] / n;
    }
    place->rho[0] = 1.0;
    for (size_t k = 1; k <= layout->reach; k++) {
        place->rho[k] = sums[layout->pairs + k - 1] / n;
    }
    place->rho[layout->reach + 1] = place->rho[layout->reach]; /* matters with noise */
}

static void
conclude_cell(const rtl_bins_t *self, const rtl_bins_layout_t *layout,
    const double *sums, size_t cell, const rtl_bins_out_t *out)
{
    const rtl_extrapolate_t *terms = &self->terms;
    size_t d = terms->dim;
    double *covariance = out->covariance + cell * d * d, *drift = out->drift + cell * d;
    rtl_extrapolate_place_t place;

    out->count[cell] = sums[0];
    out->rattling[cell] = out->error[cell] = out->kurtosis[cell] = NAN;
    out->n_eff[cell] = 0.0;
    if (!(out->count[cell] > 0.0)) {
        for (size_t k = 0; k < d; k++) {
            drift[k] = NAN;
        }
        for (size_t k = 0; k < d * d; k++) {
            covariance[k] = NAN;
        }
        return;
    }
    fill_place(self, layout, sums, &place);
    rtl_extrapolate_covariance(terms, &place, covariance, drift);
    rtl_extrapolate_out_t got = rtl_extrapolate_conclude(terms, &place, NULL);
    out->n_eff[cell] = got.n_eff;
    out->kurtosis[cell] = got.kurtosis;
    if (out->count[cell] > (double) d) {
        out->rattling[cell] = got.rattling;
        out->error[cell] = hypot(got.error, got.remainder);
    }
}

int
rtl_bins_conclude(const rtl_bins_t *self, const double *sums, const rtl_bins_out_t *out,
    rtl_monitor_t *monitor)
{
    rtl_bins_layout_t layout = rtl_bins_layout_of(self);
    size_t n = self->grid->n_cells;
    int status = 0;

    for (size_t cell = 0; status == 0 && cell < n; cell++) {
        conclude_cell(self, &layout, sums + cell * layout.size, cell, out);
        status = rtl_monitor_poll(monitor, (double) cell / (double) n);
    }
    return status;
}
