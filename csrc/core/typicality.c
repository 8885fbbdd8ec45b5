/* SPDX-License-Identifier: MIT */
/* Weighted least squares and rank correlation of log p with R; the exponential family
 * is in family.c.
 *
 * Errors of R attenuate the slope by var R / (var R + s^2); it is corrected by moments,
 * and its standard error comes from the estimating function of the corrected slope
 * (Fuller 1987, Measurement Error Models, section 1.2). Sums run over the cells in
 * order and carry their rounding error along. */
#include "typicality.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "family.h"
#include "memory.h"
#include "ranks.h"
#include "sum.h"

enum { POLL_EVERY = 1 << 15 };

/* The cells that are used. */
typedef struct {
    size_t n;
    double *y;     /* (n,) log p */
    double *r;     /* (n,) R */
    double *v;     /* (n,) volumes, or NULL: 1 */
    double *w;     /* (n,) weights that sum to 1, or NULL: 1 / n */
    double *s2;    /* (n,) variances of the errors of R, or NULL: 0 */
    size_t anchor; /* a cell of largest weight: what differences are taken from */
    double y_low, y_high, r_low, r_high;
    rtl_monitor_t *monitor;
} sample_t;

static inline double
volume(const sample_t *self, size_t i)
{
    return self->v == NULL ? 1.0 : self->v[i];
}

static inline double
weight(const sample_t *self, size_t i)
{
    return self->w == NULL ? 1.0 / (double) self->n : self->w[i];
}

static inline int
poll(const sample_t *self, size_t i)
{
    return i % POLL_EVERY == 0 ? rtl_monitor_poll(self->monitor, 0.0) : 0;
}

/* --- which cells are used --------------------------------------------------------- */

static bool
is_used(const rtl_typicality_input_t *input, size_t i)
{
    return isfinite(input->log_p[i]) && isfinite(input->rattling[i]) &&
           (input->error == NULL || isfinite(input->error[i]));
}

static int
check_cell(const rtl_typicality_input_t *input, size_t i)
{
    if (input->log_p[i] == INFINITY) {
        return RTL_BAD_ARGUMENT;
    }
    if (input->volume != NULL &&
        !(input->volume[i] > 0.0 && input->volume[i] < INFINITY)) {
        return RTL_BAD_ARGUMENT;
    }
    if (input->weights != NULL && !input->by_probability &&
        !(input->weights[i] >= 0.0 && input->weights[i] < INFINITY)) {
        return RTL_BAD_ARGUMENT;
    }
    if (input->error != NULL && input->error[i] < 0.0) {
        return RTL_BAD_ARGUMENT;
    }
    return 0;
}

static void
sample_free(sample_t *self)
{
    rtl_memory_free(self->y);
    rtl_memory_free(self->r);
    rtl_memory_free(self->v);
    rtl_memory_free(self->w);
    rtl_memory_free(self->s2);
    memset(self, 0, sizeof *self);
}

/* Room for n numbers where `wanted`; false when memory is short. */
static bool
allocate(double **array, size_t n, bool wanted)
{
    *array = wanted ? rtl_memory_alloc(n, sizeof **array) : NULL;
    return !wanted || *array != NULL;
}

/* Copy the used cells; weights as they come. */
static int
sample_fill(sample_t *self, const rtl_typicality_input_t *input)
{
    for (size_t i = 0, k = 0; i < input->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        if (!is_used(input, i)) {
            continue;
        }
        self->y[k] = input->log_p[i];
        self->r[k] = input->rattling[i];
        if (self->v != NULL) {
            self->v[k] = input->volume[i];
        }
        if (self->w != NULL && !input->by_probability) {
            self->w[k] = input->weights[i];
        }
        if (self->s2 != NULL) {
            self->s2[k] = input->error[i] * input->error[i];
        }
        k++;
    }
    return 0;
}

