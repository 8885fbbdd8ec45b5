/* SPDX-License-Identifier: MIT */
/* Kloeden & Platen (1992), Numerical Solution of Stochastic Differential Equations:
 * Euler-Maruyama section 10.2, Milstein 10.3 (commutative noise), Platen's explicit
 * weak scheme of order 2 14.2; Heun for Stratonovich equations: Ruemelin (1982), SIAM
 * J. Numer. Anal. 19, 604.
 *
 * Platen's scheme, with U = x + f dt + G dW, R_j+- = x + f dt +- G_j sqrt(dt),
 * S_j+- = x +- G_j sqrt(dt), and V_jl = -V_lj = +-dt by a toss of a coin:
 *
 *     x + (f(U) + f) dt / 2
 *       + sum_j [G_j(R_j+) + G_j(R_j-) + 2 G_j] dW_j / 4
 *       + sum_j [G_j(R_j+) - G_j(R_j-)] (dW_j^2 - dt) / (4 sqrt(dt))
 *       + sum_{j != l} [G_j(S_l+) + G_j(S_l-) - 2 G_j] dW_j / 4
 *       + sum_{j != l} [G_j(S_l+) - G_j(S_l-)] (dW_j dW_l + V_lj) / (4 sqrt(dt)) */
#include "step_scheme.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "expression.h"
#include "model_values.h"
#include "processor.h"

/* --- parts that schemes share ----------------------------------------------------- */

/* One row: out += factor a b. */
static void
add_product(
    size_t n, double factor, const double *a, const double *b, double *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] += a[i] * (factor * b[i]);
    }
}

/* out = x + f dt + G dW. */
static void
predict(
    const rtl_step_t *method, const rtl_step_block_t *block, uint64_t step, double *out)
{
    size_t dim = method->model->dim, m = block->columns, n = block->n;
    double dt = method->dt, root = sqrt(dt);

    for (size_t i = 0; i < dim * n; i++) {
        out[i] = block->x[i] + block->drift[i] * dt;
    }
    for (size_t k = 0; k < dim; k++) {
        for (size_t j = 0; j < m; j++) {
            add_product(n, root, block->noise + (k * m + j) * n,
                rtl_step_block_normal(block, step, j), out + k * n);
        }
    }
}

/* next = x + (f + f_2) dt / 2. */
static void
mean_drift(const rtl_step_t *method, const rtl_step_block_t *block, const double *f_2)
{
    size_t size = method->model->dim * block->n;
    double half = 0.5 * method->dt;

    for (size_t i = 0; i < size; i++) {
        block->next[i] = block->x[i] + (block->drift[i] + f_2[i]) * half;
    }
}

/* f and G at the paths' states. */
static int
evaluate(const rtl_step_t *method, rtl_step_block_t *block, rtl_fault_t *fault)
{
    int status =
        rtl_model_drift(method->model, block->x, block->n, block->drift, fault);

    if (status != 0) {
        return status;
    }
    return rtl_model_noise(
        method->model, block->x, block->n, block->noise, block->room, fault);
}

/* --- Euler-Maruyama --------------------------------------------------------------- */

/* One axis of a diagonal noise. */
typedef struct {
    const double *x, *f, *d, *xi; /* d: the amplitude g, or D */
    double *next;
} row_t;

/* next = x + f dt + sqrt(dt) g xi, or sqrt(2 D dt) xi. Whether all of it is finite,
 * which it is not where f, g or D is not, nor where D < 0. */
RTL_PROCESSOR_INLINE int
euler_row_body(const row_t *row, size_t n, bool amplitude, double dt)
{
    const double *x = row->x, *f = row->f, *d = row->d, *xi = row->xi;
    double *restrict next = row->next;
    double root = sqrt(dt), two_dt = 2.0 * dt;
    uint64_t good = 1;

    for (size_t i = 0; i < n; i++) {
        double noise = amplitude ? d[i] * root : sqrt(d[i] * two_dt);
        double y = x[i] + f[i] * dt + noise * xi[i];
        good &= (uint64_t) (fabs(y) <= DBL_MAX);
        next[i] = y;
    }
    return good == 1;
}

