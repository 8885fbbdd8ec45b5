/* SPDX-License-Identifier: MIT */
/* Variances. Let y_a(t) be the square of the increment over a states from t, in units
 * of C dt. Squares of Gaussian increments have Cov(y_a(t), y_b(t + k)) = 2 c^2, with c
 * the time they share plus what measurement noise (s = Sigma/(C dt)) adds where they
 * share an end. R = const + 1/2 sum_a beta_a tr y_a to first order, so that
 *
 *     Var R = d/2 sum g^2 Q(beta),  Q = sum_k rho_k sum_ab beta_a beta_b c_ab(k)^2,
 *
 * times the mean of (c/c_0)^2 where C varies within the bandwidth, c being where an
 * increment starts and c_0 at the place; and a C_j is worth nu = 1/(sum g^2 Q(beta of
 * C_j)) independent increments. */
#include "extrapolate.h"

#include <math.h>
#include <string.h>

#include "estimate.h"
#include "extrapolate_drift.h"
#include "tensor.h"

enum { SQUARE = RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM };

/* --- second moments --------------------------------------------------------------- */

/* Number of the moment of two axes: 00, 10, 11, 20, ... */
static size_t
moment_of(size_t i, size_t j)
{
    return i > j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i;
}

/* Shared states of [0, a] and [k, k + b], and s times shared ends. */
static double
shared(double a, double b, double k, double s)
{
    double overlap = fmax(fmin(a, k + b) - fmax(0.0, k), 0.0);
    double ends = (double) (a == k + b) - (double) (k + b == 0.0) - (double) (a == k) +
                  (double) (k == 0.0);

    return overlap + s * ends;
}

/* Q of two combinations of squares. */
static double
spread(const rtl_extrapolate_t *self, const double *alpha, const double *beta,
    const double *rho, double s)
{
    ptrdiff_t longest = (ptrdiff_t) self->lags[self->n_lags - 1];
    ptrdiff_t reach = s > 0.0 ? longest : longest - 1;
    double sum = 0.0;

    for (ptrdiff_t k = -reach; k <= reach; k++) {
        double at_k = 0.0;
        for (size_t a = 0; a < self->n_lags; a++) {
            for (size_t b = 0; b < self->n_lags; b++) {
                double c = shared(
                    (double) self->lags[a], (double) self->lags[b], (double) k, s);
                at_k += alpha[a] * beta[b] * c * c;
            }
        }
        sum += at_k * rho[k < 0 ? -k : k];
    }
    return sum;
}

/* How much overlap adds to the variance of a mean increment. */
static double
crowding(const rtl_extrapolate_t *self, size_t lag, const double *rho)
{
    double length = (double) self->lags[lag], sum = 1.0;

    for (size_t k = 1; k < self->lags[lag]; k++) {
        sum += 2.0 * rho[k] * (1.0 - (double) k / length);
    }
    return sum;
}

/* Lengths, in states, of what C_j is divided by. */
static double
length_of(const rtl_extrapolate_t *self, size_t term)
{
    double minus = self->minus[term] == RTL_EXTRAPOLATE_NONE
                       ? 0.0
                       : (double) self->lags[self->minus[term]];
    return (double) self->lags[self->plus[term]] - minus;
}

/* beta of C_j alone. */
static void
unit(const rtl_extrapolate_t *self, size_t term, double factor, double *beta)
{
    beta[self->plus[term]] += factor / length_of(self, term);
    if (self->minus[term] != RTL_EXTRAPOLATE_NONE) {
        beta[self->minus[term]] -= factor / length_of(self, term);
    }
}

/* c += sign M(lag), without the bias that the mean's scatter leaves in units of C:
 * that is added to *lost, times the length. */
static void
add_moment(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    size_t lag, double sign, double *c, double *lost)
{
    const double *square = place->square[lag], *dx = place->increment[lag];
    double factor = place->weight[lag] / place->time[lag];
    size_t dim = self->dim;

    for (size_t j = 0; j < dim; j++) {
        for (size_t i = 0; i <= j; i++) {
            double m = sign * (*square++ - factor * dx[i] * dx[j]);
            c[j * dim + i] += m;
            c[i * dim + j] += i < j ? m : 0.0;
        }
    }
    *lost += sign * (double) self->lags[lag] * crowding(self, lag, place->rho);
}

