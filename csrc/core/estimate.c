/* SPDX-License-Identifier: MIT */
/* With n Gaussian degrees of freedom the sample covariance S of a normal law with
 * covariance C has (Muirhead 1982, theorem 3.2.15)
 *
 *     E   1/2 log det S = 1/2 log det C + 1/2 [sum_i psi((n - i)/2) + d log(2/n)],
 *     Var 1/2 log det S = 1/4 sum_i psi'((n - i)/2),     i = 0 .. d-1. */
#include "estimate.h"

#include <math.h>
#include <string.h>

#include "memory.h"
#include "tensor.h"

/* --- special functions ------------------------------------------------------------ */

/* Shift to x >= 10, then the asymptotic series (Abramowitz & Stegun 6.3.18). */
double
rtl_estimate_digamma(double x)
{
    double sum = 0.0;

    for (; x < 10.0; x += 1.0) {
        sum -= 1.0 / x;
    }
    double z = 1.0 / (x * x);
    double series = 1.0 / 132.0 - z * (691.0 / 32760.0 - z / 12.0);
    series = 1.0 / 252.0 - z * (1.0 / 240.0 - z * series);
    series = z * (1.0 / 12.0 - z * (1.0 / 120.0 - z * series));
    return sum + log(x) - 0.5 / x - series;
}

/* Likewise (Abramowitz & Stegun 6.4.12). */
double
rtl_estimate_trigamma(double x)
{
    double sum = 0.0;

    for (; x < 10.0; x += 1.0) {
        sum += 1.0 / (x * x);
    }
    double z = 1.0 / (x * x);
    double series = 5.0 / 66.0 - z * (691.0 / 2730.0 - z * 7.0 / 6.0);
    series = 1.0 / 42.0 - z * (1.0 / 30.0 - z * series);
    series = 1.0 / 6.0 - z * (1.0 / 30.0 - z * series);
    return sum + (1.0 + 0.5 / x + z * series) / x;
}

double
rtl_estimate_log_det(size_t dim, const double *c, double *work)
{
    double value;

    for (size_t i = 0; i < dim * dim; i++) {
        if (!isfinite(c[i])) {
            return NAN;
        }
    }
    return rtl_tensor_log_det(c, dim, 1, work, &value) ? value : -INFINITY;
}

void
rtl_estimate_log_det_law(size_t dim, double dof, double *bias, double *variance)
{
    double d = (double) dim;

    *bias = 0.5 * d * log(2.0 / dof);
    *variance = 0.0;
    for (size_t i = 0; i < dim; i++) {
        double half = 0.5 * (dof - (double) i);
        *bias += 0.5 * rtl_estimate_digamma(half);
        *variance += 0.25 * rtl_estimate_trigamma(half);
    }
}

/* --- windows ---------------------------------------------------------------------- */

/* The displacements of a window, (rows, dim); returns how many. */
static size_t
displace(const rtl_estimate_windows_t *self, const double *x, double *v)
{
    size_t dim = self->dim;

    if (self->displacement == RTL_INCREMENTS) {
        double scale = 1.0 / sqrt(self->dt);
        for (size_t i = 0; i < (self->rows - 1) * dim; i++) {
            v[i] = (x[dim + i] - x[i]) * scale;
        }
        return self->rows - 1;
    }
    for (size_t k = 0; k < self->rows; k++) {
        double scale = 1.0 / sqrt((double) (k + 1) * self->dt);
        for (size_t j = 0; j < dim; j++) {
            v[k * dim + j] = (x[k * dim + j] - x[j]) * scale;
        }
    }
    return self->rows;
}

/* Covariance of n vectors, which are centred in place. */
static void
covariance(size_t dim, size_t n, double *v, double *mean, double *c)
{
    memset(mean, 0, dim * sizeof *mean);
    memset(c, 0, dim * dim * sizeof *c);
    for (size_t k = 0; k < n; k++) {
        for (size_t j = 0; j < dim; j++) {
            mean[j] += v[k * dim + j];
        }
    }
    for (size_t j = 0; j < dim; j++) {
        mean[j] /= (double) n;
    }
    for (size_t k = 0; k < n; k++) {
        double *row = v + k * dim;
        for (size_t j = 0; j < dim; j++) {
            row[j] -= mean[j];
            for (size_t i = 0; i <= j; i++) {
                c[j * dim + i] += row[j] * row[i];
            }
        }
    }
    for (size_t j = 0; j < dim; j++) {
        for (size_t i = 0; i <= j; i++) {
            c[j * dim + i] /= (double) (n - 1);
            c[i * dim + j] = c[j * dim + i];
        }
    }
}

int
rtl_estimate_windowed(const rtl_estimate_windows_t *self, size_t n_windows,
    double *rattling, rtl_monitor_t *monitor)
{
    size_t dim = self->dim, step = self->stride * dim;
    int status = 0;
    double *v = NULL, *mean = NULL, *c = NULL, *work = NULL;

    if (self->rows < 3 || dim < 1 || self->stride < 1 || !(self->dt > 0.0) ||
        self->n_times < self->rows ||
        (n_windows > 0 &&
            n_windows - 1 > (self->n_times - self->rows) / self->stride)) {
        return RTL_BAD_ARGUMENT;
    }
    v = rtl_memory_alloc(self->rows, dim * sizeof *v);
    mean = rtl_memory_alloc(dim, sizeof *mean);
    c = rtl_memory_alloc(dim, dim * sizeof *c);
    work = rtl_memory_alloc(dim, dim * sizeof *work);
    if (v == NULL || mean == NULL || c == NULL || work == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    for (size_t i = 0; i < n_windows; i++) {
        size_t n = displace(self, self->x + i * step, v);
        covariance(dim, n, v, mean, c);
        rattling[i] = 0.5 * rtl_estimate_log_det(dim, c, work);
        status = rtl_monitor_poll(monitor, (double) i / (double) n_windows);
        if (status != 0) {
            goto out;
        }
    }
out:
    rtl_memory_free(work);
    rtl_memory_free(c);
    rtl_memory_free(mean);
    rtl_memory_free(v);
    return status;
}
