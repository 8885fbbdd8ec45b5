/* SPDX-License-Identifier: MIT */
/* Everything at a point is a value of a polynomial there: with S = sum B B^T over
 * increments and y an increment, a square or a fourth power,
 *
 *     mean y = B^T S^-1 sum B y,   sum g^2 f = (S^-1 B)^T [sum B B^T f] (S^-1 B)
 *
 * for g = B^T S^-1 B(start), which are the weights that extrapolate.h asks about. */
#include "basis.h"

#include <math.h>
#include <string.h>

#include "memory.h"
#include "tensor.h"

static const double two_pi = 6.283185307179586477;
static const double most_inflation = 1e10; /* of a coefficient's variance */

typedef struct {
    const rtl_basis_t *basis;
    const rtl_increments_t *increments;
    rtl_cells_t cells;
    size_t n_terms, n_values;
    unsigned char power[RTL_BASIS_TERMS][RTL_INCREMENTS_DIM];
    double mean[RTL_INCREMENTS_DIM], scale[RTL_INCREMENTS_DIM];
    double
        *inverse;  /* (n_terms, n_terms) S, then its inverse; owned, the others in it */
    double *slope; /* (dim, n_terms, n_terms) sum dB dB^T along each axis */
    double *quartic; /* (dim, n_terms, n_terms) sum B B^T dx^4 */
    double *sums;    /* (n_terms, n_values) sum B y */
} fit_t;

/* --- the functions ---------------------------------------------------------------- */

/* Powers of the terms of total degree at most m, the lowest first on the last axis. On
 * a periodic axis 2e - 1 and 2e stand for sin and cos of e times the angle. */
static bool
list_terms(fit_t *self)
{
    size_t dim = self->increments->dim, degree = self->basis->degree;
    unsigned char power[RTL_INCREMENTS_DIM] = {0};

    for (;;) {
        size_t total = 0, axis = dim;
        for (size_t k = 0; k < dim; k++) {
            bool around = self->increments->period[k] > 0.0;
            total += around ? (power[k] + 1u) / 2u : power[k];
        }
        if (total <= degree) {
            if (self->n_terms == RTL_BASIS_TERMS) {
                return false;
            }
            memcpy(self->power[self->n_terms++], power, sizeof power);
            axis = dim - 1;
            power[axis]++;
            continue;
        }
        while (axis > 0 && power[axis - 1] == 0) {
            axis--;
        }
        if (axis <= 1) {
            return true;
        }
        power[axis - 1] = 0;
        power[axis - 2]++;
    }
}

/* Values and slopes along one axis, (highest power + 1,). */
static void
along(const fit_t *self, size_t k, double x, double *value, double *slope)
{
    size_t degree = self->basis->degree;
    double period = self->increments->period[k];

    value[0] = 1.0;
    slope[0] = 0.0;
    if (period > 0.0) {
        double rate = two_pi / period;
        for (size_t e = 1; e <= degree; e++) {
            double angle = (double) e * rate * (x - self->basis->low[k]);
            value[2 * e - 1] = sqrt(2.0) * sin(angle);
            value[2 * e] = sqrt(2.0) * cos(angle);
            slope[2 * e - 1] = (double) e * rate * value[2 * e];
            slope[2 * e] = -(double) e * rate * value[2 * e - 1];
        }
        return;
    }
    double u = (x - self->mean[k]) / self->scale[k], before = 0.0;
    for (size_t e = 1; e <= degree; e++) {
        double root = sqrt((double) e);
        value[e] = (u * value[e - 1] - sqrt((double) (e - 1)) * before) / root;
        slope[e] = root * value[e - 1] / self->scale[k];
        before = value[e - 1];
    }
}

