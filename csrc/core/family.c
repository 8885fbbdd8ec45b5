/* SPDX-License-Identifier: MIT */
/* Newton's method for log <rho>_gamma = log <rho>_p, kept inside a bracket, where rho
 * in [0, 1] is the distance of R from that end of its range which <R>_p is nearer to.
 * With x = gamma (R_max - R_min), signed to match,
 *
 *     d log <rho> / dx = <rho> - <rho^2> / <rho> < 0.
 *
 * In logarithms the equation becomes a straight line for large x, and a mean that lies
 * within exp(-5000) of the end of the range is as good as any. */
#include "family.h"

#include <float.h>
#include <math.h>

#include "sum.h"

enum { POLL_EVERY = 1 << 15, MAX_STEPS = 400 };

typedef struct {
    size_t n;
    const double *log_p, *r, *volume;
    double log_p_max;
    double r_low, r_high, range; /* range is 1 where R is constant */
    double first;                /* the smallest rho above 0 */
    double log_p_above;          /* the largest log p where rho > 0 */
    int mirrored;                /* rho is measured from the upper end */
    double log_z_p;              /* log sum v p / p_max */
    double log_volume;           /* log sum v */
    rtl_monitor_t *monitor;
} problem_t;

static double
volume(const problem_t *self, size_t i)
{
    return self->volume == NULL ? 1.0 : self->volume[i];
}

/* What differs from the end of the range by rounding only is there. */
static double
rho(const problem_t *self, size_t i)
{
    double distance =
        self->mirrored ? self->r_high - self->r[i] : self->r[i] - self->r_low;

    return distance > DBL_EPSILON * self->range ? distance / self->range : 0.0;
}

static int
poll(const problem_t *self, size_t i)
{
    return i % POLL_EVERY == 0 ? rtl_monitor_poll(self->monitor, 0.0) : 0;
}

/* Ranges and normalisations. */
static int
survey(problem_t *self)
{
    rtl_sum_t z = {0.0, 0.0}, total = {0.0, 0.0};

    self->log_p_max = -INFINITY;
    self->r_low = INFINITY;
    self->r_high = -INFINITY;
    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        self->log_p_max = fmax(self->log_p_max, self->log_p[i]);
        self->r_low = fmin(self->r_low, self->r[i]);
        self->r_high = fmax(self->r_high, self->r[i]);
    }
    self->range = self->r_high > self->r_low ? self->r_high - self->r_low : 1.0;
    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        rtl_sum_add(&z, volume(self, i) * exp(self->log_p[i] - self->log_p_max));
        rtl_sum_add(&total, volume(self, i));
    }
    self->log_z_p = log(rtl_sum_total(&z));
    self->log_volume = log(rtl_sum_total(&total));
    return 0;
}

/* log <rho>_p, and what `moments` needs to know about rho. */
static int
target(problem_t *self, double *log_mean)
{
    rtl_sum_t sum = {0.0, 0.0};

    self->first = 1.0;
    self->log_p_above = -INFINITY;
    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        if (rho(self, i) > 0.0) {
            self->first = fmin(self->first, rho(self, i));
            self->log_p_above = fmax(self->log_p_above, self->log_p[i]);
        }
    }
    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        double shape =
            rho(self, i) > 0.0 ? exp(self->log_p[i] - self->log_p_above) : 0.0;
        rtl_sum_add(&sum, volume(self, i) * rho(self, i) * shape);
    }
    /* the two log p are subtracted first: both may be large */
    *log_mean = (self->log_p_above - self->log_p_max) + log(rtl_sum_total(&sum)) -
                self->log_z_p;
    return 0;
}

/* The exponent where the largest member is: -x rho = 0 or -x. */
static double
top(double x)
{
    return x >= 0.0 ? 0.0 : -x;
}

/* log <rho> under exp(-x rho), its derivative, and log Z = log sum v exp(-x rho) minus
 * top(x). Exponents are taken relative to their largest value among rho > 0. */
static int
moments(const problem_t *self, double x, double *log_mean, double *slope, double *log_z)
{
    double origin = x >= 0.0 ? self->first : 1.0;
    rtl_sum_t at_zero = {0.0, 0.0}, m0 = {0.0, 0.0}, m1 = {0.0, 0.0}, m2 = {0.0, 0.0};

    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        double s = rho(self, i), v = volume(self, i);
        if (s > 0.0) {
            double e = v * exp(-x * (s - origin));
            rtl_sum_add(&m0, e);
            rtl_sum_add(&m1, e * s);
            rtl_sum_add(&m2, e * s * s);
        } else {
            rtl_sum_add(&at_zero, v);
        }
    }
    double z0 = rtl_sum_total(&at_zero), z1 = rtl_sum_total(&m0);
    if (x >= 0.0) {
        *log_z = log(z0 + z1 * exp(-x * origin));
        *log_mean = log(rtl_sum_total(&m1)) - *log_z - x * origin;
    } else {
        *log_z = log(z0 * exp(x) + z1);
        *log_mean = log(rtl_sum_total(&m1)) - *log_z;
    }
    *slope = exp(*log_mean) - rtl_sum_total(&m2) / rtl_sum_total(&m1);
    return 0;
}

