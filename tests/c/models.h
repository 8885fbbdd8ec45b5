/* SPDX-License-Identifier: MIT */
/* Models, grids and chains for the C tests. */
#ifndef TEST_MODELS_H
#define TEST_MODELS_H

#include "finite_volume.h"
#include "test.h"

/* r_i = sum_j w(j -> i) exp(y_j - y_i) - q_i: the balance of state i divided by its
 * probability, y = log p. */
static inline void
balance_of(const rtl_generator_t *chain, const double *y, double *r)
{
    for (size_t i = 0; i < chain->n; i++) {
        double sum = 0.0;
        for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
            sum += chain->rate[e] * exp(y[chain->source[e]] - y[i]);
        }
        r[i] = sum - chain->exit_rate[i];
    }
}

/* Double well with circulation, log p = -2 (x^2 - 1)^2 - 2 y^2 - x y / 2 + const for
 * any strength c: f = -grad phi + c (-d_y phi, d_x phi), D = 1. data: double c. */
static inline int
well_drift(const double *x, double *f, intptr_t n, void *data)
{
    double c = *(double *) data;

    for (intptr_t i = 0; i < n; i++) {
        double a = x[i], b = x[n + i];
        double phi_x = 8.0 * a * (a * a - 1.0) + 0.5 * b;
        double phi_y = 4.0 * b + 0.5 * a;
        f[i] = -phi_x - c * phi_y;
        f[n + i] = -phi_y + c * phi_x;
    }
    return 0;
}

static inline double
well_log_density(double a, double b)
{
    return -2.0 * (a * a - 1.0) * (a * a - 1.0) - 2.0 * b * b - 0.5 * a * b;
}

/* Ornstein-Uhlenbeck in any dimension: f = -x. data: size_t dim. */
static inline int
ou_drift(const double *x, double *f, intptr_t n, void *data)
{
    intptr_t dim = (intptr_t) *(size_t *) data;

    for (intptr_t i = 0; i < dim * n; i++) {
        f[i] = -x[i];
    }
    return 0;
}

/* D = data[0] everywhere, one row. */
static inline int
constant_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    (void) x;
    for (intptr_t i = 0; i < n; i++) {
        d[i] = *(double *) data;
    }
    return 0;
}

/* D = 0.1 + x0^2, one row. */
static inline int
hot_stripe(const double *x, double *d, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        d[i] = 0.1 + x[i] * x[i];
    }
    return 0;
}

static inline rtl_model_t
model_of(size_t dim, rtl_block_fn drift, void *drift_data, rtl_block_fn diffusion,
    void *diffusion_data)
{
    return (rtl_model_t) {.dim = dim,
        .kind = RTL_DIFFUSION_SCALAR,
        .drift = {.evaluate = drift, .data = drift_data, .n_out = dim},
        .diffusion = {.evaluate = diffusion, .data = diffusion_data, .n_out = 1}};
}

/* n cells on [-half, half] along each of dim axes. */
static inline void
make_grid(rtl_grid_t *grid, size_t dim, size_t n, double half, rtl_boundary_t side)
{
    size_t shape[RTL_MAX_DIM];
    const double *all[RTL_MAX_DIM];
    rtl_boundary_t sides[RTL_MAX_DIM];
    double *edges = calloc(n + 1, sizeof *edges);

    CHECK(edges != NULL);
    for (size_t i = 0; i <= n; i++) {
        edges[i] = -half + 2.0 * half * (double) i / (double) n;
    }
    for (size_t k = 0; k < dim; k++) {
        shape[k] = n;
        all[k] = edges;
        sides[k] = side;
    }
    CHECK(rtl_grid_init(grid, dim, shape, all, sides, sides) == 0);
    free(edges);
}

/* Rates of a ring of n states, up and down, as triples; the caller frees the chain. */
static inline void
make_ring(rtl_generator_t *chain, size_t n, const double *up, const double *down)
{
    size_t bad;
    int64_t *source = calloc(2 * n, sizeof *source),
            *target = calloc(2 * n, sizeof *source);
    double *rate = calloc(2 * n, sizeof *rate);

    CHECK(source != NULL && target != NULL && rate != NULL);
    for (size_t i = 0; i < n; i++) {
        source[2 * i] = target[2 * i + 1] = (int64_t) i;
        target[2 * i] = source[2 * i + 1] = (int64_t) ((i + 1) % n);
        rate[2 * i] = up[i];
        rate[2 * i + 1] = down[i];
    }
    CHECK(rtl_generator_from_rates(chain, n, 2 * n, source, target, rate, &bad, NULL) ==
          0);
    free(source);
    free(target);
    free(rate);
}

/* Repeatable numbers in [0, 1) that need not be good. */
static inline double
pseudo(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double) (*seed >> 11) * 0x1p-53;
}

/* n states, each with `degree` rates to others at random; irreducible, for it contains
 * a ring. */
static inline void
make_random_chain(rtl_generator_t *chain, size_t n, size_t degree, uint64_t seed)
{
    size_t m = n * degree, bad;
    int64_t *source = calloc(m, sizeof *source), *target = calloc(m, sizeof *source);
    double *rate = calloc(m, sizeof *rate);

    CHECK(source != NULL && target != NULL && rate != NULL);
    for (size_t e = 0; e < m; e++) {
        source[e] = (int64_t) (e % n);
        target[e] =
            e < n ? (int64_t) ((e + 1) % n) : (int64_t) (pseudo(&seed) * (double) n);
        rate[e] = exp(3.0 * pseudo(&seed));
    }
    CHECK(rtl_generator_from_rates(chain, n, m, source, target, rate, &bad, NULL) == 0);
    free(source);
    free(target);
    free(rate);
}

#endif