/* B, (n_terms,), and its slopes, (dim, n_terms), if asked for. */
static void
evaluate(const fit_t *self, const double *x, double *b, double *db)
{
    enum { MOST = 2 * RTL_BASIS_DEGREE + 1 };
    double value[RTL_INCREMENTS_DIM][MOST], slope[RTL_INCREMENTS_DIM][MOST];
    size_t dim = self->increments->dim, n = self->n_terms;

    for (size_t k = 0; k < dim; k++) {
        along(self, k, x[k], value[k], slope[k]);
    }
    for (size_t i = 0; i < n; i++) {
        const unsigned char *power = self->power[i];
        b[i] = 1.0;
        for (size_t k = 0; k < dim; k++) {
            b[i] *= value[k][power[k]];
        }
        for (size_t j = 0; db != NULL && j < dim; j++) {
            double product = slope[j][power[j]];
            for (size_t k = 0; k < dim; k++) {
                product *= k == j ? 1.0 : value[k][power[k]];
            }
            db[j * n + i] = product;
        }
    }
}

/* --- sums over the data ----------------------------------------------------------- */

/* Means and standard deviations of the starts, over cells. */
static void
standardise(fit_t *self)
{
    const rtl_cells_t *cells = &self->cells;

    for (size_t k = 0; k < cells->dim; k++) {
        double count = 0.0, mean = 0.0, square = 0.0;
        for (size_t pass = 0; pass < 2; pass++) {
            count = 0.0;
            for (size_t i = 0; i < cells->n_cells; i++) {
                const double *cell = cells->sums + i * cells->size;
                double x = cell[RTL_CELLS_START + k], n = cell[RTL_CELLS_COUNT];
                count += n;
                mean += pass == 0 ? n * x : 0.0;
                square += pass == 1 ? n * (x - mean) * (x - mean) : 0.0;
            }
            mean /= pass == 0 ? count : 1.0;
        }
        self->mean[k] = mean;
        self->scale[k] = square > 0.0 ? sqrt(square / count) : 1.0;
    }
}

/* a += factor b b^T, lower half. */
static void
add_product(size_t n, double factor, const double *b, double *a)
{
    for (size_t i = 0; i < n; i++) {
        double scaled = factor * b[i];
        for (size_t j = 0; j <= i; j++) {
            a[i * n + j] += scaled * b[j];
        }
    }
}

static void
add_cell(fit_t *self, const double *cell)
{
    const rtl_cells_t *cells = &self->cells;
    size_t n = self->n_terms, dim = cells->dim;
    double b[RTL_BASIS_TERMS], db[RTL_INCREMENTS_DIM * RTL_BASIS_TERMS];
    const double *quartic =
        cell + rtl_cells_block(cells, 0) + rtl_cells_quartics(cells);
    const double *values = cell + RTL_CELLS_START + dim;

    evaluate(self, cell + RTL_CELLS_START, b, db);
    add_product(n, cell[RTL_CELLS_COUNT], b, self->inverse);
    for (size_t k = 0; k < dim; k++) {
        add_product(n, cell[RTL_CELLS_COUNT], db + k * n, self->slope + k * n * n);
        add_product(n, quartic[k], b, self->quartic + k * n * n);
    }
    for (size_t i = 0; i < n; i++) {
        double *sums = self->sums + i * self->n_values;
        for (size_t j = 0; j < self->n_values; j++) {
            sums[j] += b[i] * values[j];
        }
    }
}

static void
mirror(size_t n, double *a)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            a[j * n + i] = a[i * n + j];
        }
    }
}

/* S to its inverse. A term that is nearly a combination of others is refused. */
static int
invert(fit_t *self)
{
    size_t n = self->n_terms;
    double diagonal[RTL_BASIS_TERMS];

    for (size_t i = 0; i < n; i++) {
        diagonal[i] = self->inverse[i * n + i];
    }
    bool good = self->inverse[0] >= (double) n && rtl_tensor_invert(n, self->inverse);
    for (size_t i = 0; good && i < n; i++) {
        good = self->inverse[i * n + i] * diagonal[i] < most_inflation;
    }
    return good ? 0 : RTL_NOT_POSITIVE_DEFINITE;
}

