/* SPDX-License-Identifier: MIT */
/* Reflection along the co-normal: Lions & Sznitman (1984), Comm. Pure Appl. Math. 37,
 * 511; in schemes, Bossy, Gobet & Talay (2004), J. Appl. Probab. 41, 877. */
#include "step_walls.h"

#include <math.h>

enum { SWEEPS = 4 }; /* over the walls, before what is still outside is folded */

bool
rtl_step_walls_check(const rtl_walls_t *self, size_t dim)
{
    for (size_t k = 0; self->lower != NULL && k < dim; k++) {
        double length = self->upper[k] - self->lower[k];
        bool absorbs = self->absorbing != NULL &&
                       (self->absorbing[2 * k] || self->absorbing[2 * k + 1]);
        if (!(length > 0.0) || (self->periodic[k] && (!isfinite(length) || absorbs)) ||
            self->lower[k] == INFINITY || self->upper[k] == -INFINITY) {
            return false;
        }
    }
    return true;
}

bool
rtl_step_walls_absorb(const rtl_walls_t *self, size_t dim)
{
    bool any = false;

    for (size_t s = 0; self->absorbing != NULL && s < 2 * dim; s++) {
        any = any || self->absorbing[s];
    }
    return any;
}

double
rtl_step_walls_fold(const rtl_walls_t *self, size_t axis, double x)
{
    if (self->lower == NULL) {
        return x;
    }
    double lower = self->lower[axis], upper = self->upper[axis];
    if (x >= lower && (x < upper || (x == upper && !self->periodic[axis]))) {
        return x;
    }
    if (lower == -INFINITY) {
        return upper - (x - upper);
    }
    if (upper == INFINITY) {
        return lower + (lower - x);
    }
    double length = upper - lower;
    double period = self->periodic[axis] ? length : 2.0 * length;
    double r = fmod(x - lower, period);
    if (r < 0.0) {
        r += period;
    }
    if (self->periodic[axis]) {
        return lower + r < upper ? lower + r : lower;
    }
    r = r <= length ? r : period - r;
    return lower + r < upper ? lower + r : upper;
}

void
rtl_step_walls_fold_block(const rtl_walls_t *self, size_t dim, size_t n, double *x)
{
    for (size_t k = 0; self->lower != NULL && k < dim; k++) {
        double lower = self->lower[k], upper = self->upper[k];
        double *row = x + k * n;
        int inside = 1;
        for (size_t i = 0; i < n; i++) {
            inside &= (row[i] >= lower) & (row[i] < upper);
        }
        for (size_t i = 0; !inside && i < n; i++) {
            if (!(row[i] >= lower && row[i] < upper)) {
                row[i] = rtl_step_walls_fold(self, k, row[i]);
            }
        }
    }
}

/* How far a coordinate is beyond a reflecting wall, with its sign; 0 inside. */
static double
depth(const rtl_walls_t *self, size_t axis, double x)
{
    if (self->periodic[axis]) {
        return 0.0;
    }
    return x < self->lower[axis]   ? x - self->lower[axis]
           : x > self->upper[axis] ? x - self->upper[axis]
                                   : 0.0;
}

/* Element (j, k) of G G^T at a point, whose amplitude is `n` numbers apart. */
static double
product(const double *g, size_t columns, size_t n, size_t j, size_t k)
{
    double sum = 0.0;

    for (size_t c = 0; c < columns; c++) {
        sum += g[(j * columns + c) * n] * g[(k * columns + c) * n];
    }
    return sum;
}

/* One point, with `g` at it. */
static void
reflect_point(const rtl_walls_t *self, size_t dim, size_t columns, size_t n,
    const double *g, double *x)
{
    bool outside = true;

    for (int sweep = 0; outside && sweep < SWEEPS; sweep++) {
        outside = false;
        for (size_t k = 0; k < dim; k++) {
            double beyond = depth(self, k, x[k * n]);
            double square = beyond != 0.0 ? product(g, columns, n, k, k) : 0.0;
            if (square > 0.0) {
                outside = true;
                for (size_t j = 0; j < dim; j++) {
                    double slope = product(g, columns, n, j, k) / square;
                    x[j * n] -= 2.0 * beyond * slope;
                }
            }
        }
    }
}

void
rtl_step_walls_reflect(const rtl_walls_t *self, size_t dim, size_t columns, size_t n,
    const double *g, double *x)
{
    for (size_t k = 0; self->lower != NULL && k < dim; k++) {
        for (size_t i = 0; i < n; i++) {
            if (depth(self, k, x[k * n + i]) != 0.0) {
                reflect_point(self, dim, columns, n, g + i, x + i);
            }
        }
    }
    rtl_step_walls_fold_block(self, dim, n, x);
}
