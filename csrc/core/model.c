/* SPDX-License-Identifier: MIT */
/* Noise-induced drift, with D = G G^T / 2 (Risken 1989, sect. 3.4):
 *
 *     Stratonovich  f_i = F_i + 1/2 sum_kj G_kj d_k G_ij
 *     anti-Ito      f_i = F_i + sum_k d_k D_ik
 *
 * For D = diag(D_1(x), D_2(x), ...) the first is 1/2 d_i D_i, which needs no G. The
 * second is the kinetic form, J = F p - D grad p (Hanggi & Thomas 1982; Klimontovich
 * 1990), which is a function of D alone. */
#include "model.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "memory.h"
#include "model_values.h"
#include "tensor.h"

enum {
    LARGEST_DIM = 4096,
    STACK_DOUBLES = 512 /* scratch of a call on few points needs no allocation */
};

/* --- room for intermediate values ------------------------------------------- */

typedef struct {
    double stack[STACK_DOUBLES];
    double *heap;
} scratch_t;

/* Room for rows * n doubles, NULL when memory is short. */
static double *
scratch_init(scratch_t *self, size_t rows, size_t n)
{
    self->heap = NULL;
    if (n == 0 || rows <= STACK_DOUBLES / n) {
        return self->stack;
    }
    self->heap = n > SIZE_MAX / sizeof(double)
                     ? NULL
                     : rtl_memory_alloc(rows, n * sizeof(double));
    return self->heap;
}

static void
scratch_free(scratch_t *self)
{
    rtl_memory_free(self->heap);
}

/* --- the raw fields --------------------------------------------------------- */

/* evaluate_diffusion, below, gives the diagonal of D (or its one value), not a matrix.
 */
static bool
gives_diagonal(const rtl_model_t *self)
{
    return self->kind == RTL_DIFFUSION_TENSOR ? self->dim == 1
                                              : self->kind != RTL_DIFFUSION_NOISE;
}

static size_t
diffusion_rows(const rtl_model_t *self)
{
    switch (self->kind) {
    case RTL_DIFFUSION_SCALAR:
    case RTL_DIFFUSION_NOISE_SCALAR:
        return 1;
    case RTL_DIFFUSION_DIAGONAL:
    case RTL_DIFFUSION_NOISE_DIAGONAL:
        return self->dim;
    case RTL_DIFFUSION_TENSOR:
        return self->dim * self->dim;
    default:
        return self->dim * self->n_noise;
    }
}

/* What the diffusion callback gives, checked finite; an amplitude that is scalar or
 * diagonal is turned into D, and D's diagonal is checked >= 0. G stays as it is. */
static int
evaluate_diffusion(
    const rtl_model_t *self, const double *x, size_t n, double *out, rtl_fault_t *fault)
{
    size_t rows = diffusion_rows(self);
    size_t dim = self->dim;
    bool amplitude = self->kind >= RTL_DIFFUSION_NOISE_SCALAR;
    rtl_model_place_t at = {amplitude ? "noise" : "diffusion", dim, n, 0, x, fault};

    if (self->kind == RTL_DIFFUSION_TENSOR) {
        at.columns = dim;
    } else if (self->kind == RTL_DIFFUSION_NOISE) {
        at.columns = self->n_noise;
    }
    int status = rtl_model_values_evaluate(&self->diffusion, &at, out);
    if (status != 0) {
        return status;
    }
    /* which of the rows are on the diagonal of D */
    size_t stride = amplitude ? 0 : self->kind == RTL_DIFFUSION_TENSOR ? dim + 1 : 1;
    status = rtl_model_values_check(&at, out, rows, stride);
    if (status != 0) {
        return status;
    }
    if (amplitude && self->kind != RTL_DIFFUSION_NOISE) {
        for (size_t i = 0; i < rows * n; i++) {
            out[i] = 0.5 * out[i] * out[i];
        }
        at.what = "diffusion"; /* the square may overflow */
        status = rtl_model_values_check(&at, out, rows, 0);
    }
    return status;
}

/* --- public ----------------------------------------------------------------- */

