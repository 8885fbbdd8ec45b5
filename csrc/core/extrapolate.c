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
#include "tensor.h"

/* --- second moments --------------------------------------------------------------- */

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
    }
    return true;
}

/* Sigma/(C dt), the mean over directions; 0 where no noise is looked for. */
static double
noise_ratio(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    const double *c)
{
    double inverse[RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM];
    double m[RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM] = {0.0}, lost = 0.0, sum = 0.0;
    size_t dim = self->dim, minus = self->minus[0];

    if (minus == RTL_EXTRAPOLATE_NONE) {
        return 0.0;
    }
    memcpy(inverse, c, dim * dim * sizeof *c);
    if (!rtl_tensor_invert(dim, inverse)) {
        return 0.0;
    }
    add_moment(self, place, minus, 1.0, m, &lost);
    for (size_t i = 0; i < dim * dim; i++) {
        sum += inverse[i] * m[i];
    }
    double step = place->weight[minus] / (double) self->lags[minus];
    double ratio = sum / ((double) dim * step); /* lag + 2 s */
    return fmax(0.5 * (ratio - (double) self->lags[minus]), 0.0);
}

/* --- linear drift ----------------------------------------------------------------- */

enum { SQUARE = RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM };
/* What is left of the lag: of its whole effect, squared, where linear drift is allowed
 * for; of the effect of C's variation, whose next orders are hardly smaller where C
 * varies over the length of an increment. */
static const double left_of_square = 0.5, left_of_variation = 0.8;

/* out = a b, or a^T b. */
static void
multiply(size_t dim, bool transposed, const double *a, const double *b, double *out)
{
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j < dim; j++) {
            double sum = 0.0;
            for (size_t k = 0; k < dim; k++) {
                sum += a[transposed ? k * dim + i : i * dim + k] * b[k * dim + j];
            }
            out[i * dim + j] = sum;
        }
    }
}

static double
trace_of_product(size_t dim, const double *a, const double *b)
{
    double sum = 0.0;

    for (size_t i = 0; i < dim * dim; i++) {
        sum += a[i] * b[i];
    }
    return sum;
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
    double p[SQUARE], pm[SQUARE], n[SQUARE], work[SQUARE];

    memcpy(p, c, dim * dim * sizeof *c);
    if (!rtl_tensor_invert(dim, p)) {
        return NAN;
    }
    multiply(dim, false, p, m, pm);
    multiply(dim, true, m, pm, n); /* M^T c^-1 M */
    double forward = trace_of_product(dim, n, c);
    double log_det = rtl_estimate_log_det(dim, n, work);
    log_det = 0.5 * (log_det + rtl_estimate_log_det(dim, c, work));
    if (!isfinite(log_det) || !rtl_tensor_invert(dim, n)) {
        return NAN;
    }
    double q = (forward + trace_of_product(dim, p, n)) / (4.0 * (double) dim) - 0.5;
    double u = asinh(sqrt(fmax(q, 0.0)));
    double bend = u > 0.0 ? 0.5 * (double) dim * log(sinh(u) / u) : 0.0;
    return (0.5 + before) * log_det + bend;
}

/* out = a b a^T. */
static void
conjugate(size_t dim, const double *a, const double *b, double *out)
{
    double ab[SQUARE];

    multiply(dim, false, a, b, ab);
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j < dim; j++) {
            out[i * dim + j] = 0.0;
            for (size_t k = 0; k < dim; k++) {
                out[i * dim + j] += ab[i * dim + k] * a[j * dim + k];
            }
        }
    }
}

/* A start is known but for the error Sigma with which it was seen, which the drift
 * contracts. To 1/2 log det C_j, W C_j = M(2l) - M(l), this adds
 *
 *     tr C_j^-1 (M M Sigma M^T M^T - M Sigma M^T)/(2 W),
 *     2 Sigma = M(l) - W M^-1 C_j M^-T.
 *
 * NaN where c or m is singular. */
static double
scatter_of_start(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    size_t term, const double *c, const double *m)
{
    double seen[SQUARE] = {0.0}, back[SQUARE], grown[SQUARE], work[SQUARE], lost = 0.0;
    size_t dim = self->dim, minus = self->minus[term];
    double span = place->weight[self->plus[term]] - place->weight[minus];

    memcpy(back, m, dim * dim * sizeof *m);
    if (!rtl_tensor_invert(dim, back)) {
        return NAN;
    }
    add_moment(self, place, minus, 1.0, seen, &lost);
    conjugate(dim, back, c, grown);
    for (size_t i = 0; i < dim * dim; i++) {
        seen[i] = 0.5 * (seen[i] - span * grown[i]);
    }
    conjugate(dim, m, seen, grown);
    conjugate(dim, m, grown, work);
    for (size_t i = 0; i < dim * dim; i++) {
        work[i] -= grown[i];
    }
    memcpy(back, c, dim * dim * sizeof *c);
    return rtl_tensor_invert(dim, back)
               ? trace_of_product(dim, back, work) / (2.0 * span)
               : NAN;
}