/* C_j, and the share of its expectation that centring leaves; false where its divisor
 * or too few increments leave none. */
static bool
fill_covariance(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    size_t term, double *c, double *left)
{
    size_t plus = self->plus[term], minus = self->minus[term];
    double lost = 0.0, weight = place->weight[plus];

    memset(c, 0, self->dim * self->dim * sizeof *c);
    add_moment(self, place, plus, 1.0, c, &lost);
    if (minus != RTL_EXTRAPOLATE_NONE) {
        add_moment(self, place, minus, -1.0, c, &lost);
        weight -= place->weight[minus];
    }
    *left = 1.0 - place->share * lost / length_of(self, term);
    if (!(*left > 0.0) || !(weight > 0.0)) {
        return false;
    }
    for (size_t i = 0; i < self->dim * self->dim; i++) {
        c[i] /= *left * weight;
        c[i] -= self->known ? 2.0 * self->noise[i] / weight : 0.0;
    }
    return true;
}

/* Sigma/(C dt), the mean over directions; 0 where no noise is looked for. `inverse` is
 * that of C. */
static double
noise_ratio(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    const double *inverse)
{
    double m[SQUARE] = {0.0}, lost = 0.0;
    size_t dim = self->dim, minus = self->minus[0];
    size_t lag = self->known ? self->plus[0] : minus;

    if (lag == RTL_EXTRAPOLATE_NONE) {
        return 0.0;
    }
    double length = (double) self->lags[lag], step = place->weight[lag] / length;
    if (self->known) {
        double ratio = rtl_tensor_trace(dim, inverse, self->noise);
        return fmax(ratio / ((double) dim * step), 0.0);
    }
    add_moment(self, place, minus, 1.0, m, &lost);
    double ratio = rtl_tensor_trace(dim, inverse, m) / ((double) dim * step);
    return fmax(0.5 * (ratio - length), 0.0); /* ratio is length + 2 s */
}

/* --- linear drift ----------------------------------------------------------------- */

/* What is left of the lag: of its whole effect, squared, where linear drift is allowed
 * for; of the effect of C's variation, whose next orders are hardly smaller where C
 * varies over the length of an increment. */
static const double left_of_square = 0.5, left_of_variation = 0.8;

/* What linear drift adds to 1/2 log det C_j, NaN where it is not to be had. */
static double
drift_of_term(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    size_t term, const double *c)
{
    double seen[SQUARE] = {0.0}, lost = 0.0;

    if (self->minus[term] != RTL_EXTRAPOLATE_NONE) {
        add_moment(self, place, self->minus[term], 1.0, seen, &lost);
    }
    return rtl_extrapolate_drift(self, place, term, c, seen);
}

/* What linear drift adds, to first order in the slopes and with the weights, as a sum
 * of `at` tr(slope): 1/2 sum_j weights_j tr(M - 1), or 3/2 with `minus`. Where Sigma is
 * known these cancel, being multiples of one slope, and what errors of the start add
 * is left, -s/2 sum_j weights_j/l_j tr(M E - 1 + M - 1). */
static void
weigh_slopes(const rtl_extrapolate_t *self, const double *weights, double s, double *at)
{
    size_t l, twice;

    rtl_extrapolate_pair(self, 0, &l, &twice);
    for (size_t j = 0; j < self->n_terms; j++) {
        double first = (double) self->lags[self->plus[0]], lag = length_of(self, j);
        if (self->known) {
            at[self->plus[j]] += 0.5 * s * weights[j] / lag;
            at[twice] += 0.5 * s * weights[j] / first;
            at[l] -= 0.5 * s * weights[j] / first;
            continue;
        }
        bool noisy = self->minus[j] != RTL_EXTRAPOLATE_NONE;
        at[self->plus[j]] += noisy ? 1.5 * weights[j] : 0.5 * weights[j];
        if (noisy) {
            at[self->minus[j]] -= 1.5 * weights[j];
        }
    }
}