int
rtl_model_check(const rtl_model_t *self)
{
    if (self->dim < 1 || self->dim > LARGEST_DIM || self->drift.evaluate == NULL ||
        self->diffusion.evaluate == NULL || self->interpretation > RTL_ANTI_ITO) {
        return RTL_BAD_ARGUMENT;
    }
    if (self->kind == RTL_DIFFUSION_NOISE &&
        (self->n_noise < 1 || self->n_noise > LARGEST_DIM)) {
        return RTL_BAD_ARGUMENT;
    }
    if (self->divergence.evaluate != NULL && self->divergence.n_out != self->dim) {
        return RTL_BAD_ARGUMENT;
    }
    if (self->joint.evaluate != NULL &&
        (self->joint.n_out != self->drift.n_out + self->diffusion.n_out ||
            self->interpretation != RTL_ITO)) {
        return RTL_BAD_ARGUMENT;
    }
    if (self->drift.n_out != self->dim ||
        self->diffusion.n_out != diffusion_rows(self)) {
        return RTL_BAD_ARGUMENT;
    }
    if (self->interpretation == RTL_STRATONOVICH && self->dim > 1 &&
        self->kind == RTL_DIFFUSION_TENSOR) {
        return RTL_AMBIGUOUS;
    }
    return 0;
}

bool
rtl_model_thread_safe(const rtl_model_t *self)
{
    const rtl_field_t *more[] = {&self->divergence, &self->joint};
    bool safe = self->drift.thread_safe && self->diffusion.thread_safe;

    for (size_t k = 0; k < sizeof more / sizeof *more; k++) {
        safe = safe && (more[k]->evaluate == NULL || more[k]->thread_safe);
    }
    return safe;
}

bool
rtl_model_is_diagonal(const rtl_model_t *self)
{
    return self->dim == 1 || gives_diagonal(self);
}

/* Copy the one row of a scalar to all dim rows. */
static void
spread_scalar(const rtl_model_t *self, size_t n, double *d)
{
    if (diffusion_rows(self) == 1) {
        for (size_t k = 1; k < self->dim; k++) {
            memcpy(d + k * n, d, n * sizeof *d);
        }
    }
}

/* Row k of the diagonal, (dim, n), to its place in a (dim, dim, n), from the last on.
 */
static void
expand_diagonal(double *d, size_t dim, size_t n)
{
    for (size_t k = dim; k-- > 1;) {
        memcpy(d + k * (dim + 1) * n, d + k * n, n * sizeof *d);
    }
    for (size_t r = 1; r < dim * dim; r++) {
        if (r % (dim + 1) != 0) {
            memset(d + r * n, 0, n * sizeof *d);
        }
    }
}

static int
tensor_from_noise(const rtl_model_t *self, const rtl_model_place_t *at, double *d)
{
    scratch_t scratch;
    double *g = scratch_init(&scratch, diffusion_rows(self), at->n);
    int status = g == NULL ? RTL_NO_MEMORY
                           : evaluate_diffusion(self, at->x, at->n, g, at->fault);

    if (status == 0) {
        rtl_tensor_from_noise(g, at->dim, self->n_noise, at->n, d);
        status = rtl_model_values_check(
            at, d, at->dim * at->dim, 0); /* products may overflow */
    }
    scratch_free(&scratch);
    return status;
}

/* Symmetric and positive semidefinite; the diagonal is known to be >= 0. */
static int
check_tensor(const rtl_model_place_t *at, double *d)
{
    size_t dim = at->dim, n = at->n, point, component;
    scratch_t scratch;
    double *work = scratch_init(&scratch, dim, dim);
    int status = RTL_NO_MEMORY;

    if (work == NULL) {
        goto out;
    }
    status = rtl_tensor_symmetrise(d, dim, n, &point, &component);
    if (status != 0) {
        size_t mirror = component % dim * dim + component / dim;
        rtl_model_values_fail(at, status, point, component,
            d[component * n + point] - d[mirror * n + point]);
    }
    for (size_t i = 0; status == 0 && i < n; i++) {
        double unused;
        if (!rtl_tensor_log_det(d + i, dim, n, work, &unused)) {
            status = rtl_model_values_fail(at, RTL_NOT_POSITIVE_DEFINITE, i, 0, NAN);
        }
    }
out:
    scratch_free(&scratch);
    return status;
}

int
rtl_model_tensor(
    const rtl_model_t *self, const double *x, size_t n, double *d, rtl_fault_t *fault)
{
    size_t dim = self->dim;
    rtl_model_place_t at = {"diffusion", dim, n, dim, x, fault};

    if (self->kind == RTL_DIFFUSION_NOISE) {
        return tensor_from_noise(self, &at, d);
    }
    int status = evaluate_diffusion(self, x, n, d, fault);
    if (status != 0) {
        return status;
    }
    if (!gives_diagonal(self)) {
        return check_tensor(&at, d);
    }
    spread_scalar(self, n, d);
    expand_diagonal(d, dim, n);
    return 0;
}

