/* SPDX-License-Identifier: MIT */
/* Log det by Cholesky factorisation with diagonal pivoting of the matrix scaled to unit
 * diagonal (Higham 2002, Accuracy and Stability of Numerical Algorithms, sect. 10.3):
 * its pivots do not grow, so the first that vanishes tells the rank. */
#include "tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

void
rtl_tensor_from_noise(const double *g, size_t dim, size_t columns, size_t n, double *d)
{
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = 0; j <= i; j++) {
            double *restrict dij = d + (i * dim + j) * n;
            memset(dij, 0, n * sizeof *dij);
            for (size_t k = 0; k < columns; k++) {
                const double *gi = g + (i * columns + k) * n;
                const double *gj = g + (j * columns + k) * n;
                for (size_t s = 0; s < n; s++) {
                    dij[s] += 0.5 * gi[s] * gj[s];
                }
            }
            if (j < i) {
                memcpy(d + (j * dim + i) * n, dij, n * sizeof *d);
            }
        }
    }
}

int
rtl_tensor_symmetrise(double *d, size_t dim, size_t n, size_t *point, size_t *component)
{
    size_t first = n;

    for (size_t i = 0; i < dim; i++) {
        for (size_t j = i + 1; j < dim; j++) {
            double *upper = d + (i * dim + j) * n, *lower = d + (j * dim + i) * n;
            const double *di = d + (i * dim + i) * n, *dj = d + (j * dim + j) * n;
            for (size_t s = 0; s < first; s++) {
                double size =
                    fabs(di[s]) + fabs(dj[s]) + fabs(upper[s]) + fabs(lower[s]);
                if (!(fabs(upper[s] - lower[s]) <= RTL_TENSOR_TOLERANCE * size)) {
                    first = s;
                    *component = i * dim + j;
                    break;
                }
                upper[s] = lower[s] = 0.5 * (upper[s] + lower[s]);
            }
        }
    }
    *point = first;
    return first < n ? RTL_NOT_SYMMETRIC : 0;
}

/* work = a scaled to unit diagonal, with rows of zeros where the diagonal vanishes;
 * *value = the sum of the logs of the scales. False: some element is too large for its
 * diagonal to vanish. */
static bool
scale(const double *a, size_t dim, size_t stride, double *work, double *value)
{
    *value = 0.0;
    for (size_t i = 0; i < dim; i++) {
        double di = a[(i * dim + i) * stride];
        *value += log(di);
        for (size_t j = 0; j < dim; j++) {
            double size = sqrt(di) * sqrt(a[(j * dim + j) * stride]);
            double aij = a[(i * dim + j) * stride];
            if (size == 0.0 && aij != 0.0) {
                return false;
            }
            work[i * dim + j] = size == 0.0 ? 0.0 : aij / size;
        }
    }
    return true;
}

static void
swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Bring the largest diagonal element of rows k, k+1, ... to place k. */
static void
pivot(double *work, size_t dim, size_t k)
{
    size_t p = k;

    for (size_t i = k + 1; i < dim; i++) {
        p = work[i * dim + i] > work[p * dim + p] ? i : p;
    }
    for (size_t i = 0; i < dim; i++) {
        swap(&work[k * dim + i], &work[p * dim + i]);
    }
    for (size_t i = 0; i < dim; i++) {
        swap(&work[i * dim + k], &work[i * dim + p]);
    }
}

bool
rtl_tensor_log_det(
    const double *a, size_t dim, size_t stride, double *work, double *value)
{
    const double tiny = 4.0 * (double) dim * DBL_EPSILON;
    size_t rank = 0;

    if (!scale(a, dim, stride, work, value)) {
        return false;
    }
    for (; rank < dim; rank++) {
        pivot(work, dim, rank);
        double d = work[rank * dim + rank];
        if (!(d > tiny)) {
            break;
        }
        *value += log(d);
        for (size_t i = rank + 1; i < dim; i++) {
            double l = work[i * dim + rank] / d;
            for (size_t j = rank + 1; j < dim; j++) {
                work[i * dim + j] -= l * work[rank * dim + j];
            }
        }
    }
    if (rank == dim) {
        return true;
    }
    *value = -INFINITY;
    for (size_t i = rank; i < dim; i++) { /* what is left of it must vanish */
        for (size_t j = rank; j < dim; j++) {
            if (!(fabs(work[i * dim + j]) <= RTL_TENSOR_TOLERANCE)) {
                return false;
            }
        }
    }
    return true;
}

/* Gauss-Jordan without pivoting. */
bool
rtl_tensor_invert(size_t n, double *a)
{
    for (size_t k = 0; k < n; k++) {
        double pivot = a[k * n + k];
        if (!(pivot > 0.0)) {
            return false;
        }
        a[k * n + k] = 1.0;
        for (size_t j = 0; j < n; j++) {
            a[k * n + j] /= pivot;
        }
        for (size_t i = 0; i < n; i++) {
            double factor = a[i * n + k];
            if (i == k) {
                continue;
            }
            a[i * n + k] = 0.0;
            for (size_t j = 0; j < n; j++) {
                a[i * n + j] -= factor * a[k * n + j];
            }
        }
    }
    return true;
}

void
rtl_tensor_multiply(size_t n, const double *a, const double *b, double *out)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t k = 0; k < n; k++) {
                sum += a[i * n + k] * b[k * n + j];
            }
            out[i * n + j] = sum;
        }
    }
}

void
rtl_tensor_conjugate(size_t n, const double *a, const double *b, double *out)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            out[i * n + j] = 0.0;
        }
        for (size_t k = 0; k < n; k++) {
            double ab = 0.0;
            for (size_t l = 0; l < n; l++) {
                ab += a[i * n + l] * b[l * n + k];
            }
            for (size_t j = 0; j < n; j++) {
                out[i * n + j] += ab * a[j * n + k];
            }
        }
    }
}

double
rtl_tensor_trace(size_t n, const double *a, const double *b)
{
    double sum = 0.0;

    for (size_t i = 0; i < n * n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}
