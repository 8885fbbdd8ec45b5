/* SPDX-License-Identifier: MIT */
#include "finite_volume_link.h"

#include <math.h>
#include <string.h>

#include "finite_volume.h"
#include "models.h"

/* D = [[1, .5], [.5, 1]] for x < jump, ten times that beyond. */
static int
jumping_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    for (intptr_t i = 0; i < n; i++) {
        double size = x[i] < *(double *) data ? 1.0 : 10.0;
        d[i] = d[3 * n + i] = size;
        d[n + i] = d[2 * n + i] = 0.5 * size;
    }
    return 0;
}

static int
no_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) x;
    (void) data;
    memset(f, 0, 2 * (size_t) n * sizeof *f);
    return 0;
}

static int
unit_drift(const double *x, double *f, intptr_t n, void *data)
{
    no_drift(x, f, n, data);
    for (intptr_t i = 0; i < n; i++) {
        f[i] = 1.5;
        f[n + i] = 1.5;
    }
    return 0;
}

static double
rates(const rtl_finite_volume_stencil_t *stencil, const rtl_link_t *link, double *up,
    double *down)
{
    double x[4], d[8];
    bool jumps = false;

    if (rtl_finite_volume_link_may_jump(stencil, link)) {
        rtl_finite_volume_link_points(stencil, link, 2, x);
        CHECK(rtl_model_tensor(stencil->model, x, 2, d, NULL) == 0);
        jumps = rtl_finite_volume_link_jumps(stencil, link, d, 2);
    }
    return rtl_finite_volume_link_rates(stencil, link, jumps, up, down);
}

/* In a constant tensor: D has (1, 1) with weight .5 / h^2 and the axes with .5 / h^2;
 * f = (1.5, 1.5) is D b with b = (1, 1), so z = 2 h along (1, 1). */
static void
test_constant(void)
{
    rtl_grid_t grid;
    rtl_finite_volume_stencil_t stencil;
    double jump = 99.0, h = 0.2, up, down;
    rtl_model_t model = {.dim = 2,
        .kind = RTL_DIFFUSION_TENSOR,
        .drift = {.evaluate = unit_drift, .n_out = 2},
        .diffusion = {.evaluate = jumping_diffusion, .data = &jump, .n_out = 4}};
    rtl_link_t link = {.a = 44, .b = 55, .e = {1, 1}};

    make_grid(&grid, 2, 10, 1.0, RTL_PERIODIC);
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, NULL) == 0);
    CHECK_CLOSE(rates(&stencil, &link, &up, &down), 2.0 * h, 1e-12);
    double w = 0.5 / (h * h);
    CHECK_CLOSE(up, w * rtl_finite_volume_bernoulli(-2.0 * h), 1e-10);
    CHECK_CLOSE(down, w * rtl_finite_volume_bernoulli(2.0 * h), 1e-10);
    /* along a wall, with a conductance of its own; and round the torus */
    link = (rtl_link_t) {.a = 9, .b = 10, .e = {1, 1}, .conductance = h * h * w};
    CHECK_CLOSE(rates(&stencil, &link, &up, &down), 2.0 * h, 1e-12);
    CHECK_CLOSE(up, w * rtl_finite_volume_bernoulli(-2.0 * h), 1e-10);
    /* out through a wall a quarter of the way */
    size_t place;
    CHECK(rtl_finite_volume_stencil_find(&stencil, 44, link.e, &place));
    double out = rtl_finite_volume_link_escape(&stencil, 44, link.e, place, 0.25);
    CHECK_CLOSE(out, w / 0.25 * rtl_finite_volume_bernoulli(-0.5 * h), 1e-10);
    rtl_finite_volume_stencil_free(&stencil);
    rtl_grid_free(&grid);
}

/* Where D jumps each cell's own D counts for Ito, and the mean for the kinetic form. */
static void
test_jump(rtl_interpretation_t interpretation)
{
    rtl_grid_t grid;
    rtl_finite_volume_stencil_t stencil;
    double jump = 0.0, h = 0.2, up, down;
    rtl_model_t model = {.dim = 2,
        .kind = RTL_DIFFUSION_TENSOR,
        .interpretation = interpretation,
        .drift = {.evaluate = no_drift, .n_out = 2},
        .diffusion = {.evaluate = jumping_diffusion, .data = &jump, .n_out = 4}};
    rtl_link_t link = {.a = 44, .b = 55, .e = {1, 1}};

    make_grid(&grid, 2, 10, 1.0, RTL_PERIODIC);
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, NULL) == 0);
    CHECK_CLOSE(rates(&stencil, &link, &up, &down), 0.0, 1e-12);
    bool ito = interpretation == RTL_ITO;
    CHECK_CLOSE(up, (ito ? 0.5 : 2.75) / (h * h), 1e-10);
    CHECK_CLOSE(down, (ito ? 5.0 : 2.75) / (h * h), 1e-10);
    rtl_finite_volume_stencil_free(&stencil);
    rtl_grid_free(&grid);
}

static int
cubic_drift(const double *x, double *f, intptr_t n, void *data)
{
    no_drift(x, f, n, data);
    for (intptr_t i = 0; i < n; i++) {
        f[i] = 0.75 * x[i] * x[i] * x[i];
    }
    return 0;
}

/* b = D^-1 f = (1, -.5) x^3, along (1, 1) half of x^3: its integral is exact, but for
 * links beside walls, which follow the parabola through three points. */
static void
test_integral(void)
{
    enum { N = 10 };
    rtl_grid_t grid;
    rtl_finite_volume_stencil_t stencil;
    double jump = 99.0, h = 0.2, up, down;
    rtl_model_t model = {.dim = 2,
        .kind = RTL_DIFFUSION_TENSOR,
        .drift = {.evaluate = cubic_drift, .n_out = 2},
        .diffusion = {.evaluate = jumping_diffusion, .data = &jump, .n_out = 4}};

    make_grid(&grid, 2, N, 1.0, RTL_REFLECTING);
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, NULL) == 0);
    for (size_t i = 0; i + 1 < N; i++) {
        rtl_link_t link = {
            .a = (int32_t) (11 * i), .b = (int32_t) (11 * i + 11), .e = {1, 1}};
        double a = rtl_grid_centre(&grid, 0, i), b = rtl_grid_centre(&grid, 0, i + 1);
        double exact = 0.125 * (b * b * b * b - a * a * a * a);
        double missing = h * h * h * h / 8.0; /* third derivative times h^4 / 24 */
        double sign = i == 0 ? -1.0 : i == N - 2 ? 1.0 : 0.0;
        rates(&stencil, &link, &up, &down);
        CHECK_CLOSE(log(up / down), exact + sign * missing, 1e-12);
    }
    rtl_finite_volume_stencil_free(&stencil);
    rtl_grid_free(&grid);
}

int
main(void)
{
    test_integral();
    test_constant();
    test_jump(RTL_ITO);
    test_jump(RTL_ANTI_ITO);
    return 0;
}
