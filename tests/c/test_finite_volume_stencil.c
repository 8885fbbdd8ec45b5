/* SPDX-License-Identifier: MIT */
#include "finite_volume_stencil.h"

#include <string.h>

#include "models.h"

/* D = [[1 + x^2, x y / 2], [x y / 2, 1 + y^2]]: div D = (2 x + x / 2, y / 2 + 2 y). */
static int
curved_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        double a = x[i], b = x[n + i];
        d[i] = 1.0 + a * a;
        d[n + i] = d[2 * n + i] = 0.5 * a * b;
        d[3 * n + i] = 1.0 + b * b;
    }
    return 0;
}

static int
curved_divergence(const double *x, double *out, intptr_t n, void *data)
{
    ++*(int *) data;
    for (intptr_t i = 0; i < 2 * n; i++) {
        out[i] = 2.5 * x[i];
    }
    return 0;
}

static int
linear_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        f[i] = 1.0 - x[i];
        f[n + i] = 0.5 - x[n + i];
    }
    return 0;
}

static rtl_model_t
curved_model(int *calls, bool knows)
{
    rtl_model_t model = {.dim = 2,
        .kind = RTL_DIFFUSION_TENSOR,
        .drift = {.evaluate = linear_drift, .n_out = 2},
        .diffusion = {.evaluate = curved_diffusion, .n_out = 4}};

    if (knows) {
        model.divergence =
            (rtl_field_t) {.evaluate = curved_divergence, .data = calls, .n_out = 2};
    }
    return model;
}

/* J = D (b p - grad p): D b + div D = f at the centres; offsets rebuild D. */
static void
test_forces(bool knows)
{
    enum { N = 8 };
    rtl_grid_t grid;
    rtl_finite_volume_stencil_t stencil;
    int calls = 0;
    rtl_model_t model = curved_model(&calls, knows);
    double x[2], d[4], f[2], tensor[4], h = 2.0 / N;

    make_grid(&grid, 2, N, 1.0, RTL_REFLECTING);
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, NULL) == 0);
    CHECK((calls > 0) == knows && stencil.added == 0.0);
    for (size_t i = 0; i < grid.n_cells; i++) {
        const double *b = stencil.force + 2 * i, *q = stencil.ito_force + 2 * i;
        rtl_grid_points(&grid, i, 1, x);
        linear_drift(x, f, 1, NULL);
        curved_diffusion(x, d, 1, NULL);
        rtl_finite_volume_stencil_tensor(&stencil, i, tensor);
        for (int k = 0; k < 2; k++) {
            double along = d[2 * k] * b[0] + d[2 * k + 1] * b[1];
            CHECK_CLOSE(along + 2.5 * x[k], f[k], 1e-7);
            CHECK_CLOSE(d[2 * k] * q[0] + d[2 * k + 1] * q[1], f[k], 1e-12);
            CHECK_CLOSE(tensor[2 * k] * h * h, d[2 * k], 1e-12);
        }
        CHECK(stencil.relaxed[i] == 0);
    }
    rtl_finite_volume_stencil_free(&stencil);
    rtl_grid_free(&grid);
}

/* Centres along a parabola, up to rounding: dx/di is exact, at walls too. */
static void
test_tangents(void)
{
    enum { N = 7 };
    rtl_grid_t grid;
    rtl_finite_volume_stencil_t stencil;
    int calls = 0;
    rtl_model_t model = curved_model(&calls, true);
    double edges[N + 1];
    const double *axes[] = {edges, edges};
    size_t shape[] = {N, N};
    rtl_boundary_t side[] = {RTL_REFLECTING, RTL_REFLECTING};

    for (int i = 0; i <= N; i++) {
        edges[i] = 0.01 * (i + 10) * (i + 10);
    }
    CHECK(rtl_grid_init(&grid, 2, shape, axes, side, side) == 0);
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, NULL) == 0);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(stencil.tangent[0][i], 0.02 * (i + 10.5), 1e-13);
    }
    rtl_finite_volume_stencil_free(&stencil);
    rtl_grid_free(&grid);
}