static int
fit(fit_t *self, rtl_monitor_t *monitor)
{
    const rtl_cells_t *cells = &self->cells;
    size_t n = self->n_terms, dim = cells->dim;

    self->n_values = cells->size - 1 - dim;
    self->inverse =
        rtl_memory_alloc(n, ((2 * dim + 1) * n + self->n_values) * sizeof(double));
    if (self->inverse == NULL) {
        return RTL_NO_MEMORY;
    }
    self->slope = self->inverse + n * n;
    self->quartic = self->slope + dim * n * n;
    self->sums = self->quartic + dim * n * n;
    for (size_t i = 0; i < cells->n_cells; i++) {
        add_cell(self, cells->sums + i * cells->size);
        int status = rtl_monitor_poll(monitor, (double) i / (double) cells->n_cells);
        if (status != 0) {
            return status;
        }
    }
    mirror(n, self->inverse);
    for (size_t k = 0; k < dim; k++) {
        mirror(n, self->slope + k * n * n);
        mirror(n, self->quartic + k * n * n);
    }
    return invert(self);
}

/* --- points ----------------------------------------------------------------------- */

/* a^T m a */
static double
form(size_t n, const double *m, const double *a)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        double row = 0.0;
        for (size_t j = 0; j < n; j++) {
            row += m[i * n + j] * a[j];
        }
        sum += a[i] * row;
    }
    return sum;
}

/* a = S^-1 b */
static void
apply(const fit_t *self, const double *b, double *a)
{
    size_t n = self->n_terms;

    for (size_t i = 0; i < n; i++) {
        a[i] = 0.0;
        for (size_t j = 0; j < n; j++) {
            a[i] += self->inverse[i * n + j] * b[j];
        }
    }
}

static void
fill_place(const fit_t *self, const double *a, rtl_extrapolate_place_t *place)
{
    const rtl_cells_t *cells = &self->cells;
    size_t dim = cells->dim;
    double
        value[RTL_CELLS_INCREMENT + 2 * RTL_INCREMENTS_DIM + RTL_EXTRAPOLATE_MOMENTS];
    size_t n_block = rtl_cells_quartics(cells) + dim;

    for (size_t lag = 0; lag < cells->n_lags; lag++) {
        memset(value, 0, sizeof value);
        for (size_t i = 0; i < self->n_terms; i++) {
            const double *sums = self->sums + i * self->n_values + lag * n_block;
            for (size_t j = 0; j < n_block; j++) {
                value[j] += a[i] * sums[j];
            }
        }
        place->time[lag] = value[RTL_CELLS_TIME];
        place->weight[lag] = value[RTL_CELLS_WEIGHT];
        memcpy(place->increment[lag], value + RTL_CELLS_INCREMENT, dim * sizeof *value);
        memcpy(place->square[lag], value + rtl_cells_squares(cells),
            cells->n_moments * sizeof *value);
        if (lag == 0) {
            memcpy(
                place->quartic, value + rtl_cells_quartics(cells), dim * sizeof *value);
        }
    }
}

/* Slopes of the mean increments, db^T S^-1 sum B dx; db is (dim, n_terms). */
static void
fill_slopes(const fit_t *self, const double *db, rtl_extrapolate_place_t *place)
{
    const rtl_cells_t *cells = &self->cells;
    size_t dim = cells->dim, n = self->n_terms;
    size_t n_block = rtl_cells_quartics(cells) + dim;
    double a[RTL_BASIS_TERMS];

    place->sloped = true;
    for (size_t k = 0; k < dim; k++) {
        apply(self, db + k * n, a);
        for (size_t i = 0; i < n; i++) {
            const double *dx = self->sums + i * self->n_values + RTL_CELLS_INCREMENT;
            for (size_t lag = 0; lag < cells->n_lags; lag++, dx += n_block) {
                for (size_t j = 0; j < dim; j++) {
                    place->slope[lag][j * dim + k] += a[i] * dx[j];
                }
            }
            for (size_t j = 0; j < dim; j++) {
                place->slope_share[j * dim + k] += a[i] * db[j * n + i];
            }
        }
    }
}

