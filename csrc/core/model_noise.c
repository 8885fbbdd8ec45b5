/* SPDX-License-Identifier: MIT */
#include "model_noise.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "model_values.h"

/* --- a root of D ------------------------------------------------------------------ */

/* Diagonal entry k of L at n points; `inverse` gets 1 / L_kk, or 0 where the pivot is
 * zero to rounding. */
static void
factorise_pivot(size_t dim, size_t k, size_t n, double factor, double *d,
    double *inverse, double *rest)
{
    const double tolerance = 4.0 * (double) dim * DBL_EPSILON;
    double *pivot = d + (k * dim + k) * n;

    for (size_t i = 0; i < n; i++) {
        pivot[i] *= factor;
        rest[i] = pivot[i];
    }
    for (size_t j = 0; j < k; j++) {
        const double *before = d + (k * dim + j) * n;
        for (size_t i = 0; i < n; i++) {
            rest[i] -= before[i] * before[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        double root = sqrt(rest[i] > tolerance * pivot[i] ? rest[i] : 0.0);
        inverse[i] = root > 0.0 ? 1.0 / root : 0.0;
        pivot[i] = root;
    }
}

/* Entry (m, k) of L below the diagonal. Beside a zero pivot it is zero: what is left of
 * a semidefinite D has |D_mk|^2 <= D_mm D_kk too. */
static void
factorise_entry(size_t dim, size_t m, size_t k, size_t n, double factor, double *d,
    const double *inverse)
{
    double *entry = d + (m * dim + k) * n;

    for (size_t i = 0; i < n; i++) {
        entry[i] *= factor;
    }
    for (size_t j = 0; j < k; j++) {
        const double *a = d + (m * dim + j) * n, *b = d + (k * dim + j) * n;
        for (size_t i = 0; i < n; i++) {
            entry[i] -= a[i] * b[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        entry[i] *= inverse[i];
    }
}

void
rtl_model_noise_factorise(size_t dim, size_t n, double factor, double *d, double *room)
{
    for (size_t k = 0; k < dim; k++) {
        factorise_pivot(dim, k, n, factor, d, room, room + n);
        for (size_t m = k + 1; m < dim; m++) {
            factorise_entry(dim, m, k, n, factor, d, room);
            memset(d + (k * dim + m) * n, 0, n * sizeof *d);
        }
    }
}

/* --- what was given --------------------------------------------------------------- */

size_t
rtl_model_noise_columns(const rtl_model_t *self)
{
    return self->kind == RTL_DIFFUSION_NOISE ? self->n_noise : self->dim;
}

/* The values of a noise field, which must be finite. */
static int
evaluate(
    const rtl_model_t *self, const double *x, size_t n, double *g, rtl_fault_t *fault)
{
    size_t columns = self->kind == RTL_DIFFUSION_NOISE ? self->n_noise : 0;
    const rtl_model_place_t at = {"noise", self->dim, n, columns, x, fault};
    int status = rtl_model_values_evaluate(&self->diffusion, &at, g);

    return status != 0 ? status
                       : rtl_model_values_check(&at, g, self->diffusion.n_out, 0);
}

/* `rows` rows, one or dim, become the diagonals of (dim, dim, n). */
static void
spread_diagonal(double *g, size_t dim, size_t rows, size_t n)
{
    for (size_t k = dim; k-- > 1;) {
        memcpy(g + k * (dim + 1) * n, g + (rows == 1 ? 0 : k) * n, n * sizeof *g);
    }
    for (size_t r = 1; r < dim * dim; r++) {
        if (r % (dim + 1) != 0) {
            memset(g + r * n, 0, n * sizeof *g);
        }
    }
}

int
rtl_model_noise(const rtl_model_t *self, const double *x, size_t n, double *g,
    double *room, rtl_fault_t *fault)
{
    size_t dim = self->dim;
    int status;

    if (self->kind >= RTL_DIFFUSION_NOISE_SCALAR) {
        status = evaluate(self, x, n, g, fault);
        if (status == 0 && self->kind != RTL_DIFFUSION_NOISE) {
            spread_diagonal(g, dim, self->diffusion.n_out, n);
        }
        return status;
    }
    if (!rtl_model_is_diagonal(self)) {
        status = rtl_model_tensor(self, x, n, g, fault);
        if (status == 0) {
            rtl_model_noise_factorise(dim, n, 2.0, g, room);
        }
        return status;
    }
    status = rtl_model_diagonal(self, x, n, g, fault);
    for (size_t i = 0; status == 0 && i < dim * n; i++) {
        g[i] = sqrt(2.0 * g[i]);
    }
    if (status == 0) {
        spread_diagonal(g, dim, dim, n);
    }
    return status;
}