/* Variance of what linear drift adds: slopes of mean increments scatter as increments
 * do. */
static double
slope_variance(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    const double *weights, double s)
{
    double at[RTL_INCREMENTS_LAGS] = {0.0}, trace = 0.0, sum = 0.0;
    ptrdiff_t longest = (ptrdiff_t) self->lags[self->n_lags - 1];
    bool noisy = self->minus[0] != RTL_EXTRAPOLATE_NONE;

    weigh_slopes(self, weights, s, at);
    for (size_t i = 0; i < self->dim * self->dim; i++) {
        size_t moment = moment_of(i / self->dim, i % self->dim);
        double c = place->square[self->plus[0]][moment];
        c -= noisy ? place->square[self->minus[0]][moment] : 0.0;
        c -= self->known ? 2.0 * self->noise[i] : 0.0;
        trace += place->slope_share[i] * c / length_of(self, 0);
    }
    for (ptrdiff_t k = -longest; k <= longest; k++) {
        for (size_t a = 0; a < self->n_lags; a++) {
            for (size_t b = 0; b < self->n_lags; b++) {
                sum += at[a] * at[b] * place->rho[k < 0 ? -k : k] *
                       shared((double) self->lags[a], (double) self->lags[b],
                           (double) k, s);
            }
        }
    }
    return fmax(trace * sum, 0.0);
}

/* --- conclusions ------------------------------------------------------------------ */

void
rtl_extrapolate_diffuse(
    const rtl_extrapolate_t *self, rtl_extrapolate_place_t *place, const double *width)
{
    for (size_t k = 0; k <= self->lags[self->n_lags - 1]; k++) {
        double product = 1.0;
        for (size_t i = 0; i < self->dim; i++) {
            double step =
                place->square[0][i * (i + 1) / 2 + i] / (double) self->lags[0];
            product *= 1.0 + 0.5 * (double) k * fmax(step, 0.0) / width[i];
        }
        place->rho[k] = 1.0 / sqrt(product);
    }
}

void
rtl_extrapolate_covariance(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *place, double *covariance, double *drift)
{
    size_t plus = self->plus[0], minus = self->minus[0];
    double left;
    bool noisy = self->known || minus != RTL_EXTRAPOLATE_NONE;

    if (!fill_covariance(self, place, 0, covariance, &left)) {
        for (size_t i = 0; i < self->dim * self->dim; i++) {
            covariance[i] = NAN;
        }
    }
    rtl_extrapolate_pair(self, 0, &minus, &plus);
    double time = place->time[plus] - (noisy ? place->time[minus] : 0.0);
    for (size_t k = 0; k < self->dim; k++) { /* both contain the error of the start */
        drift[k] = place->increment[plus][k];
        drift[k] -= noisy ? place->increment[minus][k] : 0.0;
        drift[k] /= time;
    }
}

/* What the error of Sigma adds to the variance of R; `inverse` is that of C_0. */
static double
noise_variance(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    const double *weights, const double *inverse)
{
    double factor = 0.0, sum = 0.0;
    size_t dim = self->dim;

    for (size_t j = 0; j < self->n_terms; j++) {
        factor += weights[j] / place->weight[self->plus[j]];
    }
    for (size_t i = 0; i < dim; i++) {
        double part = factor * inverse[i * dim + i];
        sum += part * part * self->noise_variance[i];
    }
    return sum;
}

void
rtl_extrapolate_centre_displaced(
    const rtl_extrapolate_t *self, const double *drift, rtl_extrapolate_place_t *place)
{
    const double *dx = place->increment[self->plus[0]];
    double *displaced = place->displaced, scatter[SQUARE];
    size_t dim = self->dim;

    rtl_tensor_conjugate(dim, place->slope[self->plus[0]], self->noise, scatter);
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j <= i; j++) {
            *displaced++ -= dx[i] * drift[j] + drift[i] * dx[j] + scatter[i * dim + j];
        }
    }
}