/* False where the polynomials do not make sense: far from the data. */
static bool
make_place(const fit_t *self, const double *x, rtl_extrapolate_place_t *place)
{
    size_t n = self->n_terms, dim = self->cells.dim;
    double b[RTL_BASIS_TERMS], a[RTL_BASIS_TERMS], width[RTL_INCREMENTS_DIM];
    double db[RTL_INCREMENTS_DIM * RTL_BASIS_TERMS];

    memset(place, 0, sizeof *place);
    evaluate(self, x, b, db);
    apply(self, b, a);
    for (size_t i = 0; i < n; i++) {
        place->share += a[i] * b[i];
    }
    place->centre = place->share;
    fill_place(self, a, place);
    fill_slopes(self, db, place);
    if (!(place->share > 0.0) || !isfinite(place->share) || !(place->time[0] > 0.0)) {
        return false;
    }
    for (size_t k = 0; k < dim; k++) {
        double square = place->square[0][k * (k + 1) / 2 + k];
        double slope = form(n, self->slope + k * n * n, a);
        if (!(square > 0.0)) {
            return false;
        }
        width[k] = slope > 0.0 ? 0.5 * place->share / slope : INFINITY;
        place->unequal += form(n, self->quartic + k * n * n, a) /
                          (3.0 * (double) dim * place->share * square * square);
    }
    rtl_extrapolate_diffuse(&self->basis->terms, place, width);
    return true;
}

static void
finish_point(const fit_t *self, size_t i, double total, const rtl_basis_out_t *out)
{
    const rtl_extrapolate_t *terms = &self->basis->terms;
    size_t d = terms->dim;
    double *covariance = out->covariance + i * d * d, *drift = out->drift + i * d;
    rtl_extrapolate_place_t place;
    rtl_extrapolate_out_t got = {.rattling = NAN, .error = NAN, .kurtosis = NAN};

    out->count[i] = total;
    if (make_place(self, self->basis->points + i * d, &place)) {
        rtl_extrapolate_covariance(terms, &place, covariance, drift);
        got = rtl_extrapolate_conclude(terms, &place, NULL);
    } else {
        for (size_t k = 0; k < d * d; k++) {
            covariance[k] = NAN;
            drift[k % d] = NAN;
        }
    }
    out->rattling[i] = got.rattling;
    out->error[i] = hypot(got.error, got.remainder);
    out->n_eff[i] = got.n_eff;
    out->kurtosis[i] = got.kurtosis;
}

int
rtl_basis_estimate(const rtl_basis_t *self, const rtl_increments_t *increments,
    const rtl_basis_out_t *out, rtl_monitor_t *monitor)
{
    int status = 0;
    double total = 0.0;
    fit_t *work = rtl_memory_alloc(1, sizeof *work);

    if (work == NULL) {
        return RTL_NO_MEMORY;
    }
    work->basis = self;
    work->increments = increments;
    if (!rtl_increments_good(increments) || self->terms.dim != increments->dim ||
        self->terms.n_terms < 1 || self->degree > RTL_BASIS_DEGREE ||
        !list_terms(work)) {
        status = RTL_BAD_ARGUMENT;
        goto out;
    }
    status = rtl_cells_gather(
        &work->cells, increments, self->low, self->width, self->scaled, monitor);
    if (status != 0) {
        goto out;
    }
    standardise(work);
    status = fit(work, monitor);
    if (status != 0) {
        goto out;
    }
    for (size_t i = 0; i < work->cells.n_cells; i++) {
        total += work->cells.sums[i * work->cells.size + RTL_CELLS_COUNT];
    }
    for (size_t i = 0; i < self->n_points; i++) {
        finish_point(work, i, total, out);
        status = rtl_monitor_poll(monitor, 1.0);
        if (status != 0) {
            goto out;
        }
    }
out:
    rtl_cells_free(&work->cells);
    rtl_memory_free(work->inverse);
    rtl_memory_free(work);
    return status;
}