/* A point that halves a bracket over many decades: its geometric mean on one side of 0,
 * else 0, or 1 next to it. */
static double
middle(double low, double high)
{
    if (low < 0.0 && high > 0.0) {
        return 0.0;
    }
    if (low == 0.0 || high == 0.0) {
        return low == 0.0 ? fmin(1.0, 0.5 * high) : fmax(-1.0, 0.5 * low);
    }
    return low > 0.0 ? sqrt(low) * sqrt(high) : -sqrt(-low) * sqrt(-high);
}

/* The next x: Newton's where it lies in the bracket and does not run off on the side
 * where the curve flattens; else the middle, else outward. */
static double
next_x(double x, double misfit, double slope, double low, double high)
{
    double newton = x - misfit / slope;
    double reach = 2.0 + 2.0 * fabs(x);

    if (newton > low && newton < high && (newton >= x - reach || isfinite(low))) {
        return newton;
    }
    if (isinf(low)) {
        return x - reach;
    }
    return isinf(high) ? x + reach : middle(low, high);
}

/* Solve for x; log Z - top(x) comes along. */
static int
solve(const problem_t *self, double log_mean, double *x, double *log_z)
{
    double low = -INFINITY, high = INFINITY, slope, value, last = INFINITY;

    for (int step = 0; step < MAX_STEPS; step++) {
        int status = moments(self, *x, &value, &slope, log_z);
        if (status != 0) {
            return status;
        }
        double misfit = value - log_mean;
        if (misfit > 0.0) {
            low = *x;
        } else {
            high = *x;
        }
        double next = next_x(*x, misfit, slope, low, high);
        if (fabs(misfit) > 0.5 * last && isfinite(low) && isfinite(high)) {
            next = middle(low, high); /* Newton stalls */
        }
        last = fabs(misfit);
        if (fabs(misfit) <= 2.0 * DBL_EPSILON * (1.0 + fabs(log_mean)) ||
            fabs(next - *x) <= 4.0 * DBL_EPSILON * fabs(*x)) {
            return 0;
        }
        *x = next;
    }
    return RTL_NOT_CONVERGED;
}

/* p log(p / q) - p + q from t = log(p / q): not negative, and free of cancellation when
 * p is close to q. */
static double
divergence(double t, double p, double q)
{
    if (fabs(t) < 1e-3) {
        return q * t * t * (0.5 + t * (1.0 / 3.0 + t * (0.125 + t / 30.0)));
    }
    return p > 0.0 ? p * t - p + q : q;
}

/* The scores of x. */
static int
compare(const problem_t *self, double x, double log_z, rtl_family_t *out)
{
    rtl_sum_t kl = {0.0, 0.0}, uniform = {0.0, 0.0}, variation = {0.0, 0.0};

    for (size_t i = 0; i < self->n; i++) {
        int status = poll(self, i);
        if (status != 0) {
            return status;
        }
        double log_density = self->log_p[i] - self->log_p_max - self->log_z_p;
        double log_member = -x * rho(self, i) - top(x) - log_z;
        double p = volume(self, i) * exp(log_density);
        double q = volume(self, i) * exp(log_member);
        rtl_sum_add(&kl, divergence(log_density - log_member, p, q));
        rtl_sum_add(&variation, fabs(p - q));
        rtl_sum_add(&uniform, divergence(log_density + self->log_volume, p,
                                  volume(self, i) * exp(-self->log_volume)));
    }
    out->kl = rtl_sum_total(&kl);
    out->kl_uniform = rtl_sum_total(&uniform);
    out->total_variation = 0.5 * rtl_sum_total(&variation);
    return 0;
}

int
rtl_family_fit(rtl_family_t *self, size_t n, const double *log_p, const double *r,
    const double *volumes, double gamma, rtl_monitor_t *monitor)
{
    problem_t problem = {
        .n = n, .log_p = log_p, .r = r, .volume = volumes, .monitor = monitor};
    double log_mean, x = 0.0, log_z;

    *self = (rtl_family_t) {NAN, NAN, NAN, NAN};
    int status = survey(&problem);
    if (status != 0) {
        return status;
    }
    log_z = problem.log_volume;
    if (problem.r_high > problem.r_low) {
        status = target(&problem, &log_mean);
        if (status == 0 && log_mean > log(0.5)) {
            problem.mirrored = 1;
            status = target(&problem, &log_mean);
        }
        x = problem.mirrored ? -gamma * problem.range : gamma * problem.range;
        x = isfinite(x) ? x : 0.0;
        if (status == 0) {
            status = solve(&problem, log_mean, &x, &log_z);
        }
        self->gamma = (problem.mirrored ? -x : x) / problem.range;
    }
    if (status == 0) {
        status = compare(&problem, x, log_z, self);
    }
    return status;
}