/* What errors of the starts add to 1/2 log det C_0, whose inverse is given. */
static double
displacement(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    const double *inverse)
{
    double sum = 0.0;
    size_t dim = self->dim;

    for (size_t i = 0; i < dim * dim; i++) {
        sum += inverse[i] * place->displaced[moment_of(i / dim, i % dim)];
    }
    return 0.5 * sum / place->weight[self->plus[0]];
}

/* Independent increments behind C_j. */
static double
worth(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place, size_t term,
    double s)
{
    double beta[RTL_INCREMENTS_LAGS] = {0.0};

    unit(self, term, 1.0, beta);
    return 1.0 / (place->share * spread(self, beta, beta, place->rho, s));
}

/* What the terms say, each by itself. */
typedef struct {
    double half[RTL_EXTRAPOLATE_TERMS];  /* 1/2 log det C_j, bias removed */
    double drift[RTL_EXTRAPOLATE_TERMS]; /* what linear drift adds to it, if `sloped` */
    bool sloped;
    double
        factor; /* variance of the first in units of what it is for many increments */
    double n_eff, s;
    double inverse[SQUARE]; /* of C_0, where noise is looked for; else zeros */
} terms_t;

/* False where a C_j is not positive definite. */
static bool
half_log_dets(
    const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place, terms_t *out)
{
    double c[SQUARE], work[SQUARE], bias, variance, left;

    bool noisy = self->known || self->minus[0] != RTL_EXTRAPOLATE_NONE;

    *out = (terms_t) {.n_eff = worth(self, place, 0, 0.0)};
    out->sloped = place->sloped && self->n_terms > 1;
    for (size_t j = 0; j < self->n_terms; j++) {
        if (!fill_covariance(self, place, j, c, &left)) {
            return false;
        }
        if (j == 0 && noisy) {
            memcpy(out->inverse, c, self->dim * self->dim * sizeof *c);
            if (!rtl_tensor_invert(self->dim, out->inverse)) {
                return false;
            }
            out->s = noise_ratio(self, place, out->inverse);
        }
        double log_det = rtl_estimate_log_det(self->dim, c, work);
        double nu = worth(self, place, j, out->s);
        out->n_eff = j == 0 ? nu : out->n_eff;
        if (!isfinite(log_det) || !(nu * left >= (double) self->dim)) {
            return false;
        }
        rtl_estimate_log_det_law(self->dim, nu * left, &bias, &variance);
        out->half[j] = 0.5 * log_det - bias;
        out->factor = j == 0 ? 2.0 * variance * nu / (double) self->dim : out->factor;
        out->drift[j] = out->sloped ? drift_of_term(self, place, j, c) : 0.0;
        out->sloped = out->sloped && isfinite(out->drift[j]);
    }
    return true;
}

/* Weights of the terms that remove the first powers of the lag. */
static void
lagrange(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    double *weights)
{
    double t[RTL_EXTRAPOLATE_TERMS];

    for (size_t j = 0; j < self->n_terms; j++) {
        t[j] = place->time[self->plus[j]];
        t[j] +=
            self->minus[j] == RTL_EXTRAPOLATE_NONE ? 0.0 : place->time[self->minus[j]];
    }
    for (size_t j = 0; j < self->n_terms; j++) {
        weights[j] = 1.0;
        for (size_t i = 0; i < self->n_terms; i++) {
            weights[j] *= i == j ? 1.0 : t[i] / (t[i] - t[j]);
        }
    }
}

static double
excess(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place)
{
    double sum = 0.0;

    for (size_t i = 0; i < self->dim; i++) {
        double square = place->square[0][i * (i + 1) / 2 + i];
        sum += place->quartic[i] / (square * square) - 3.0;
    }
    return sum / (double) self->dim;
}

/* Variance of R, in units of that of tr y/2 for a single increment: `first` are the
 * weights of the squares taken at `place`, `rest` of those at `wide`, if there is one,
 * from which those of displaced starts are subtracted. */