RTL_PROCESSOR_BUILD(euler_row, (const row_t *row, size_t n, bool amplitude, double dt),
    (row, n, amplitude, dt))

/* f and D, or the amplitude, as the model gives them. */
static int
evaluate_diagonal(const rtl_step_t *method, rtl_step_block_t *block, rtl_fault_t *fault)
{
    const rtl_model_t *model = method->model;
    const rtl_field_t *joint = &model->joint;
    size_t n = block->n;

    if (joint->evaluate != NULL) {
        return joint->evaluate(block->x, block->drift, (intptr_t) n, joint->data);
    }
    rtl_model_place_t at = {"drift", model->dim, n, 0, block->x, fault};
    int status = model->interpretation == RTL_ITO
                     ? rtl_model_values_evaluate(&model->drift, &at, block->drift)
                     : rtl_model_drift(model, block->x, n, block->drift, fault);
    if (status != 0) {
        return status;
    }
    at.what = block->amplitude ? "noise" : "diffusion";
    return model->kind == RTL_DIFFUSION_NOISE
               ? rtl_model_diagonal(model, block->x, n, block->noise, fault)
               : rtl_model_values_evaluate(&model->diffusion, &at, block->noise);
}

/* What was evaluated, checked. */
static int
check_diagonal(const rtl_step_t *method, rtl_step_block_t *block, rtl_fault_t *fault)
{
    rtl_model_place_t at = {"drift", method->model->dim, block->n, 0, block->x, fault};
    int status = rtl_model_values_check(&at, block->drift, at.dim, 0);

    at.what = block->amplitude ? "noise" : "diffusion";
    return status != 0 ? status
                       : rtl_model_values_check(
                             &at, block->noise, block->rows, block->amplitude ? 0 : 1);
}

/* Values are checked only where the state after the step shows that something is
 * wrong. */
static int
euler_diagonal(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    rtl_fault_t *fault)
{
    size_t dim = method->model->dim, n = block->n, next_row = block->rows == 1 ? 0 : n;
    int status = evaluate_diagonal(method, block, fault);

    if (status != 0) {
        return status;
    }
    block->finite = true;
    for (size_t k = 0; k < dim; k++) {
        const row_t row = {block->x + k * n, block->drift + k * n,
            block->noise + k * next_row, rtl_step_block_normal(block, step, k),
            block->next + k * n};
        block->finite =
            euler_row(&row, n, block->amplitude, method->dt) && block->finite;
    }
    return block->finite ? 0 : check_diagonal(method, block, fault);
}

/* One step of one path; `next` keeps the state before. Whether all of it is finite. */
static inline bool
euler_point(const rtl_step_t *method, const rtl_step_block_t *block, uint64_t step,
    const row_t *at, double *x)
{
    double root = sqrt(method->dt), two_dt = 2.0 * method->dt;
    size_t stride = block->rows == 1 ? 0 : 1;
    bool good = true;

    for (size_t k = 0; k < method->model->dim; k++) {
        double d = at->d[k * stride];
        double noise = block->amplitude ? d * root : sqrt(d * two_dt);
        double y = x[k] + at->f[k] * method->dt +
                   noise * *rtl_step_block_normal(block, step, k);
        good = good && fabs(y) <= DBL_MAX;
        at->next[k] = x[k];
        x[k] = y;
    }
    return good;
}

int
rtl_step_scheme_path(const rtl_step_t *method, rtl_step_block_t *block, uint64_t *step,
    uint64_t end, rtl_fault_t *fault)
{
    const rtl_field_t *joint = &method->model->joint;
    const rtl_expression_t *tape = block->point == NULL ? NULL : joint->data;
    size_t dim = method->model->dim;
    double *x = tape == NULL ? block->x : block->point;
    double *f = tape == NULL ? block->drift : x + tape->n_inputs + tape->n_constants;
    const row_t at = {.f = f, .d = f + dim, .next = block->next};
    bool walls = method->walls.lower != NULL;
    int status = 0;

    memcpy(x, block->x, tape == NULL ? 0 : dim * sizeof *x);
    for (; *step < end; ++*step) {
        rtl_step_block_prepare(block, method, *step);
        if (tape != NULL) {
            rtl_expression_run(tape, x);
        } else {
            status = evaluate_diagonal(method, block, fault);
        }
        if (status != 0) {
            break;
        }
        if (!euler_point(method, block, *step, &at, x)) {
            memcpy(x, block->next, dim * sizeof *x);
            break;
        }
        if (walls) {
            rtl_step_walls_fold_block(&method->walls, dim, 1, x);
        }
    }
    memcpy(block->x, x, tape == NULL ? 0 : dim * sizeof *x);
    return status;
}

