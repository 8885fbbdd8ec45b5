/* SPDX-License-Identifier: MIT */
#include "finite_volume_tensor.h"

#include <string.h>

#include "finite_volume.h"
#include "models.h"

/* D = [[1, c], [c, 0.8]], data: double c */
static int
tensor_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    (void) x;
    for (intptr_t i = 0; i < n; i++) {
        d[i] = 1.0;
        d[n + i] = d[2 * n + i] = *(double *) data;
        d[3 * n + i] = 0.8;
    }
    return 0;
}

/* f = -D x, so that p ~ exp(-|x|^2 / 2) */
static int
tensor_drift(const double *x, double *f, intptr_t n, void *data)
{
    double c = *(double *) data;

    for (intptr_t i = 0; i < n; i++) {
        f[i] = -x[i] - c * x[n + i];
        f[n + i] = -c * x[i] - 0.8 * x[n + i];
    }
    return 0;
}

static rtl_model_t
tensor_model(double *c)
{
    return (rtl_model_t) {.dim = 2,
        .kind = RTL_DIFFUSION_TENSOR,
        .drift = {.evaluate = tensor_drift, .data = c, .n_out = 2},
        .diffusion = {.evaluate = tensor_diffusion, .data = c, .n_out = 4}};
}

/* Rates > 0, columns sum to minus the killing, rows in order, and the law of zero flux
 * is exact: at walls, round a torus (between cells whose links do not cross it). */
static void
test_generator(double c, rtl_boundary_t side)
{
    enum { N = 9 };
    rtl_grid_t grid;
    rtl_generator_t chain;
    double peclet = 0.0, x[2], y[N * N], r[N * N], out[N * N] = {0.0};
    rtl_model_t model = tensor_model(&c);

    make_grid(&grid, 2, N, 1.5, side);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(chain.oblique && chain.added_diffusion == 0.0 && peclet > 0.1);
    for (size_t i = 0; i < N * N; i++) {
        rtl_grid_points(&grid, i, 1, x);
        y[i] = -0.5 * (x[0] * x[0] + x[1] * x[1]);
        for (size_t e = chain.start[i]; e < chain.start[i + 1]; e++) {
            CHECK(chain.rate[e] > 0.0);
            CHECK(e == chain.start[i] || chain.source[e] > chain.source[e - 1]);
            out[chain.source[e]] += chain.rate[e];
        }
    }
    balance_of(&chain, y, r);
    for (size_t i = 0; i < N * N; i++) {
        double killed = chain.killing != NULL ? chain.killing[i] : 0.0;
        CHECK_CLOSE(out[i] + killed, chain.exit_rate[i], 1e-13 * chain.exit_rate[i]);
        if (side == RTL_REFLECTING) {
            CHECK_CLOSE(r[i], 0.0, 1e-9 * chain.exit_rate[i]);
        }
    }
    CHECK((chain.killing != NULL) == (side == RTL_ABSORBING));
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

/* Far from walls the mean jumps are drift and diffusion: sum of rate times e = f, and
 * sum of rate times e e^T = 2 D, up to the second order. */
static void
test_moments(void)
{
    enum { N = 41 };
    rtl_grid_t grid;
    rtl_generator_t chain;
    double c = 0.6, peclet, x[2], h = 2.0 / N, f[2], m[2] = {0.0}, v[3] = {0.0};
    size_t middle = N * (N / 2 + 3) + N / 2 - 2;
    rtl_model_t model = tensor_model(&c);

    make_grid(&grid, 2, N, 1.0, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    rtl_grid_points(&grid, middle, 1, x);
    tensor_drift(x, f, 1, &c);
    for (size_t i = 0; i < N * N; i++) {
        double a = h * ((double) (i / N) - (double) (middle / N));
        double b = h * ((double) (i % N) - (double) (middle % N));
        for (size_t e = chain.start[i]; e < chain.start[i + 1]; e++) {
            if ((size_t) chain.source[e] == middle) {
                m[0] += chain.rate[e] * a;
                m[1] += chain.rate[e] * b;
                v[0] += chain.rate[e] * a * a;
                v[1] += chain.rate[e] * a * b;
                v[2] += chain.rate[e] * b * b;
            }
        }
    }
    CHECK_CLOSE(m[0], f[0], 1e-3);
    CHECK_CLOSE(m[1], f[1], 1e-3);
    CHECK_CLOSE(v[0], 2.0, 2e-3);
    CHECK_CLOSE(v[1], 2.0 * c, 2e-3);
    CHECK_CLOSE(v[2], 1.6, 2e-3);
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

static int
stop_late(void *data, double done)
{
    CHECK(done >= 0.0 && done <= 1.0);
    return --*(int *) data < 0;
}

static int
bad_tensor(const double *x, double *d, intptr_t n, void *data)
{
    tensor_diffusion(x, d, n, data);
    for (intptr_t i = 0; i < n; i++) {
        d[n + i] = d[2 * n + i] = x[i] > 0.5 ? 2.0 : 0.1;
    }
    return 0;
}

static void
test_failures(void)
{
    rtl_grid_t grid;
    rtl_generator_t chain;
    rtl_fault_t fault = {0};
    double c = 0.5, peclet;
    rtl_model_t model = tensor_model(&c);

    make_grid(&grid, 2, 40, 1.0, RTL_REFLECTING);
    for (int polls = 0; polls < 4; polls++) {
        int left = polls;
        rtl_monitor_t monitor = {.poll = stop_late, .data = &left};
        int status = rtl_finite_volume_tensor_assemble(
            &chain, &model, &grid, &peclet, &monitor, NULL);
        CHECK(status == RTL_INTERRUPTED || status == 0);
        CHECK(polls > 0 || status == RTL_INTERRUPTED);
        rtl_generator_free(&chain);
    }
    model.diffusion.evaluate = bad_tensor;
    CHECK(rtl_finite_volume_tensor_assemble(&chain, &model, &grid, &peclet, NULL,
              &fault) == RTL_NOT_POSITIVE_DEFINITE);
    CHECK(fault.dim == 2 && fault.x[0] > 0.5);
    rtl_grid_free(&grid);
}

typedef struct {
    rtl_grid_t grid;
    double c;
} case_t;

static int
assemble(void *data)
{
    case_t *self = data;
    rtl_generator_t chain;
    double peclet;
    rtl_model_t model = tensor_model(&self->c);
    int status = rtl_finite_volume_tensor_assemble(
        &chain, &model, &self->grid, &peclet, NULL, NULL);

    rtl_generator_free(&chain);
    return status;
}

int
main(void)
{
    case_t reflecting = {.c = 0.3}, absorbing = {.c = 0.7};

    test_generator(0.5, RTL_REFLECTING);
    test_generator(-0.79, RTL_REFLECTING); /* offsets longer than (1, -1) */
    test_generator(0.5, RTL_PERIODIC);
    test_generator(0.79, RTL_ABSORBING);
    test_moments();
    test_failures();
    make_grid(&reflecting.grid, 2, 5, 1.0, RTL_REFLECTING);
    make_grid(&absorbing.grid, 2, 5, 1.0, RTL_ABSORBING);
    CHECK(check_every_allocation_failure(assemble, &reflecting) >= 18);
    CHECK(check_every_allocation_failure(assemble, &absorbing) >= 17);
    rtl_grid_free(&reflecting.grid);
    rtl_grid_free(&absorbing.grid);
    return 0;
}