/* The range of n > 0 numbers. They are logarithms, whose differences below rounding are
 * no differences: then all become equal. RTL_NOT_FINITE when squares overflow. */
static int
settle(double *x, size_t n, double *low, double *high)
{
    *low = *high = x[0];
    for (size_t i = 1; i < n; i++) {
        *low = fmin(*low, x[i]);
        *high = fmax(*high, x[i]);
    }
    double size = fmax(1.0, fmax(fabs(*low), fabs(*high)));
    if (*high - *low <= 64.0 * DBL_EPSILON * size) {
        for (size_t i = 0; i < n; i++) {
            x[i] = *high;
        }
        *low = *high;
    }
    return *high - *low < 1e150 ? 0 : RTL_NOT_FINITE;
}

/* Make the weights sum to 1 and find the largest. */
static int
sample_weigh(sample_t *self, bool by_probability)
{
    rtl_sum_t total = {0.0, 0.0};

    if (self->w == NULL) {
        return 0;
    }
    for (size_t i = 0; by_probability && i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        self->w[i] = volume(self, i) * exp(self->y[i] - self->y_high);
    }
    for (size_t i = 1; i < self->n; i++) {
        if (self->w[i] > self->w[self->anchor]) {
            self->anchor = i;
        }
    }
    double largest = self->w[self->anchor];
    if (!(largest > 0.0)) {
        return RTL_BAD_ARGUMENT;
    }
    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        self->w[i] /= largest;
        rtl_sum_add(&total, self->w[i]);
    }
    for (size_t i = 0; i < self->n; i++) {
        self->w[i] /= rtl_sum_total(&total);
    }
    return 0;
}

static int
sample_init(sample_t *self, const rtl_typicality_input_t *input, rtl_monitor_t *monitor)
{
    int status = 0;

    memset(self, 0, sizeof *self);
    self->monitor = monitor;
    for (size_t i = 0; i < input->n; i++) {
        status = poll(self, i);
        if (status == 0) {
            status = check_cell(input, i);
        }
        if (status != 0) {
            return status;
        }
        self->n += is_used(input, i) ? 1 : 0;
    }
    bool weighted = input->by_probability || input->weights != NULL;
    if (!allocate(&self->y, self->n, true) || !allocate(&self->r, self->n, true) ||
        !allocate(&self->v, self->n, input->volume != NULL) ||
        !allocate(&self->w, self->n, weighted) ||
        !allocate(&self->s2, self->n, input->error != NULL)) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = sample_fill(self, input);
    if (status == 0 && self->n > 0) {
        status = settle(self->r, self->n, &self->r_low, &self->r_high);
    }
    if (status == 0 && self->n > 0) {
        status = settle(self->y, self->n, &self->y_low, &self->y_high);
    }
    if (status == 0 && self->n > 0) {
        status = sample_weigh(self, input->by_probability);
    }
out:
    if (status != 0) {
        sample_free(self);
    }
    return status;
}

/* --- weighted moments ------------------------------------------------------------- */

typedef struct {
    double mean_a, mean_b; /* relative to the anchor's values */
    double aa, ab, bb;     /* weighted (co)variances */
} moments_t;

/* Moments of two arrays. Differences are taken from the heaviest cell first, so that
 * variances stay right when nearly all weight is there. */
