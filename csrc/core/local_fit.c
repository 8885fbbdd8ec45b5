/* SPDX-License-Identifier: MIT */
#include "local_fit.h"

#include <math.h>
#include <string.h>

#include "memory.h"
#include "tensor.h"

enum { MOST_BOXES = 1 << 22 };

/* A fit whose weights scatter so much more than a plain mean's has no data about x0:
 * in the corner of a square it is about 25. */
static const double most_inflation = 64.0;

/* --- boxes ------------------------------------------------------------------------ */

/* The box of a position along an axis; false outside the lattice. */
static bool
box_along(const rtl_local_rung_t *self, size_t k, double x, size_t *box)
{
    double u = (x - self->low[k]) / self->bandwidth[k];

    if (!(u >= 0.0) || u >= (double) self->boxes[k]) {
        return false;
    }
    *box = (size_t) u;
    return true;
}

static bool
box_of(const rtl_local_rung_t *self, const double *x, size_t *box)
{
    size_t index = 0, along;

    for (size_t k = 0; k < self->n_box_axes; k++) {
        if (!box_along(self, k, x[k], &along)) {
            return false;
        }
        index = index * self->boxes[k] + along;
    }
    *box = index;
    return true;
}

static const double *
start_of(const rtl_local_rung_t *self, size_t cell)
{
    return self->cells.sums + cell * self->cells.size + RTL_CELLS_START;
}

/* A lattice that holds all cells and a box around them. Axes from the first periodic
 * one on have no boxes: distances wrap. */
static size_t
lay_lattice(rtl_local_rung_t *self)
{
    size_t n_boxes = 1;

    self->n_box_axes = 0;
    for (size_t k = 0; k < self->cells.dim && k < 3; k++) {
        double low = INFINITY, high = -INFINITY, h = self->bandwidth[k];
        for (size_t i = 0; i < self->cells.n_cells; i++) {
            low = fmin(low, start_of(self, i)[k]);
            high = fmax(high, start_of(self, i)[k]);
        }
        double count = ceil((high - low) / h) + 3.0; /* -inf where there is no cell */
        if (self->period[k] > 0.0 ||
            !(count >= 3.0 && count * (double) n_boxes <= MOST_BOXES)) {
            break;
        }
        self->low[k] = low - 1.5 * h;
        self->boxes[k] = (size_t) count;
        n_boxes *= self->boxes[k];
        self->n_box_axes++;
    }
    return n_boxes;
}

int
rtl_local_rung_init(rtl_local_rung_t *self, const rtl_local_t *local,
    rtl_cells_t *cells, const double *period, double scale)
{
    memset(self, 0, sizeof *self);
    self->local = local;
    self->cells = *cells;
    cells->sums = NULL; /* ours now */
    self->period = period;
    for (size_t k = 0; k < self->cells.dim; k++) {
        self->bandwidth[k] = scale * local->bandwidth[k];
    }
    size_t n_boxes = lay_lattice(self), n_cells = self->cells.n_cells, box;
    self->first = rtl_memory_alloc(n_boxes + 2, sizeof(size_t));
    self->order = rtl_memory_alloc(n_cells, sizeof(size_t));
    if (self->first == NULL || self->order == NULL) {
        rtl_local_rung_free(self);
        return RTL_NO_MEMORY;
    }
    for (size_t i = 0; i < n_cells; i++) {
        if (box_of(self, start_of(self, i), &box)) {
            self->first[box + 2]++;
        }
    }
    for (size_t i = 0; i < n_boxes; i++) {
        self->first[i + 2] += self->first[i + 1];
    }
    for (size_t i = 0; i < n_cells; i++) {
        if (box_of(self, start_of(self, i), &box)) {
            self->order[self->first[box + 1]++] = i;
        }
    }
    return 0;
}

void
rtl_local_rung_free(rtl_local_rung_t *self)
{
    rtl_cells_free(&self->cells);
    rtl_memory_free(self->first);
    rtl_memory_free(self->order);
    self->first = self->order = NULL;
}

/* --- sums over cells near a point ------------------------------------------------- */

