/* SPDX-License-Identifier: MIT */
#include "log_mean.h"

#include <math.h>
#include <string.h>

#include "memory.h"

enum { BLOCK = 4096 };

/* A factor beyond this, or below its inverse, belongs to a face that the grid does not
 * resolve: cell Peclet numbers of 2 give 1.3, of 50 about 25. */
static const double largest_factor = 64.0;

/* L(u, v) / u at log(v / u) = s */
static double
mean_over_first(double s)
{
    return fabs(s) < 1e-6 ? 1.0 + 0.5 * s : expm1(s) / s;
}

double
rtl_log_mean_factor(double up, double down, double free_up, double free_down,
    double y_low, double y_high)
{
    double step = y_high - y_low;
    double wanted = mean_over_first(log(free_down / free_up) + step);
    double given = mean_over_first(log(down / up) + step);

    return free_up * wanted / (up * given);
}

/* D at the centres of the cells. */
static int
find_diffusion(rtl_log_mean_t *self, const rtl_model_t *model, rtl_fault_t *fault)
{
    size_t n = self->chain->n, dim = self->grid->dim;
    double *x = rtl_memory_alloc(dim * BLOCK, sizeof *x);
    double *d = rtl_memory_alloc(dim * BLOCK, sizeof *d);
    int status = 0;

    self->diffusion = rtl_memory_alloc(dim * n, sizeof(double));
    if (x == NULL || d == NULL || self->diffusion == NULL) {
        status = RTL_NO_MEMORY;
    }
    for (size_t first = 0; status == 0 && first < n; first += BLOCK) {
        size_t count = n - first < BLOCK ? n - first : BLOCK;
        rtl_grid_points(self->grid, first, count, x);
        status = rtl_model_diagonal(model, x, count, d, fault);
        for (size_t k = 0; status == 0 && k < dim; k++) {
            memcpy(self->diffusion + k * n + first, d + k * count, count * sizeof *d);
        }
    }
    rtl_memory_free(x);
    rtl_memory_free(d);
    return status;
}

int
rtl_log_mean_init(rtl_log_mean_t *self, const rtl_generator_t *chain,
    const rtl_model_t *model, const rtl_grid_t *grid, rtl_fault_t *fault)
{
    size_t n = chain->n;

    memset(self, 0, sizeof *self);
    self->chain = chain;
    self->grid = grid;
    int status = rtl_generator_init(&self->reweighted, n, chain->n_entries);
    if (status == 0 && !chain->oblique) {
        status = find_diffusion(self, model, fault);
    }
    if (status == 0) {
        rtl_generator_t *copy = &self->reweighted;
        memcpy(copy->start, chain->start, (n + 1) * sizeof *copy->start);
        memcpy(copy->source, chain->source, chain->n_entries * sizeof *copy->source);
        memcpy(copy->rate, chain->rate, chain->n_entries * sizeof *copy->rate);
        memcpy(copy->exit_rate, chain->exit_rate, n * sizeof *copy->exit_rate);
        copy->oblique = chain->oblique;
        copy->added_diffusion = chain->added_diffusion;
    } else {
        rtl_log_mean_free(self);
    }
    return status;
}

void
rtl_log_mean_free(rtl_log_mean_t *self)
{
    rtl_memory_free(self->diffusion);
    rtl_generator_free(&self->reweighted);
    memset(self, 0, sizeof *self);
}

/* Place of the entry of row `cell` that comes from its lower (or upper) neighbour along
 * an axis; see finite_volume.h for the order. */
static size_t
entry_of(const rtl_log_mean_t *self, size_t cell, size_t axis, bool upper)
{
    const rtl_grid_t *grid = self->grid;
    size_t e = self->chain->start[cell], other;
    double h;

    for (size_t k = 0; k < axis; k++) {
        e += rtl_grid_previous(grid, cell, k, &other) ? 1 : 0;
        e += rtl_grid_next(grid, cell, k, &other, &h) ? 1 : 0;
    }
    return upper && rtl_grid_previous(grid, cell, axis, &other) ? e + 1 : e;
}