static int
euler(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    rtl_fault_t *fault)
{
    const rtl_model_t *model = method->model;
    size_t n = block->n;

    if (block->rows > 0) {
        return euler_diagonal(method, block, step, fault);
    }
    int status = rtl_model_drift(model, block->x, n, block->drift, fault);
    if (status == 0) {
        status = rtl_model_tensor(model, block->x, n, block->noise, fault);
    }
    if (status == 0) {
        rtl_model_noise_factorise(model->dim, n, 2.0, block->noise, block->room);
        predict(method, block, step, block->next);
    }
    return status;
}

/* --- Heun ------------------------------------------------------------------------- */

static int
heun(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    rtl_fault_t *fault)
{
    const rtl_model_t *model = method->model;
    size_t dim = model->dim, m = block->columns, n = block->n;
    double *support = block->room + 2 * n, *f = support + dim * n, *g = f + dim * n;
    double root = sqrt(method->dt);
    int status = evaluate(method, block, fault);

    if (status != 0) {
        return status;
    }
    predict(method, block, step, support);
    rtl_step_walls_fold_block(&method->walls, dim, n, support);
    status = rtl_model_drift(model, support, n, f, fault);
    if (status == 0) {
        status = rtl_model_noise(model, support, n, g, block->room, fault);
    }
    if (status == 0) {
        mean_drift(method, block, f);
    }
    for (size_t k = 0; status == 0 && k < dim; k++) {
        for (size_t j = 0; j < m; j++) {
            const double *xi = rtl_step_block_normal(block, step, j);
            double *next = block->next + k * n;
            add_product(n, 0.5 * root, block->noise + (k * m + j) * n, xi, next);
            add_product(n, 0.5 * root, g + (k * m + j) * n, xi, next);
        }
    }
    return status;
}

/* --- Milstein --------------------------------------------------------------------- */

static int
milstein(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    rtl_fault_t *fault)
{
    size_t dim = method->model->dim, m = block->columns, n = block->n;
    size_t pairs = m * (m + 1) / 2, pair = 0;
    double *restrict weight = block->room + 2 * n, *second = weight + n;
    double dt = method->dt;
    int status = evaluate(method, block, fault);

    if (status == 0) {
        const rtl_model_place_t at = {"noise", dim, n, 0, block->x, fault};
        status = rtl_model_values_evaluate(&method->second, &at, second);
    }
    if (status != 0) {
        return status;
    }
    predict(method, block, step, block->next);
    for (size_t j = 0; j < m; j++) {
        for (size_t l = 0; l <= j; l++, pair++) {
            const double *a = rtl_step_block_normal(block, step, j);
            const double *b = rtl_step_block_normal(block, step, l);
            double factor = l == j ? 0.5 * dt : dt, less = l == j ? 0.5 * dt : 0.0;
            for (size_t i = 0; i < n; i++) {
                weight[i] = factor * a[i] * b[i] - less;
            }
            for (size_t k = 0; k < dim; k++) {
                add_product(n, 1.0, second + (k * pairs + pair) * n, weight,
                    block->next + k * n);
            }
        }
    }
    return 0;
}

/* --- Platen ----------------------------------------------------------------------- */

/* Where Platen's scheme keeps what. */
typedef struct {
    double *support, *drift; /* (dim, n) */
    double *plus, *minus;    /* (dim, m, n) G at two support points */
    double *coin;            /* (m (m - 1) / 2, n) uniforms */
} platen_t;