static double
combine(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    const rtl_extrapolate_place_t *wide, const double *first, const double *rest,
    double s)
{
    double all[RTL_INCREMENTS_LAGS];

    if (wide == NULL) {
        for (size_t a = 0; a < self->n_lags; a++) {
            all[a] = first[a] + rest[a];
        }
        return place->share * spread(self, all, all, place->rho, s) +
               place->displaced_share * spread(self, first, first, place->rho, s) -
               2.0 * place->displaced_overlap * spread(self, all, first, place->rho, s);
    }
    return place->share * spread(self, first, first, place->rho, s) +
           wide->share * spread(self, rest, rest, wide->rho, s) +
           wide->displaced_share * spread(self, first, first, wide->rho, s) +
           2.0 * (wide->centre - wide->displaced_overlap) *
               spread(self, first, rest, wide->rho, s) -
           2.0 * wide->displaced_centre * spread(self, first, first, wide->rho, s);
}

/* Size of what the extrapolation leaves. */
static double
remainder_of(const rtl_extrapolate_t *self, const rtl_extrapolate_out_t *out,
    const terms_t *terms)
{
    double lag = out->effect - out->displaced;
    double power = pow(fabs(lag), (double) self->n_terms);

    if (self->n_terms < 2 || !terms->sloped) {
        return self->n_terms < 2 ? 0.0 : power;
    }
    double varied = lag - terms->drift[0];
    double known = varied * varied - out->effect_error * out->effect_error;
    return hypot(left_of_square * power, left_of_variation * sqrt(fmax(known, 0.0)));
}

rtl_extrapolate_out_t
rtl_extrapolate_conclude(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *place, const rtl_extrapolate_place_t *wide)
{
    const rtl_extrapolate_place_t *broad = wide == NULL ? place : wide;
    rtl_extrapolate_out_t out = {.rattling = NAN, .error = NAN};
    double weights[RTL_EXTRAPOLATE_TERMS], first[RTL_INCREMENTS_LAGS] = {0.0};
    double rest[RTL_INCREMENTS_LAGS] = {0.0};
    terms_t near, far;

    bool good = half_log_dets(self, place, &near) && half_log_dets(self, broad, &far);
    out.kurtosis = excess(self, place);
    out.n_eff = near.n_eff;
    if (!good) {
        return out;
    }
    lagrange(self, place, weights);
    unit(self, 0, 1.0, first);
    for (size_t j = 0; j < self->n_terms; j++) {
        out.effect -= weights[j] * (far.half[j] - far.half[0]);
        out.effect += far.sloped ? weights[j] * far.drift[j] : 0.0;
        unit(self, j, weights[j], rest);
        unit(self, 0, -weights[j], rest);
    }
    out.displaced = displacement(self, broad, far.inverse);
    out.effect += out.displaced;
    out.rattling = near.half[0] - out.effect;
    for (size_t a = 0; a < self->n_lags; a++) {
        out.weight_of_square[a] = first[a] + rest[a];
    }
    double scale = 0.5 * (double) self->dim * near.factor * place->unequal;
    double of_drift = far.sloped ? slope_variance(self, broad, weights, near.s) : 0.0;
    double of_rest =
        broad->share * spread(self, rest, rest, broad->rho, near.s) +
        broad->displaced_share * spread(self, first, first, broad->rho, near.s) -
        2.0 * broad->displaced_overlap * spread(self, rest, first, broad->rho, near.s);
    double of_all = combine(self, place, wide, first, rest, near.s);
    of_all =
        scale * of_all + of_drift + noise_variance(self, broad, weights, far.inverse);
    out.error = sqrt(fmax(of_all, 0.0));
    out.effect_error = sqrt(fmax(scale * of_rest + of_drift, 0.0));
    out.remainder = remainder_of(self, &out, &far);
    return out;
}

double
rtl_extrapolate_common(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *wide, const rtl_extrapolate_out_t *of_narrow,
    const rtl_extrapolate_out_t *of_wide)
{
    return 0.5 * (double) self->dim * wide->centre *
           spread(self, of_narrow->weight_of_square, of_wide->weight_of_square,
               wide->rho, 0.0);
}