/* m + m m = slope by iteration; false where that does not converge. */
static bool
solve_square(size_t dim, const double *slope, double *m)
{
    double square[SQUARE], change = 1.0;

    memcpy(m, slope, dim * dim * sizeof *m);
    for (size_t turn = 0; turn < 100 && change > 1e-6 && change < 1e3; turn++) {
        multiply(dim, false, m, m, square);
        change = 0.0;
        for (size_t i = 0; i < dim * dim; i++) {
            double next = slope[i] - square[i];
            change = fmax(change, fabs(next - m[i]));
            m[i] = next;
        }
    }
    return change <= 1e-6;
}

/* What drift adds to 1/2 log det C_j, NaN where it is not to be had. With `minus`,
 * slope(2l) - slope(l) is M^2 - M. */
static double
drift_of_term(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    size_t term, const double *c)
{
    size_t dim = self->dim, minus = self->minus[term];
    bool noisy = minus != RTL_EXTRAPOLATE_NONE;
    double slope[SQUARE], m[SQUARE];

    for (size_t i = 0; i < dim * dim; i++) {
        slope[i] = place->slope[self->plus[term]][i];
        slope[i] -= noisy ? place->slope[minus][i] : 0.0;
        m[i] = slope[i];
    }
    if (noisy && !solve_square(dim, slope, m)) {
        return NAN;
    }
    for (size_t i = 0; i < dim; i++) {
        m[i * dim + i] += 1.0;
    }
    double own = contraction(dim, c, m, noisy ? 1.0 : 0.0);
    return noisy ? own + scatter_of_start(self, place, term, c, m) : own;
}

/* Variance of what linear drift adds with the weights, about 1/2 sum_j weights_j tr(M -
 * 1), or 3/2 with `minus`: slopes of mean increments scatter as increments do. */
static double
slope_variance(const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place,
    const double *weights, double s)
{
    double at[RTL_INCREMENTS_LAGS] = {0.0}, trace = 0.0, sum = 0.0;
    ptrdiff_t longest = (ptrdiff_t) self->lags[self->n_lags - 1];
    bool noisy = self->minus[0] != RTL_EXTRAPOLATE_NONE;

    for (size_t j = 0; j < self->n_terms; j++) {
        at[self->plus[j]] += noisy ? 1.5 * weights[j] : 0.5 * weights[j];
        if (noisy) {
            at[self->minus[j]] -= 1.5 * weights[j];
        }
    }
    for (size_t i = 0; i < self->dim * self->dim; i++) {
        size_t j = i / self->dim, k = i % self->dim;
        size_t moment = j > k ? j * (j + 1) / 2 + k : k * (k + 1) / 2 + j;
        double c = place->square[self->plus[0]][moment];
        c -= noisy ? place->square[self->minus[0]][moment] : 0.0;
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
    double left, time = place->time[plus];

    if (!fill_covariance(self, place, 0, covariance, &left)) {
        for (size_t i = 0; i < self->dim * self->dim; i++) {
            covariance[i] = NAN;
        }
    }
    memcpy(drift, place->increment[plus], self->dim * sizeof *drift);
    time -= minus == RTL_EXTRAPOLATE_NONE ? 0.0 : place->time[minus];
    for (size_t k = 0; k < self->dim; k++) { /* both contain the error of the start */
        drift[k] -= minus == RTL_EXTRAPOLATE_NONE ? 0.0 : place->increment[minus][k];
        drift[k] /= time;
    }
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
} terms_t;

/* False where a C_j is not positive definite. */
static bool
half_log_dets(
    const rtl_extrapolate_t *self, const rtl_extrapolate_place_t *place, terms_t *out)
{
    double c[RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM];
    double work[RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM], bias, variance, left;

    *out = (terms_t) {.n_eff = worth(self, place, 0, 0.0)};
    out->sloped = place->sloped && self->n_terms > 1;
    for (size_t j = 0; j < self->n_terms; j++) {
        if (!fill_covariance(self, place, j, c, &left)) {
            return false;
        }
        if (j == 0) {
            out->s = noise_ratio(self, place, c);
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
 * weights of the squares taken at `place`, `rest` of those at `wide`, if there is one.
 */
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
        return place->share * spread(self, all, all, place->rho, s);
    }
    return place->share * spread(self, first, first, place->rho, s) +
           wide->share * spread(self, rest, rest, wide->rho, s) +
           2.0 * wide->centre * spread(self, first, rest, wide->rho, s);
}

/* Size of what the extrapolation leaves; `drift`: the part of linear drift. */
static double
remainder_of(const rtl_extrapolate_t *self, const rtl_extrapolate_out_t *out,
    bool sloped, double drift)
{
    if (self->n_terms < 2) {
        return 0.0;
    }
    double power = pow(fabs(out->effect), (double) self->n_terms);
    if (!sloped) {
        return power;
    }
    double varied = out->effect - drift;
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
    out.rattling = near.half[0] - out.effect;
    for (size_t a = 0; a < self->n_lags; a++) {
        out.weight_of_square[a] = first[a] + rest[a];
    }
    double scale = 0.5 * (double) self->dim * near.factor * place->unequal;
    double of_drift = far.sloped ? slope_variance(self, broad, weights, near.s) : 0.0;
    double of_rest = broad->share * spread(self, rest, rest, broad->rho, near.s);
    double of_all = combine(self, place, wide, first, rest, near.s);
    out.error = sqrt(fmax(scale * of_all + of_drift, 0.0));
    out.effect_error = sqrt(fmax(scale * of_rest + of_drift, 0.0));
    out.remainder = remainder_of(self, &out, far.sloped, far.drift[0]);
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