/* G at x [+ f dt] + sign G_l sqrt(dt). */
static int
noise_aside(const rtl_step_t *method, rtl_step_block_t *block, bool drifted, size_t l,
    double sign, double *support, double *g, rtl_fault_t *fault)
{
    size_t dim = method->model->dim, m = block->columns, n = block->n;
    double shift = sign * sqrt(method->dt), dt = drifted ? method->dt : 0.0;

    for (size_t k = 0; k < dim; k++) {
        const double *x = block->x + k * n, *f = block->drift + k * n;
        const double *gl = block->noise + (k * m + l) * n;
        double *restrict out = support + k * n;
        for (size_t i = 0; i < n; i++) {
            out[i] = x[i] + f[i] * dt + gl[i] * shift;
        }
    }
    rtl_step_walls_fold_block(&method->walls, dim, n, support);
    return rtl_model_noise(method->model, support, n, g, block->room, fault);
}

/* The terms of column j that come from the points beside x along column l. */
static void
add_column(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    const platen_t *at, size_t j, size_t l)
{
    size_t dim = method->model->dim, m = block->columns, n = block->n;
    double dt = method->dt, quarter = 0.25 * sqrt(dt), centre = j == l ? 2.0 : -2.0;
    const double *a = rtl_step_block_normal(block, step, j);
    const double *b = rtl_step_block_normal(block, step, l);
    size_t high = j > l ? j : l, low = j > l ? l : j;
    const double *coin = j == l ? NULL : at->coin + (high * (high - 1) / 2 + low) * n;
    double side = j > l ? 1.0 : -1.0;

    for (size_t k = 0; k < dim; k++) {
        const double *g = block->noise + (k * m + j) * n;
        const double *plus = at->plus + (k * m + j) * n;
        const double *minus = at->minus + (k * m + j) * n;
        double *restrict next = block->next + k * n;
        for (size_t i = 0; i < n; i++) {
            double v = coin == NULL ? -1.0 : coin[i] < 0.5 ? side : -side;
            next[i] += quarter * ((plus[i] + minus[i] + centre * g[i]) * a[i] +
                                     (plus[i] - minus[i]) * (a[i] * b[i] + v));
        }
    }
}

/* The drift's part of the step, from the full predictor. */
static int
platen_drift(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    const platen_t *at, rtl_fault_t *fault)
{
    size_t dim = method->model->dim, n = block->n;

    predict(method, block, step, at->support);
    rtl_step_walls_fold_block(&method->walls, dim, n, at->support);
    int status = rtl_model_drift(method->model, at->support, n, at->drift, fault);
    if (status == 0) {
        mean_drift(method, block, at->drift);
    }
    return status;
}

static int
platen(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    rtl_fault_t *fault)
{
    size_t dim = method->model->dim, m = block->columns, n = block->n;
    platen_t at = {.support = block->room + 2 * n};
    int status = evaluate(method, block, fault);

    at.drift = at.support + dim * n;
    at.plus = at.drift + dim * n;
    at.minus = at.plus + dim * m * n;
    at.coin = at.minus + dim * m * n;
    if (m > 1) {
        rtl_random_uniforms(
            &method->random, block->first, n, step, m * (m - 1) / 2, at.coin);
    }
    if (status == 0) {
        status = platen_drift(method, block, step, &at, fault);
    }
    for (size_t l = 0; status == 0 && l < m; l++) {
        for (int drifted = 1; status == 0 && drifted >= (m > 1 ? 0 : 1); drifted--) {
            status =
                noise_aside(method, block, drifted, l, 1.0, at.support, at.plus, fault);
            if (status == 0) {
                status = noise_aside(
                    method, block, drifted, l, -1.0, at.support, at.minus, fault);
            }
            for (size_t j = 0; status == 0 && j < m; j++) {
                if ((j == l) == drifted) {
                    add_column(method, block, step, &at, j, l);
                }
            }
        }
    }
    return status;
}

int
rtl_step_scheme_move(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step,
    rtl_fault_t *fault)
{
    switch (method->scheme) {
    case RTL_HEUN:
        return heun(method, block, step, fault);
    case RTL_MILSTEIN:
        return milstein(method, block, step, fault);
    case RTL_PLATEN:
        return platen(method, block, step, fault);
    default:
        return euler(method, block, step, fault);
    }
}
