/* SPDX-License-Identifier: MIT */
#include "extrapolate_drift.h"

#include <math.h>
#include <string.h>

#include "estimate.h"
#include "tensor.h"

enum { SQUARE = RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM };

/* 1 + slope of the mean increments of a lag: M E. */
static void
mean_state(const rtl_extrapolate_place_t *place, size_t lag, size_t dim, double *out)
{
    for (size_t i = 0; i < dim * dim; i++) {
        out[i] = place->slope[lag][i] + (i / dim == i % dim ? 1.0 : 0.0);
    }
}

/* out = a^-1; false where there is none. */
static bool
invert(size_t dim, const double *a, double *out)
{
    memcpy(out, a, dim * dim * sizeof *a);
    return rtl_tensor_invert(dim, out);
}

/* M of a lag l, from M M E and M E, and E, if asked for; false where there is none. */
static bool
propagator(const rtl_extrapolate_place_t *place, size_t dim, size_t l, size_t twice,
    double *m, double *e)
{
    double one[SQUARE], two[SQUARE], back[SQUARE];

    mean_state(place, l, dim, one);
    mean_state(place, twice, dim, two);
    if (!invert(dim, one, back)) {
        return false;
    }
    rtl_tensor_multiply(dim, two, back, m);
    if (e == NULL) {
        return true;
    }
    bool good = invert(dim, m, back);
    rtl_tensor_multiply(dim, back, one, e);
    return good;
}

/* What linear drift adds to 1/2 log det of c, which grew as
 *
 *     c = int_t^{t + tau} e^(As) 2D e^(A^T s) ds,   M = e^(A tau),   t = before * tau,
 *
 * against 2D tau: with s_i the eigenvalues of c^-1 M c M^T and u_i = 1/2 log s_i it is
 *
 *     (1/2 + before) log det M + 1/2 sum_i log(sinh(u_i)/u_i),
 *
 * exactly where A and D commute or A is symmetric in the metric D^-1, else up to third
 * order in tau. The sum is taken as dim times its value at the mean of sinh^2 u_i,
 *
 *     q = (tr c^-1 M c M^T + tr c^-1 M^-1 c M^-T)/(4 dim) - 1/2.
 *
 * NaN where c or M is singular. */
static double
contraction(size_t dim, const double *c, const double *m, double before)
{
    double p[SQUARE], grown[SQUARE], back[SQUARE], work[SQUARE];

    if (!invert(dim, c, p) || !invert(dim, m, back)) {
        return NAN;
    }
    rtl_tensor_conjugate(dim, m, c, grown);
    double log_det = rtl_estimate_log_det(dim, grown, work);
    log_det = 0.5 * (log_det - rtl_estimate_log_det(dim, c, work));
    double sum = rtl_tensor_trace(dim, p, grown);
    rtl_tensor_conjugate(dim, back, c, grown);
    sum += rtl_tensor_trace(dim, p, grown);
    double u = asinh(sqrt(fmax(sum / (4.0 * (double) dim) - 0.5, 0.0)));
    double bend = u > 0.0 ? 0.5 * (double) dim * log(sinh(u) / u) : 0.0;
    return isfinite(log_det) ? (0.5 + before) * log_det + bend : NAN;
}

/* The error of the start, which drift contracts, adds to 1/2 log det C_j, where W C_j =
 * M(2l) - M(l),
 *
 *     tr C_j^-1 (M M Sigma M^T M^T - M Sigma M^T)/(2 W),
 *     2 Sigma = M(l) - W M^-1 C_j M^-T.
 *
 * NaN where c or m is singular. */
static double
scatter_unknown(
    size_t dim, double span, const double *c, const double *m, const double *seen)
{
    double sigma[SQUARE], back[SQUARE], grown[SQUARE], work[SQUARE];

    if (!invert(dim, m, back)) {
        return NAN;
    }
    rtl_tensor_conjugate(dim, back, c, grown);
    for (size_t i = 0; i < dim * dim; i++) {
        sigma[i] = 0.5 * (seen[i] - span * grown[i]);
    }
    rtl_tensor_conjugate(dim, m, sigma, grown);
    rtl_tensor_conjugate(dim, m, grown, work);
    for (size_t i = 0; i < dim * dim; i++) {
        work[i] -= grown[i];
    }
    return invert(dim, c, back) ? rtl_tensor_trace(dim, back, work) / (2.0 * span)
                                : NAN;
}

/* out = c - (M E Sigma M^T - Sigma)/span, c without what the error of the start adds
 * where Sigma is known. */
static void
without_start(size_t dim, double span, const double *c, const double *m,
    const double *e, const double *sigma, double *out)
{
    double of_start[SQUARE], grown[SQUARE];

    rtl_tensor_multiply(dim, e, sigma, of_start);
    rtl_tensor_conjugate(dim, m, of_start, grown);
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j < dim; j++) { /* E Sigma is symmetric but for scatter */
            size_t ij = i * dim + j, ji = j * dim + i;
            out[ij] = c[ij] - (0.5 * (grown[ij] + grown[ji]) - sigma[ij]) / span;
        }
    }
}

/* Where Sigma is known M of the first term's lag is taken to a power; there is none for
 * other lags. */
static double
drift_known(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    size_t term, const double *c)
{
    size_t dim = self->dim, plus = self->plus[term], l, twice;
    size_t first = self->lags[self->plus[0]], lag = self->lags[plus];
    double step[SQUARE], m[SQUARE], e[SQUARE], work[SQUARE];

    rtl_extrapolate_pair(self, term, &l, &twice);
    if (lag % first != 0 || !propagator(place, dim, l, twice, step, e)) {
        return NAN;
    }
    memcpy(m, step, dim * dim * sizeof *m);
    for (size_t k = first; k < lag; k += first) {
        rtl_tensor_multiply(dim, m, step, work);
        memcpy(m, work, dim * dim * sizeof *m);
    }
    without_start(dim, place->weight[plus], c, m, e, self->noise, step);
    double log_det = rtl_estimate_log_det(dim, c, work);
    log_det -= rtl_estimate_log_det(dim, step, work);
    return contraction(dim, step, m, 0.0) + 0.5 * log_det;
}

double
rtl_extrapolate_drift(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *place, size_t term, const double *c,
    const double *seen)
{
    size_t dim = self->dim, plus = self->plus[term], minus = self->minus[term];
    double m[SQUARE];

    if (self->known) {
        return drift_known(self, place, term, c);
    }
    if (minus == RTL_EXTRAPOLATE_NONE) {
        mean_state(place, plus, dim, m);
        return contraction(dim, c, m, 0.0);
    }
    if (!propagator(place, dim, minus, plus, m, NULL)) {
        return NAN;
    }
    double span = place->weight[plus] - place->weight[minus];
    return contraction(dim, c, m, 1.0) + scatter_unknown(dim, span, c, m, seen);
}

void
rtl_extrapolate_pair(
    const rtl_extrapolate_t *self, size_t term, size_t *l, size_t *twice)
{
    *l = self->minus[term];
    *twice = self->plus[term];
    if (self->known) {
        *l = *twice = self->plus[0];
        while (self->lags[*twice] < 2 * self->lags[*l]) {
            ++*twice;
        }
    }
}