static int
flat_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        double size = x[i] > 0.0 ? 1.0 : 0.0; /* of rank one, or nothing */
        d[i] = d[n + i] = d[2 * n + i] = d[3 * n + i] = size;
    }
    return 0;
}

/* Singular cells let the axes carry what drift is left; none where nothing moves. */
static void
test_singular(void)
{
    rtl_grid_t grid;
    rtl_finite_volume_stencil_t stencil;
    int calls = 0;
    rtl_model_t model = curved_model(&calls, false);
    const int8_t diagonal[] = {1, 1}, first[] = {1, 0}, other[] = {1, -1};
    size_t place;

    model.diffusion.evaluate = flat_diffusion;
    make_grid(&grid, 2, 6, 1.0, RTL_PERIODIC);
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, NULL) == 0);
    for (size_t i = 0; i < grid.n_cells; i++) {
        bool noisy = rtl_grid_index(&grid, i, 0) >= 3;
        CHECK(stencil.relaxed[i] == 1);
        CHECK(!rtl_finite_volume_stencil_find(&stencil, i, other, &place));
        CHECK(rtl_finite_volume_stencil_find(&stencil, i, diagonal, &place) == noisy);
        CHECK(rtl_finite_volume_stencil_find(&stencil, i, first, &place));
        CHECK(stencil.weight[place] == 0.0 && stencil.carry[place] > 0.0);
    }
    rtl_finite_volume_stencil_free(&stencil);
    rtl_grid_free(&grid);
}

static int
dense_diffusion(const double *x, double *d, intptr_t n, void *data)
{
    (void) x;
    for (intptr_t i = 0; i < 16 * n; i++) {
        d[i] = (i / n) % 5 == 0 ? 1.0 : *(double *) data;
    }
    return 0;
}

/* Four coupled axes have a stencil as long as the diagonal outweighs its row. */
static void
test_anisotropic(void)
{
    rtl_grid_t grid;
    rtl_finite_volume_stencil_t stencil;
    rtl_fault_t fault = {0};
    size_t dim = 4;
    double c = 0.3;
    rtl_model_t model = {.dim = 4,
        .kind = RTL_DIFFUSION_TENSOR,
        .drift = {.evaluate = ou_drift, .data = &dim, .n_out = 4},
        .diffusion = {.evaluate = dense_diffusion, .data = &c, .n_out = 16}};

    make_grid(&grid, 4, 3, 1.0, RTL_REFLECTING);
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, &fault) == 0);
    rtl_finite_volume_stencil_free(&stencil);
    c = 0.5;
    CHECK(rtl_finite_volume_stencil_init(&stencil, &model, &grid, NULL, &fault) ==
          RTL_ANISOTROPIC);
    CHECK(fault.dim == 4 && strcmp(fault.what, "diffusion") == 0);
    CHECK_CLOSE(fault.value, 5.0, 1e-12);
    CHECK_CLOSE(fault.x[3], -2.0 / 3.0, 1e-15);
    rtl_grid_free(&grid);
}

static int
make_and_free(void *data)
{
    int calls = 0;
    rtl_model_t model = curved_model(&calls, true);
    rtl_finite_volume_stencil_t stencil;
    int status = rtl_finite_volume_stencil_init(&stencil, &model, data, NULL, NULL);

    rtl_finite_volume_stencil_free(&stencil);
    return status;
}

int
main(void)
{
    rtl_grid_t grid;

    test_forces(true);
    test_forces(false);
    test_tangents();
    test_singular();
    test_anisotropic();
    make_grid(&grid, 2, 4, 1.0, RTL_REFLECTING);
    CHECK(check_every_allocation_failure(make_and_free, &grid) >= 7);
    rtl_grid_free(&grid);
    return 0;
}