typedef struct {
    const rtl_local_rung_t *rung;
    const double *x0;
    double bandwidth[RTL_INCREMENTS_DIM];
    rtl_extrapolate_place_t *place;
    size_t p;                                    /* monomials */
    double count, kernel, kernel2, near;         /* sums of n, n w, n w^2; cells */
    double s[RTL_LOCAL_TERMS * RTL_LOCAL_TERMS]; /* S, then its inverse */
    double slope[RTL_INCREMENTS_DIM];            /* sum n (dg/du)^2 along each axis */
    double quartic[RTL_INCREMENTS_DIM];          /* sum g^2 dx^4 */
    double shift[RTL_LOCAL_TERMS];               /* f = w (shift^T b) */
    double drift[RTL_INCREMENTS_DIM];            /* sum f dx */
} fit_t;

typedef void (*add_fn)(fit_t *fit, const double *cell, const double *u, double w);

/* Monomials of u: 1, u_0, ..., and u_0 u_0, u_1 u_0, u_1 u_1, ... */
static void
monomials(const fit_t *fit, const double *u, double *b)
{
    size_t dim = fit->rung->cells.dim, k = 1 + dim;

    b[0] = 1.0;
    for (size_t i = 0; i < dim && i + 1 < fit->p; i++) {
        b[1 + i] = u[i];
    }
    for (size_t i = 0; k < fit->p && i < dim; i++) {
        for (size_t j = 0; j <= i; j++) {
            b[k++] = u[i] * u[j];
        }
    }
}

static void
add_design(fit_t *fit, const double *cell, const double *u, double w)
{
    double b[RTL_LOCAL_TERMS], n = cell[RTL_CELLS_COUNT];

    monomials(fit, u, b);
    fit->near += 1.0;
    fit->count += n;
    fit->kernel += n * w;
    fit->kernel2 += n * w * w;
    for (size_t i = 0; i < fit->p; i++) {
        double nwb = n * w * b[i];
        for (size_t j = 0; j <= i; j++) {
            fit->s[i * fit->p + j] += nwb * b[j];
        }
    }
}

/* The polynomial (S^-1 b)_0 and its slope along each axis. */
static double
polynomial(const fit_t *fit, const double *u, double *slope)
{
    size_t dim = fit->rung->cells.dim, k = 1 + dim;
    const double *a = fit->s;
    double value = a[0];

    for (size_t i = 0; i < dim; i++) {
        slope[i] = fit->p > 1 ? a[1 + i] : 0.0;
        value += slope[i] * u[i];
    }
    for (size_t i = 0; k < fit->p && i < dim; i++) {
        for (size_t j = 0; j <= i; j++, k++) {
            value += a[k] * u[i] * u[j];
            slope[i] += a[k] * u[j];
            slope[j] += a[k] * u[i];
        }
    }
    return value;
}

/* Slopes of the mean increments, whose weights are the other rows of S^-1. */
static void
add_slopes(fit_t *fit, const double *cell, const double *u, double w)
{
    const rtl_cells_t *cells = &fit->rung->cells;
    rtl_extrapolate_place_t *place = fit->place;
    double b[RTL_LOCAL_TERMS], g[RTL_INCREMENTS_DIM];
    size_t dim = cells->dim;

    monomials(fit, u, b);
    for (size_t k = 0; k < dim; k++) {
        const double *row = fit->s + (1 + k) * fit->p;
        double sum = 0.0;
        for (size_t i = 0; i < fit->p; i++) {
            sum += row[i] * b[i];
        }
        g[k] = w * sum / fit->bandwidth[k];
    }
    for (size_t lag = 0; lag < cells->n_lags; lag++) {
        const double *dx = cell + rtl_cells_block(cells, lag) + RTL_CELLS_INCREMENT;
        for (size_t i = 0; i < dim; i++) {
            for (size_t k = 0; k < dim; k++) {
                place->slope[lag][i * dim + k] += g[k] * dx[i];
            }
        }
    }
    for (size_t i = 0; i < dim * dim; i++) {
        place->slope_share[i] += cell[RTL_CELLS_COUNT] * g[i / dim] * g[i % dim];
    }
}

