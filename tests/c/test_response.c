/* SPDX-License-Identifier: MIT */
#include "response.h"

#include <string.h>

#include "models.h"

enum { N = 12, DIM = 2, ALL = N * N };

/* A change of log D_axis or f_axis at the centre of one cell, bilinear around it. */
typedef struct {
    double centre[DIM], width;
    size_t axis;
    double diffusion, drift; /* how much */
    double contrast;         /* of D itself */
} bump_t;

static double
tent(const bump_t *bump, const double *x, intptr_t n, intptr_t i)
{
    double value = 1.0;

    for (intptr_t k = 0; k < DIM; k++) {
        double away = fabs(x[k * n + i] - bump->centre[k]);
        value *=
            fmax(0.0, 1.0 - fmin(away, fabs(N * bump->width - away)) / bump->width);
    }
    return value;
}

static int
bumped_drift(const double *x, double *f, intptr_t n, void *data)
{
    const bump_t *bump = data;

    for (intptr_t i = 0; i < n; i++) {
        f[i] = 3.0 * sin(x[n + i]) - x[i];
        f[n + i] = cos(2.0 * x[i]) + x[n + i];
        f[(intptr_t) bump->axis * n + i] += bump->drift * tent(bump, x, n, i);
    }
    return 0;
}

static int
bumped_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    const bump_t *bump = data;

    for (intptr_t i = 0; i < n; i++) {
        d[i] = exp(bump->contrast * sin(x[i]));
        d[n + i] = x[i] > 0.0 ? 1.0 : exp(-bump->contrast);
        d[(intptr_t) bump->axis * n + i] *= exp(bump->diffusion * tent(bump, x, n, i));
    }
    return 0;
}

static rtl_model_t
bumped_model(bump_t *bump)
{
    rtl_model_t model = model_of(DIM, bumped_drift, bump, bumped_diffusion, bump);

    model.kind = RTL_DIFFUSION_DIAGONAL;
    model.diffusion.n_out = DIM;
    return model;
}

/* -a.W p, whose derivative is what the response gives. */
static double
product(const rtl_grid_t *grid, bump_t *bump, const double *p, const double *a)
{
    rtl_generator_t chain;
    double peclet, flow[ALL], sum = 0.0;
    rtl_model_t model = bumped_model(bump);

    CHECK(
        rtl_finite_volume_assemble(&chain, &model, grid, &peclet, 1, NULL, NULL) == 0);
    rtl_generator_apply(&chain, p, flow);
    for (size_t i = 0; i < ALL; i++) {
        sum -= a[i] * flow[i];
    }
    rtl_generator_free(&chain);
    return sum;
}

static void
test_against_differences(rtl_boundary_t side, double contrast)
{
    rtl_grid_t grid;
    double p[ALL], a[ALL], diffusion[DIM * ALL], drift[DIM * ALL], step = 1e-4;
    uint64_t seed = 3;
    bump_t bump = {.width = 4.0 / N, .contrast = contrast};
    rtl_model_t model = bumped_model(&bump);

    make_grid(&grid, DIM, N, 2.0, side);
    for (size_t i = 0; i < ALL; i++) {
        p[i] = pseudo(&seed);
        a[i] = pseudo(&seed);
    }
    CHECK(rtl_response_fields(&model, &grid, p, a, diffusion, drift, NULL, NULL) == 0);
    for (size_t cell = 0; cell < ALL; cell += 7) {
        rtl_grid_points(&grid, cell, 1, bump.centre);
        for (bump.axis = 0; bump.axis < DIM; bump.axis++) {
            double *changed[2] = {&bump.diffusion, &bump.drift};
            const double *answer[2] = {diffusion, drift};
            for (int k = 0; k < 2; k++) {
                *changed[k] = step;
                double up = product(&grid, &bump, p, a);
                *changed[k] = -step;
                double down = product(&grid, &bump, p, a);
                *changed[k] = 0.0;
                CHECK_CLOSE(answer[k][bump.axis * ALL + cell],
                    (up - down) / (2.0 * step), 2e-6);
            }
        }
        bump.axis = 0;
    }
    rtl_grid_free(&grid);
}

static void
test_rates(void)
{
    rtl_generator_t chain;
    double p[9], a[9], change[9 * 3], flow[9], sum = 0.0;
    uint64_t seed = 5;

    make_random_chain(&chain, 9, 3, 1);
    for (size_t i = 0; i < 9; i++) {
        p[i] = pseudo(&seed);
        a[i] = pseudo(&seed);
    }
    rtl_response_rates(&chain, p, a, change);
    rtl_generator_apply(&chain, p, flow);
    for (size_t i = 0; i < 9; i++) {
        sum -= a[i] * flow[i]; /* linear in the rates: the sum of all changes */
    }
    for (size_t e = 0; e < chain.n_entries; e++) {
        sum -= change[e];
    }
    CHECK_CLOSE(sum, 0.0, 1e-11);
    rtl_generator_free(&chain);
}

static int
respond(void *data)
{
    double p[ALL] = {1.0}, a[ALL] = {0.0}, diffusion[DIM * ALL], drift[DIM * ALL];
    bump_t bump = {.width = 4.0 / N};
    rtl_model_t model = bumped_model(&bump);

    return rtl_response_fields(&model, data, p, a, diffusion, drift, NULL, NULL);
}

int
main(void)
{
    rtl_grid_t grid;

    test_against_differences(RTL_REFLECTING, 0.5);
    test_against_differences(RTL_PERIODIC, 0.5);
    test_against_differences(RTL_REFLECTING, 3.0); /* beyond the largest jump */
    test_rates();
    make_grid(&grid, DIM, N, 2.0, RTL_REFLECTING);
    CHECK(check_every_allocation_failure(respond, &grid) == 3);
    rtl_grid_free(&grid);
    make_grid(&grid, 1, N, 2.0, RTL_REFLECTING);
    CHECK(respond(&grid) == RTL_BAD_ARGUMENT);
    rtl_grid_free(&grid);
    return 0;
}