static int
moments(const sample_t *self, const double *a, const double *b, moments_t *out)
{
    rtl_sum_t sums[5] = {{0.0, 0.0}};
    double a0 = a[self->anchor], b0 = b[self->anchor];
    int status = 0;

    for (size_t i = 0; i < self->n; i++) {
        status = poll(self, i);
        if (status != 0) {
            return status;
        }
        rtl_sum_add(&sums[0], weight(self, i) * (a[i] - a0));
        rtl_sum_add(&sums[1], weight(self, i) * (b[i] - b0));
    }
    out->mean_a = rtl_sum_total(&sums[0]);
    out->mean_b = rtl_sum_total(&sums[1]);
    for (size_t i = 0; i < self->n; i++) {
        status = poll(self, i);
        if (status != 0) {
            return status;
        }
        double da = a[i] - a0 - out->mean_a, db = b[i] - b0 - out->mean_b;
        rtl_sum_add(&sums[2], weight(self, i) * da * da);
        rtl_sum_add(&sums[3], weight(self, i) * da * db);
        rtl_sum_add(&sums[4], weight(self, i) * db * db);
    }
    out->aa = rtl_sum_total(&sums[2]);
    out->ab = rtl_sum_total(&sums[3]);
    out->bb = rtl_sum_total(&sums[4]);
    return 0;
}

static double
correlation(const moments_t *m)
{
    double r = -m->ab / (sqrt(m->aa) * sqrt(m->bb));

    return fmax(-1.0, fmin(1.0, r)); /* rounding may leave |r| just above 1 */
}

/* --- gamma by least squares ------------------------------------------------------- */

/* Variance of the slope b of y on r. Plain least squares: the usual formula. With
 * weights or errors of R: sum psi_i^2 / A^2 times n / (n - 2), where b solves
 * sum psi_i = 0, psi_i = w_i [dr_i (dy_i - b dr_i) + b s_i^2], A = -d(sum psi) / db. */
static int
slope_variance(const sample_t *self, const moments_t *m, double slope, double spread,
    double *variance)
{
    bool plain = self->w == NULL && self->s2 == NULL;
    double r0 = self->r[self->anchor], y0 = self->y[self->anchor];
    rtl_sum_t sum = {0.0, 0.0};
    size_t n = 0;

    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        double w = weight(self, i), s2 = self->s2 == NULL ? 0.0 : self->s2[i];
        double dr = self->r[i] - r0 - m->mean_a, dy = self->y[i] - y0 - m->mean_b;
        double misfit = dy - slope * dr;
        double psi = w * (dr * misfit + slope * s2);
        n += w > 0.0 ? 1 : 0;
        rtl_sum_add(&sum, plain ? w * misfit * misfit : psi * psi);
    }
    if (n < 3) {
        *variance = NAN;
    } else if (plain) {
        *variance = rtl_sum_total(&sum) / ((double) (n - 2) * spread);
    } else {
        *variance =
            rtl_sum_total(&sum) / (spread * spread) * (double) n / (double) (n - 2);
    }
    return 0;
}

static int
fit_line(const sample_t *self, rtl_typicality_t *scores)
{
    moments_t m;
    rtl_sum_t errors = {0.0, 0.0};
    double variance = NAN;

    int status = moments(self, self->r, self->y, &m);
    if (status != 0) {
        return status;
    }
    for (size_t i = 0; self->s2 != NULL && i < self->n; i++) {
        rtl_sum_add(&errors, weight(self, i) * self->s2[i]);
    }
    if (!(m.aa > 0.0)) {
        scores->reason = RTL_TYPICALITY_CONSTANT_UNDER_WEIGHTS;
        return 0;
    }
    double spread = m.aa - rtl_sum_total(&errors);
    scores->reliability = fmax(0.0, spread / m.aa);
    if (m.bb > 0.0) {
        scores->correlation = correlation(&m);
    } else {
        scores->reason = RTL_TYPICALITY_CONSTANT_UNDER_WEIGHTS;
    }
    if (!(spread > 0.0)) {
        scores->reason = RTL_TYPICALITY_NOISY;
        return 0;
    }
    scores->gamma = -m.ab / spread;
    status = slope_variance(self, &m, -scores->gamma, spread, &variance);
    scores->gamma_stderr = sqrt(variance);
    if (isnan(variance) && scores->reason == RTL_TYPICALITY_FINE) {
        scores->reason = RTL_TYPICALITY_TWO;
    }
    return status;
}

/* --- the other scores ---------------------------------------------------------------
 */