static void
add_moments(fit_t *fit, const double *cell, const double *u, double w)
{
    const rtl_cells_t *cells = &fit->rung->cells;
    rtl_extrapolate_place_t *place = fit->place;
    double slope[RTL_INCREMENTS_DIM], n = cell[RTL_CELLS_COUNT];
    double value = polynomial(fit, u, slope), g = w * value;
    size_t squares = rtl_cells_squares(cells), dim = cells->dim;

    place->share += n * g * g;
    for (size_t k = 0; k < dim; k++) {
        double dg = w * slope[k] - 2.0 * u[k] * value;
        fit->slope[k] += n * dg * dg;
        place->score[k] -=
            n * dg / fit->bandwidth[k]; /* sum g' = -g d log p, by parts */
    }
    for (size_t lag = 0; lag < cells->n_lags; lag++) {
        const double *block = cell + rtl_cells_block(cells, lag);
        place->time[lag] += g * block[RTL_CELLS_TIME];
        place->weight[lag] += g * block[RTL_CELLS_WEIGHT];
        for (size_t k = 0; k < dim; k++) {
            place->increment[lag][k] += g * block[RTL_CELLS_INCREMENT + k];
        }
        for (size_t k = 0; k < cells->n_moments; k++) {
            place->square[lag][k] += g * block[squares + k];
        }
    }
    const double *quartic =
        cell + rtl_cells_block(cells, 0) + rtl_cells_quartics(cells);
    for (size_t k = 0; k < dim; k++) {
        place->quartic[k] += g * quartic[k];
        fit->quartic[k] += g * g * quartic[k];
    }
    if (place->sloped) {
        add_slopes(fit, cell, u, w);
    }
}

/* Displaced starts: means with f. */
static void
add_displaced(fit_t *fit, const double *cell, const double *u, double w)
{
    const rtl_cells_t *cells = &fit->rung->cells;
    rtl_extrapolate_place_t *place = fit->place;
    double b[RTL_LOCAL_TERMS], slope[RTL_INCREMENTS_DIM], f = 0.0;
    double n = cell[RTL_CELLS_COUNT], g = w * polynomial(fit, u, slope);
    const double *block =
        cell + rtl_cells_block(cells, fit->rung->local->terms.plus[0]);
    const double *squares = block + rtl_cells_squares(cells);

    monomials(fit, u, b);
    for (size_t i = 0; i < fit->p; i++) {
        f += w * fit->shift[i] * b[i];
    }
    place->displaced_share += n * f * f;
    place->displaced_overlap += n * f * g;
    for (size_t k = 0; k < cells->n_moments; k++) {
        place->displaced[k] += f * squares[k];
    }
    for (size_t k = 0; k < cells->dim; k++) {
        fit->drift[k] += f * block[RTL_CELLS_INCREMENT + k];
    }
}

static void
visit_box(fit_t *fit, size_t box, add_fn add)
{
    const rtl_local_rung_t *rung = fit->rung;
    const rtl_cells_t *cells = &rung->cells;
    double u[RTL_INCREMENTS_DIM];

    for (size_t i = rung->first[box]; i < rung->first[box + 1]; i++) {
        const double *cell = cells->sums + rung->order[i] * cells->size;
        double u2 = 0.0;
        for (size_t k = 0; k < cells->dim; k++) {
            double dx = cell[RTL_CELLS_START + k] - fit->x0[k];
            double period = rung->period[k];
            dx -= period > 0.0 ? period * rint(dx / period) : 0.0;
            u[k] = dx / fit->bandwidth[k];
            u2 += u[k] * u[k];
        }
        if (u2 < 1.0) {
            add(fit, cell, u, 1.0 - u2);
        }
    }
}

/* The boxes around that of x0, at most 27. */
static void
visit_near(fit_t *fit, add_fn add)
{
    const rtl_local_rung_t *rung = fit->rung;
    size_t centre[3] = {0, 0, 0}, n_near = 1;

    for (size_t k = 0; k < rung->n_box_axes; k++) {
        if (!box_along(rung, k, fit->x0[k], &centre[k])) {
            return;
        }
        n_near *= 3;
    }
    for (size_t near = 0; near < n_near; near++) {
        size_t box = 0, code = near;
        bool inside = true;
        for (size_t k = 0; k < rung->n_box_axes; k++) {
            size_t along = centre[k] + code % 3;
            code /= 3;
            inside = inside && along >= 1 && along <= rung->boxes[k];
            box = box * rung->boxes[k] + (inside ? along - 1 : 0);
        }
        if (inside) {
            visit_box(fit, box, add);
        }
    }
}

