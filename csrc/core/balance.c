/* SPDX-License-Identifier: MIT */
#include "balance.h"

#include <math.h>
#include <string.h>

/* 2^k for |k| <= 995, and the nearest of these beyond. */
static double
power_of_two(double k)
{
    double bounded = k > 995.0 ? 995.0 : (k > -995.0 ? k : -995.0), x;
    uint64_t bits = (uint64_t) ((int32_t) bounded + 1023) << 52;

    memcpy(&x, &bits, sizeof x);
    return x;
}

double
rtl_balance_ratio(const double *work, size_t n, size_t i, size_t j)
{
    return work[i] / work[j] * power_of_two(work[n + i] - work[n + j]);
}

/* p_i = m_i 2^{k_i} with 1 <= m_i < 2 takes one exponential a state instead of one an
 * entry, and the ratio of any two is m_j / m_i with a shift of the exponent. */
void
rtl_balance_values(
    const rtl_generator_t *chain, const double *y, double *value, double *work)
{
    static const double log_2 = 0.69314718055994530942;
    double *mantissa = work, *exponent = work + chain->n;

    for (size_t i = 0; i < chain->n; i++) {
        double k = floor(y[i] / log_2);
        exponent[i] = k;
        mantissa[i] = exp(y[i] - k * log_2);
    }
    for (size_t i = 0; i < chain->n; i++) {
        double q = chain->exit_rate[i];
        double scale = q > 0.0 ? 1.0 / (mantissa[i] * q) : 0.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            value[e] = chain->rate[e] * (mantissa[j] * scale) *
                       power_of_two(exponent[j] - exponent[i]);
        }
    }
}

double
rtl_balance_residual(const rtl_generator_t *chain, const double *value, double *r)
{
    double largest = 0.0;

    for (size_t i = 0; i < chain->n; i++) {
        double sum = -1.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += value[e];
        }
        r[i] = sum;
        if (!(fabs(sum) <= largest) && !isnan(largest)) {
            largest = fabs(sum);
        }
    }
    return largest;
}

void
rtl_balance_apply(
    const rtl_generator_t *chain, const double *value, const double *x, double *out)
{
    for (size_t i = 0; i < chain->n; i++) {
        double sum = -x[i];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += value[e] * x[chain->source[e]];
        }
        out[i] = sum;
    }
}

size_t
rtl_balance_reach(const rtl_generator_t *chain)
{
    size_t reach = 0;

    for (size_t i = 0; i < chain->n; i++) {
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            reach = j > i + reach ? j - i : reach;
        }
    }
    return reach;
}

/* What states after i contribute to row i, with the sign of b - A x. */
static double
later_part(const rtl_generator_t *chain, const double *value, const double *x, size_t i)
{
    double sum = 0.0;

    for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
        size_t j = (size_t) chain->source[e];
        sum -= j > i ? value[e] * x[j] : 0.0;
    }
    return sum;
}

/* Before state i is relaxed, row i is satisfied with later states at 0; what those add
 * afterwards is the residual. It is formed `reach` rows behind the sweep, while the
 * row's entries are still in the cache. */
void
rtl_balance_forward(const rtl_generator_t *chain, const double *value, size_t reach,
    const double *b, double *x, double *r)
{
    size_t n = chain->n;

    for (size_t i = 0; i < n; i++) {
        double sum = -b[i];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            size_t j = (size_t) chain->source[e];
            sum += j < i ? value[e] * x[j] : 0.0;
        }
        x[i] = sum;
        if (i >= reach) {
            r[i - reach] = later_part(chain, value, x, i - reach);
        }
    }
    for (size_t i = n > reach ? n - reach : 0; i < n; i++) {
        r[i] = later_part(chain, value, x, i);
    }
}

void
rtl_balance_backward(
    const rtl_generator_t *chain, const double *value, const double *b, double *x)
{
    for (size_t i = chain->n; i-- > 0;) {
        double sum = -b[i];
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += value[e] * x[chain->source[e]];
        }
        x[i] = sum;
    }
}
