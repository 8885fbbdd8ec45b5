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

/* --- faces and links ----------------------------------------------------------------
 */

typedef struct {
    size_t low, high;          /* its cells */
    size_t e_up, e_down;       /* places of its rates, low -> high and back */
    double up, down;           /* the chain's own rates */
    double free_up, free_down; /* those of diffusion alone */
} face_t;

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

/* The face above cell `low` along an axis; false where there is none. */
static bool
face_above(const rtl_log_mean_t *self, size_t low, size_t axis, face_t *face)
{
    const rtl_grid_t *grid = self->grid;
    const double *d = self->diffusion + axis * self->chain->n;
    double h;

    if (!rtl_grid_next(grid, low, axis, &face->high, &h)) {
        return false;
    }
    size_t high = face->high;
    face->low = low;
    face->e_up = entry_of(self, high, axis, false);
    face->e_down = entry_of(self, low, axis, true);
    face->up = self->chain->rate[face->e_up];
    face->down = self->chain->rate[face->e_down];
    face->free_up =
        d[low] / (h * rtl_grid_width(grid, axis, rtl_grid_index(grid, low, axis)));
    face->free_down =
        d[high] / (h * rtl_grid_width(grid, axis, rtl_grid_index(grid, high, axis)));
    return true;
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

/* The link of entry e of row `high`, whose rates are w B(-z) / V and w B(z) / V: w is
 * the logarithmic mean of the rates times the volumes. */
static face_t
link_of(const rtl_log_mean_t *self, size_t high, size_t e)
{
    const rtl_generator_t *chain = self->chain;
    size_t low = (size_t) chain->source[e], back = entry_from(chain, low, high);
    double up = chain->rate[e], down = chain->rate[back];
    double v_low = rtl_grid_volume(self->grid, low);
    double v_high = rtl_grid_volume(self->grid, high);
    double w = up > 0.0 && down > 0.0
                   ? up * v_low * mean_over_first(log(down / up * (v_high / v_low)))
                   : 0.0;

    return (face_t) {.low = low,
        .high = high,
        .e_up = e,
        .e_down = back,
        .up = up,
        .down = down,
        .free_up = w / v_low,
        .free_down = w / v_high};
}

typedef void (*visit_t)(const face_t *face, void *data);

static void
visit_faces(const rtl_log_mean_t *self, visit_t visit, void *data)
{
    const rtl_generator_t *chain = self->chain;
    face_t face;

    for (size_t i = 0; i < chain->n && !chain->oblique; i++) {
        for (size_t k = 0; k < self->grid->dim; k++) {
            if (face_above(self, i, k, &face)) {
                visit(&face, data);
            }
        }
    }
    for (size_t i = 0; i < chain->n && chain->oblique; i++) {
        for (size_t e = chain->start[i];
            e < chain->start[i + 1] && (size_t) chain->source[e] <= i; e++) {
            face = link_of(self, i, e);
            visit(&face, data);
        }
    }
}

static bool
has_log_mean(const face_t *face, const double *y, double floor)
{
    return face->up > 0.0 && face->down > 0.0 && face->free_up > 0.0 &&
           face->free_down > 0.0 && y[face->low] >= floor && y[face->high] >= floor;
}

/* --- reweighting, and the balance of what it leads to -------------------------------
 */

typedef struct {
    const double *y;
    double floor;
    rtl_generator_t *out; /* gets the rates */
    double *net;          /* gets inflow less outflow, (n,) */
    double traffic;       /* gets the jumps both ways */
} visitor_t;

static void
reweigh(const face_t *face, void *data)
{
    const visitor_t *self = data;
    double m = 1.0;

    if (has_log_mean(face, self->y, self->floor)) {
        m = rtl_log_mean_factor(face->up, face->down, face->free_up, face->free_down,
            self->y[face->low], self->y[face->high]);
        m = m >= 1.0 / largest_factor && m <= largest_factor ? m : 1.0;
    }
    self->out->rate[face->e_up] = m * face->up;
    self->out->rate[face->e_down] = m * face->down;
    self->out->exit_rate[face->low] += m * face->up;
    self->out->exit_rate[face->high] += m * face->down;
}

void
rtl_log_mean_reweigh(rtl_log_mean_t *self, const double *y, double floor)
{
    visitor_t visitor = {.y = y, .floor = floor, .out = &self->reweighted};

    memset(self->reweighted.exit_rate, 0, self->chain->n * sizeof(double));
    visit_faces(self, reweigh, &visitor);
}

static double
logarithmic_mean(double u, double v)
{
    double s = log(u / v);

    return fabs(s) < 1e-6 ? 0.5 * (u + v) : (u - v) / s;
}

/* The flux through a face straight from its definition, L(v_ab P_a, v_ba P_b) X, and
 * what it would be of the chain's own rates: nothing of the factor m. */
static void
balance(const face_t *face, void *data)
{
    visitor_t *self = data;
    double p_low = exp(self->y[face->low]), p_high = exp(self->y[face->high]);
    double there = face->up * p_low, back = face->down * p_high;
    double flux = there - back, traffic = there + back;

    if (has_log_mean(face, self->y, self->floor)) {
        double free = logarithmic_mean(face->free_up * p_low, face->free_down * p_high);
        double m = free / logarithmic_mean(there, back);
        if (m >= 1.0 / largest_factor && m <= largest_factor) {
            flux = free * log(there / back);
            traffic *= m;
        }
    }
    self->net[face->low] -= flux;
    self->net[face->high] += flux;
    self->traffic += traffic;
}

double
rtl_log_mean_defect(
    const rtl_log_mean_t *self, const double *y, double floor, double *net)
{
    visitor_t visitor = {.y = y, .floor = floor, .net = net};
    double missing = 0.0;

    memset(net, 0, self->chain->n * sizeof *net);
    visit_faces(self, balance, &visitor);
    for (size_t i = 0; i < self->chain->n; i++) {
        missing += fabs(net[i]);
    }
    return missing / visitor.traffic;
}