/* S to its inverse, which is scaled by S_00 meanwhile. */
static bool
invert_design(fit_t *fit)
{
    size_t p = fit->p;
    double scale = fit->s[0];

    if (!(fit->near >= (double) p) || !(fit->count >= (double) (4 * p))) {
        return false;
    }
    for (size_t i = 0; i < p; i++) {
        for (size_t j = 0; j <= i; j++) {
            fit->s[i * p + j] /= scale;
            fit->s[j * p + i] = fit->s[i * p + j];
        }
    }
    if (!rtl_tensor_invert(p, fit->s)) {
        return false;
    }
    for (size_t i = 0; i < p * p; i++) {
        fit->s[i] /= scale;
    }
    return true;
}

/* Fourth powers stand for 3 c^2. */
static double
unequal(const fit_t *fit)
{
    size_t dim = fit->rung->cells.dim;
    const rtl_extrapolate_place_t *place = fit->place;
    double sum = 0.0;

    for (size_t k = 0; k < dim; k++) {
        double square = place->square[0][k * (k + 1) / 2 + k];
        sum += fit->quartic[k] / (3.0 * place->share * square * square);
    }
    return sum / (double) dim;
}

/* A fit about x0, up to S^-1. */
static bool
begin(fit_t *fit, const rtl_local_rung_t *rung, double scale, const double *x0,
    rtl_extrapolate_place_t *place)
{
    size_t dim = rung->cells.dim, degree = rung->local->degree;

    *fit = (fit_t) {.rung = rung, .x0 = x0, .place = place, .p = 1};
    fit->p += degree >= 1 ? dim : 0;
    fit->p += degree >= 2 ? dim * (dim + 1) / 2 : 0;
    for (size_t k = 0; k < dim; k++) {
        fit->bandwidth[k] = scale * rung->bandwidth[k];
    }
    visit_near(fit, add_design);
    return invert_design(fit);
}

bool
rtl_local_rung_fit(const rtl_local_rung_t *self, double scale, const double *x0,
    rtl_extrapolate_place_t *place, double *count)
{
    const rtl_extrapolate_t *terms = &self->local->terms;
    size_t dim = self->cells.dim, degree = self->local->degree;
    fit_t fit;
    double width[RTL_INCREMENTS_DIM];

    memset(place, 0, sizeof *place);
    place->sloped = degree >= 1 && (terms->n_terms > 1 || terms->known);
    bool good = begin(&fit, self, scale, x0, place);
    *count = fit.count;
    if (!good) {
        return false;
    }
    visit_near(&fit, add_moments);
    place->centre = fit.s[0];
    double inflation = place->share * fit.kernel * fit.kernel / fit.kernel2;
    if (!(inflation < most_inflation) || !(fit.slope[0] > 0.0)) {
        return false;
    }
    place->unequal = unequal(&fit);
    for (size_t k = 0; k < dim; k++) {
        double h = fit.bandwidth[k];
        width[k] = 0.5 * h * h * place->share / fit.slope[k];
    }
    rtl_extrapolate_diffuse(terms, place, width);
    return true;
}

/* A start seen at x was at x + Sigma score on average (Tweedie's formula), with
 * variance Sigma: a function of it is seen as (1 + Sigma score . grad + Sigma : grad
 * grad/2). */
void
rtl_local_rung_displace(const rtl_local_rung_t *self, double scale, const double *x0,
    const double *score, rtl_extrapolate_place_t *place)
{
    size_t dim = self->cells.dim, k = 1 + dim;
    const double *sigma = self->local->terms.noise;
    double at[RTL_LOCAL_TERMS] = {0.0};
    fit_t fit;

    if (!begin(&fit, self, scale, x0, place)) {
        return;
    }
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j < dim; j++) {
            at[1 + i] += sigma[i * dim + j] * score[j] / fit.bandwidth[i];
        }
        for (size_t j = 0; j <= i && k < fit.p; j++) {
            at[k++] = sigma[i * dim + j] / (fit.bandwidth[i] * fit.bandwidth[j]);
        }
    }
    for (size_t i = 0; i < fit.p; i++) {
        for (size_t j = 0; j < fit.p; j++) {
            fit.shift[i] += fit.s[i * fit.p + j] * at[j];
        }
    }
    place->displaced_centre = fit.shift[0];
    visit_near(&fit, add_displaced);
    rtl_extrapolate_centre_displaced(&self->local->terms, fit.drift, place);
}
