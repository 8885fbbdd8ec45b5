/* SPDX-License-Identifier: MIT */
/* With n Gaussian degrees of freedom the sample covariance S of a normal law with
 * covariance C has (Muirhead 1982, theorem 3.2.15)
 *
 *     E   1/2 log det S = 1/2 log det C + 1/2 [sum_i psi((n - i)/2) + d log(2/n)],
 *     Var 1/2 log det S = 1/4 sum_i psi'((n - i)/2),     i = 0 .. d-1. */
#include "estimate.h"

#include <math.h>
#include <stdbool.h>

#include "memory.h"
#include "parallel.h"
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

/* LANES windows are worked on side by side, which the compiler turns into vector
 * instructions. The displacements of all lanes, (dim, rows, LANES), are stored, centred
 * and multiplied: no running sums over the path, whose rounding errors would grow. */
enum { LANES = 4, TASK = 1 << 24, MOST_WINDOWS = 4096 };

typedef struct {
    const rtl_estimate_windows_t *windows;
    size_t n_windows;
    size_t n;         /* displacements in a window */
    size_t task;      /* windows a task */
    double *scale;    /* (n,) of each displacement */
    double *rattling; /* (n_windows,) */
} job_t;

/* The displacements of LANES windows from `first` on, the last window repeated where
 * there are fewer. */
static void
displace(const job_t *job, size_t first, double *v)
{
    const rtl_estimate_windows_t *self = job->windows;
    bool steps = self->displacement == RTL_INCREMENTS;
    size_t dim = self->dim, n = job->n;
    const double *start[LANES];

    for (size_t lane = 0; lane < LANES; lane++) {
        size_t window = first + lane;
        window = window < job->n_windows ? window : job->n_windows - 1;
        start[lane] = self->x + window * self->stride * dim;
    }
    for (size_t j = 0; j < dim; j++) {
        const double *x0 = start[0] + j, *x1 = start[1] + j;
        const double *x2 = start[2] + j, *x3 = start[3] + j;
        for (size_t k = 0; k < n; k++, v += LANES) {
            size_t later = (steps ? k + 1 : k) * dim, before = steps ? k * dim : 0;
            double scale = job->scale[k];
            v[0] = (x0[later] - x0[before]) * scale;
            v[1] = (x1[later] - x1[before]) * scale;
            v[2] = (x2[later] - x2[before]) * scale;
            v[3] = (x3[later] - x3[before]) * scale;
        }
    }
}

/* Take the means from n numbers of each lane. */
static void
centre(size_t n, double *v)
{
    double mean[LANES] = {0.0};

    for (size_t k = 0; k < n; k++) {
        for (size_t lane = 0; lane < LANES; lane++) {
            mean[lane] += v[k * LANES + lane];
        }
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        mean[lane] /= (double) n;
    }
    for (size_t k = 0; k < n; k++) {
        for (size_t lane = 0; lane < LANES; lane++) {
            v[k * LANES + lane] -= mean[lane];
        }
    }
}

/* Sums of products of n numbers of each lane, written so that they stay in registers.
 */
static void
multiply(size_t n, const double *a, const double *b, double *sum)
{
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;

    for (size_t k = 0; k < n * LANES; k += LANES) {
        s0 += a[k] * b[k];
        s1 += a[k + 1] * b[k + 1];
        s2 += a[k + 2] * b[k + 2];
        s3 += a[k + 3] * b[k + 3];
    }
    sum[0] = s0;
    sum[1] = s1;
    sum[2] = s2;
    sum[3] = s3;
}

static int
window_task(void *data, size_t number)
{
    const job_t *job = data;
    size_t dim = job->windows->dim, square = dim * dim, n = job->n;
    size_t last = (number + 1) * job->task;
    int status = 0;
    double *v = rtl_memory_alloc(job->windows->rows, dim * LANES * sizeof *v);
    double *c = rtl_memory_alloc(square, (LANES + 2) * sizeof *c);

    if (v == NULL || c == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    double *one = c + square * LANES, *work = one + square;
    last = last < job->n_windows ? last : job->n_windows;
    for (size_t i = number * job->task; i < last; i += LANES) {
        displace(job, i, v);
        for (size_t j = 0; j < dim; j++) {
            centre(n, v + j * n * LANES);
        }
        for (size_t j = 0; j < dim; j++) {
            for (size_t k = 0; k <= j; k++) {
                multiply(
                    n, v + j * n * LANES, v + k * n * LANES, c + (j * dim + k) * LANES);
            }
        }
        for (size_t lane = 0; lane < LANES && i + lane < last; lane++) {
            for (size_t j = 0; j < dim; j++) {
                for (size_t k = 0; k <= j; k++) {
                    double value = c[(j * dim + k) * LANES + lane] / (double) (n - 1);
                    one[j * dim + k] = one[k * dim + j] = value;
                }
            }
            job->rattling[i + lane] = 0.5 * rtl_estimate_log_det(dim, one, work);
        }
    }
out:
    rtl_memory_free(c);
    rtl_memory_free(v);
    return status;
}

int
rtl_estimate_windowed(const rtl_estimate_windows_t *self, size_t n_windows,
    double *rattling, rtl_monitor_t *monitor)
{
    job_t job = {.windows = self, .n_windows = n_windows, .rattling = rattling};

    if (self->rows < 3 || self->dim < 1 || self->stride < 1 || !(self->dt > 0.0) ||
        self->n_times < self->rows ||
        (n_windows > 0 &&
            n_windows - 1 > (self->n_times - self->rows) / self->stride)) {
        return RTL_BAD_ARGUMENT;
    }
    bool steps = self->displacement == RTL_INCREMENTS;
    job.n = steps ? self->rows - 1 : self->rows;
    job.scale = rtl_memory_alloc(job.n, sizeof *job.scale);
    if (job.scale == NULL) {
        return RTL_NO_MEMORY;
    }
    for (size_t k = 0; k < job.n; k++) {
        job.scale[k] = 1.0 / sqrt((steps ? 1.0 : (double) (k + 1)) * self->dt);
    }
    double work = (double) self->rows * (double) self->dim * (double) (self->dim + 1);
    double fit = TASK / work / LANES;
    job.task = LANES * (fit < 1.0               ? 1
                           : fit > MOST_WINDOWS ? MOST_WINDOWS
                                                : (size_t) fit);
    int status = rtl_parallel_run(window_task, &job,
        (n_windows + job.task - 1) / job.task, self->n_threads, monitor);
    rtl_memory_free(job.scale);
    return status;
}