static double
face_factor(const rtl_log_mean_t *self, size_t axis, size_t low, size_t high, double h,
    double up, double down, const double *y, double floor)
{
    const rtl_grid_t *grid = self->grid;
    const double *d = self->diffusion + axis * self->chain->n;
    double w_low = rtl_grid_width(grid, axis, rtl_grid_index(grid, low, axis));
    double w_high = rtl_grid_width(grid, axis, rtl_grid_index(grid, high, axis));

    if (!(up > 0.0) || !(down > 0.0) || !(d[low] > 0.0) || !(d[high] > 0.0) ||
        !(y[low] >= floor) || !(y[high] >= floor)) {
        return 1.0;
    }
    double m = rtl_log_mean_factor(
        up, down, d[low] / (h * w_low), d[high] / (h * w_high), y[low], y[high]);
    return m >= 1.0 / largest_factor && m <= largest_factor ? m : 1.0;
}

/* The factor of a link with conductance w, whose rates are w B(-z) / V and w B(z) / V:
 * w is the logarithmic mean of the rates times the volumes. */
static double
link_factor(const rtl_log_mean_t *self, size_t low, size_t high, double up, double down,
    const double *y, double floor)
{
    double v_low = rtl_grid_volume(self->grid, low);
    double v_high = rtl_grid_volume(self->grid, high);

    if (!(up > 0.0) || !(down > 0.0) || !(y[low] >= floor) || !(y[high] >= floor)) {
        return 1.0;
    }
    double w = up * v_low * mean_over_first(log(down / up * (v_high / v_low)));
    double m = rtl_log_mean_factor(up, down, w / v_low, w / v_high, y[low], y[high]);
    return m >= 1.0 / largest_factor && m <= largest_factor ? m : 1.0;
}

/* Place of the entry of row `cell` that comes from `source`: rows are sorted. */
static size_t
entry_from(const rtl_generator_t *chain, size_t cell, size_t source)
{
    size_t first = chain->start[cell], last = chain->start[cell + 1];

    while (last - first > 1) {
        size_t middle = first + (last - first) / 2;
        if ((size_t) chain->source[middle] <= source) {
            first = middle;
        } else {
            last = middle;
        }
    }
    return first;
}

static void
reweigh_links(rtl_log_mean_t *self, const double *y, double floor)
{
    const rtl_generator_t *chain = self->chain;
    rtl_generator_t *out = &self->reweighted;

    for (size_t high = 0; high < chain->n; high++) {
        for (size_t e = chain->start[high]; e < chain->start[high + 1]; e++) {
            size_t low = (size_t) chain->source[e];
            if (low > high) {
                break;
            }
            size_t back = entry_from(chain, low, high);
            double up = chain->rate[e], down = chain->rate[back];
            double m = link_factor(self, low, high, up, down, y, floor);
            out->rate[e] = m * up;
            out->rate[back] = m * down;
            out->exit_rate[low] += m * up;
            out->exit_rate[high] += m * down;
        }
    }
}

static void
reweigh_faces(rtl_log_mean_t *self, const double *y, double floor)
{
    const rtl_generator_t *chain = self->chain;
    rtl_generator_t *out = &self->reweighted;
    size_t high;
    double h;

    for (size_t low = 0; low < chain->n; low++) {
        for (size_t k = 0; k < self->grid->dim; k++) {
            if (!rtl_grid_next(self->grid, low, k, &high, &h)) {
                continue;
            }
            size_t e_up = entry_of(self, high, k, false);
            size_t e_down = entry_of(self, low, k, true);
            double up = chain->rate[e_up], down = chain->rate[e_down];
            double m = face_factor(self, k, low, high, h, up, down, y, floor);
            out->rate[e_up] = m * up;
            out->rate[e_down] = m * down;
            out->exit_rate[low] += m * up;
            out->exit_rate[high] += m * down;
        }
    }
}

void
rtl_log_mean_reweigh(rtl_log_mean_t *self, const double *y, double floor)
{
    memset(self->reweighted.exit_rate, 0, self->chain->n * sizeof(double));
    if (self->chain->oblique) {
        reweigh_links(self, y, floor);
    } else {
        reweigh_faces(self, y, floor);
    }
}