static int
rank_correlation(const sample_t *self, double *spearman)
{
    const double *values[2] = {self->r, self->y};
    double *ranks[2] = {NULL, NULL};
    moments_t m;
    int status = 0;

    for (int k = 0; status == 0 && k < 2; k++) {
        ranks[k] = rtl_memory_alloc(self->n, sizeof *ranks[k]);
        status = ranks[k] == NULL ? RTL_NO_MEMORY
                                  : rtl_ranks_fill(self->n, values[k], self->w,
                                        self->monitor, ranks[k]);
    }
    if (status == 0) {
        status = moments(self, ranks[0], ranks[1], &m);
    }
    if (status == 0 && m.aa > 0.0 && m.bb > 0.0) {
        *spearman = correlation(&m);
    }
    rtl_memory_free(ranks[0]);
    rtl_memory_free(ranks[1]);
    return status;
}

static int
fit_family(const sample_t *self, rtl_typicality_t *scores)
{
    rtl_family_t family;

    int status = rtl_family_fit(
        &family, self->n, self->y, self->r, self->v, scores->gamma, self->monitor);
    if (status != 0) {
        return status;
    }
    scores->gamma_kl = family.gamma;
    scores->kl = family.kl;
    scores->kl_uniform = family.kl_uniform;
    scores->total_variation = family.total_variation;
    if (family.kl_uniform > 0.0) {
        scores->kl_explained = 1.0 - family.kl / family.kl_uniform;
    }
    return 0;
}

/* log p + gamma R minus its weighted mean; a constant R drops out. */
static int
fill_residual(const rtl_typicality_input_t *input, const sample_t *self,
    const rtl_typicality_t *scores, double *residual)
{
    double gamma = scores->reason == RTL_TYPICALITY_CONSTANT_R ? 0.0 : scores->gamma;
    rtl_sum_t mean = {0.0, 0.0};

    for (size_t i = 0, k = 0; i < input->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        residual[i] = NAN;
        if (is_used(input, i)) {
            residual[i] = self->y[k] - self->y[self->anchor] +
                          gamma * (self->r[k] - self->r[self->anchor]);
            rtl_sum_add(&mean, weight(self, k) * residual[i]);
            k++;
        }
    }
    for (size_t i = 0; i < input->n; i++) {
        residual[i] -= rtl_sum_total(&mean);
    }
    return 0;
}

int
rtl_typicality_evaluate(const rtl_typicality_input_t *input, rtl_monitor_t *monitor,
    rtl_typicality_t *scores, double *residual)
{
    sample_t sample;

    *scores = (rtl_typicality_t) {
        NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0, RTL_TYPICALITY_FINE};
    int status = sample_init(&sample, input, monitor);
    if (status != 0) {
        return status;
    }
    scores->n_used = sample.n;
    if (sample.n < 2) {
        scores->reason = RTL_TYPICALITY_FEW;
    } else if (sample.r_low == sample.r_high) {
        scores->reason = RTL_TYPICALITY_CONSTANT_R;
    } else {
        status = fit_line(&sample, scores);
        if (status == 0) {
            status = rank_correlation(&sample, &scores->spearman);
        }
        if (sample.y_low == sample.y_high) {
            scores->reason = RTL_TYPICALITY_CONSTANT_P;
        }
    }
    if (status == 0 && sample.n > 1) {
        status = fit_family(&sample, scores);
    }
    if (status == 0) {
        status = fill_residual(input, &sample, scores, residual);
    }
    sample_free(&sample);
    return status;
}

#define RTL_TYPICALITY_CASE(name, text)                                                \
    case name:                                                                         \
        return text;

const char *
rtl_typicality_reason_text(rtl_typicality_reason_t reason)
{
    switch (reason) {
        RTL_TYPICALITY_REASONS(RTL_TYPICALITY_CASE)
    default:
        return "";
    }
}