/* The diagonal of a full tensor, whose other values must vanish up to the round-off of
 * the sums that made them. */
static int
diagonal_of_tensor(
    const rtl_model_t *self, const rtl_model_place_t *at, const double *full, double *d)
{
    size_t dim = self->dim, n = at->n;
    size_t terms = self->kind == RTL_DIFFUSION_NOISE ? self->n_noise : dim;
    double tolerance = 4.0 * (double) terms * DBL_EPSILON;

    for (size_t i = 0; i < dim; i++) {
        const double *di = full + (i * dim + i) * n;
        memcpy(d + i * n, di, n * sizeof *d);
        for (size_t j = 0; j < i; j++) {
            const double *dj = full + (j * dim + j) * n;
            const double *off = full + (j * dim + i) * n;
            for (size_t s = 0; s < n; s++) {
                if (fabs(off[s]) > tolerance * sqrt(di[s]) * sqrt(dj[s])) {
                    return rtl_model_values_fail(
                        at, RTL_NOT_DIAGONAL, s, j * dim + i, off[s]);
                }
            }
        }
    }
    return 0;
}

int
rtl_model_diagonal(
    const rtl_model_t *self, const double *x, size_t n, double *d, rtl_fault_t *fault)
{
    int status = 0;
    size_t dim = self->dim;

    if (gives_diagonal(self)) {
        status = evaluate_diffusion(self, x, n, d, fault);
        if (status == 0) {
            spread_scalar(self, n, d);
        }
        return status;
    }
    scratch_t scratch;
    double *full = scratch_init(&scratch, dim * dim, n);
    rtl_model_place_t at = {"diffusion", dim, n, dim, x, fault};
    if (full == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = rtl_model_tensor(self, x, n, full, fault);
    if (status == 0) {
        status = diagonal_of_tensor(self, &at, full, d);
    }
out:
    scratch_free(&scratch);
    return status;
}

int
rtl_model_rattling(
    const rtl_model_t *self, const double *x, size_t n, double *r, rtl_fault_t *fault)
{
    int status = 0;
    size_t dim = self->dim;
    bool diagonal = rtl_model_is_diagonal(self);
    scratch_t scratch, matrix;
    double *d = scratch_init(&scratch, diagonal ? dim : dim * dim, n);
    double *work = scratch_init(&matrix, dim, dim);

    if (d == NULL || work == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    status = diagonal ? rtl_model_diagonal(self, x, n, d, fault)
                      : rtl_model_tensor(self, x, n, d, fault);
    for (size_t i = 0; status == 0 && i < n; i++) {
        double sum = (double) dim * log(2.0);
        if (diagonal) {
            for (size_t k = 0; k < dim; k++) {
                sum += log(d[k * n + i]);
            }
        } else {
            double value;
            if (!rtl_tensor_log_det(d + i, dim, n, work, &value)) {
                rtl_model_place_t at = {"diffusion", dim, n, dim, x, fault};
                status =
                    rtl_model_values_fail(&at, RTL_NOT_POSITIVE_DEFINITE, i, 0, NAN);
            }
            sum += value;
        }
        r[i] = 0.5 * sum;
    }
out:
    scratch_free(&matrix);
    scratch_free(&scratch);
    return status;
}

/* --- the Ito drift ---------------------------------------------------------- */

/* What the noise-induced drift differentiates: D where D is enough (tensor for
 * anti-Ito), else G. */
static int
evaluate_differentiated(
    const rtl_model_t *self, const double *x, size_t n, double *out, rtl_fault_t *fault)
{
    if (self->interpretation == RTL_ANTI_ITO && !gives_diagonal(self)) {
        return rtl_model_tensor(self, x, n, out, fault);
    }
    return evaluate_diffusion(self, x, n, out, fault);
}

/* A step at x_k that is no less than rounding of x_k. */
static double
step_at(const rtl_model_t *self, double x)
{
    double length = self->length > 0.0 ? self->length : fmax(1.0, fabs(x));

    return fmax(cbrt(DBL_EPSILON) * length, 16.0 * DBL_EPSILON * fabs(x));
}

/* out = d_k of the above by central differences; `shifted` is (dim, n), `minus` as
 * out. */
static int
differentiate(const rtl_model_t *self, size_t k, const double *x, size_t n, size_t rows,
    double *shifted, double *minus, double *out, rtl_fault_t *fault)
{
    const double *xk = x + k * n;
    double *sk = shifted + k * n;

    memcpy(shifted, x, self->dim * n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        sk[i] = xk[i] - step_at(self, xk[i]);
    }
    int status = evaluate_differentiated(self, shifted, n, minus, fault);
    if (status != 0) {
        return status;
    }
    for (size_t i = 0; i < n; i++) {
        sk[i] = xk[i] + step_at(self, xk[i]);
    }
    status = evaluate_differentiated(self, shifted, n, out, fault);
    if (status != 0) {
        return status;
    }
    for (size_t i = 0; i < n; i++) { /* the step as rounded, twice */
        sk[i] -= xk[i] - step_at(self, xk[i]);
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < n; i++) {
            out[r * n + i] = (out[r * n + i] - minus[r * n + i]) / sk[i];
        }
    }
    return 0;
}

/* f += the part of the noise-induced drift that contains d_k. `g` is the noise
 * amplitude at x, needed (and then given) for Stratonovich with a full G only. */
static void
add_induced(const rtl_model_t *self, size_t k, size_t n, const double *derivative,
    const double *g, double *f)
{
    size_t dim = self->dim, m = self->n_noise;
    double factor = self->interpretation == RTL_STRATONOVICH ? 0.5 : 1.0;

    for (size_t i = 0; i < dim; i++) {
        double *restrict fi = f + i * n;
        if (g != NULL) {
            for (size_t j = 0; j < m; j++) {
                const double *gkj = g + (k * m + j) * n;
                const double *dgij = derivative + (i * m + j) * n;
                for (size_t s = 0; s < n; s++) {
                    fi[s] += factor * gkj[s] * dgij[s];
                }
            }
            continue;
        }
        size_t row = 0;
        if (!gives_diagonal(self)) {
            row = i * dim + k;
        } else if (i != k) {
            continue;
        } else if (diffusion_rows(self) == dim) {
            row = k;
        }
        for (size_t s = 0; s < n; s++) {
            fi[s] += factor * derivative[row * n + s];
        }
    }
}

static int
add_noise_induced_drift(
    const rtl_model_t *self, const double *x, size_t n, double *f, rtl_fault_t *fault)
{
    int status = 0;
    size_t dim = self->dim;
    bool with_g =
        self->kind == RTL_DIFFUSION_NOISE && self->interpretation == RTL_STRATONOVICH;
    size_t rows = with_g || gives_diagonal(self) ? diffusion_rows(self) : dim * dim;
    scratch_t scratch;
    double *shifted = scratch_init(&scratch, dim + 3 * rows, n);
    rtl_model_place_t at = {"noise-induced drift", dim, n, 0, x, fault};

    if (shifted == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    double *minus = shifted + dim * n;
    double *derivative = minus + rows * n;
    double *g = derivative + rows * n;
    if (with_g) {
        status = evaluate_diffusion(self, x, n, g, fault);
    }
    for (size_t k = 0; status == 0 && k < dim; k++) {
        status = differentiate(self, k, x, n, rows, shifted, minus, derivative, fault);
        if (status == 0) {
            add_induced(self, k, n, derivative, with_g ? g : NULL, f);
        }
    }
    if (status == 0) {
        status = rtl_model_values_check(&at, f, dim, 0);
    }
out:
    scratch_free(&scratch);
    return status;
}

int
rtl_model_divergence(
    const rtl_model_t *self, const double *x, size_t n, double *out, rtl_fault_t *fault)
{
    rtl_model_place_t at = {"divergence of the diffusion", self->dim, n, 0, x, fault};
    int status = rtl_model_values_evaluate(&self->divergence, &at, out);

    return status == 0 ? rtl_model_values_check(&at, out, self->dim, 0) : status;
}

int
rtl_model_drift(
    const rtl_model_t *self, const double *x, size_t n, double *f, rtl_fault_t *fault)
{
    rtl_model_place_t at = {"drift", self->dim, n, 0, x, fault};
    int status = rtl_model_values_evaluate(&self->drift, &at, f);

    if (status == 0) {
        status = rtl_model_values_check(&at, f, self->dim, 0);
    }
    if (status == 0 && self->interpretation != RTL_ITO) {
        status = add_noise_induced_drift(self, x, n, f, fault);
    }
    return status;
}
