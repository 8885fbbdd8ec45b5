/* SPDX-License-Identifier: MIT */
#include "current.h"
#include "direct.h"
#include "models.h"

static const rtl_team_t one = {.n_threads = 1};

/* A uniform ring with rates a up and b down: every face carries (a - b) / n per unit
 * time, sigma = (a - b) log(a / b). */
static int
unit_drift(const double *x, double *f, intptr_t n, void *data)
{
    (void) x;
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        f[i] = 1.0;
    }
    return 0;
}

static void
test_ring(void)
{
    rtl_grid_t grid;
    rtl_generator_t chain;
    double d = 0.5, peclet, y[10], faces[11], sigma[10], total = 0.0;
    rtl_model_t model = model_of(1, unit_drift, NULL, constant_diffusion, &d);

    make_grid(&grid, 1, 10, 1.0, RTL_PERIODIC);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(rtl_direct_ring(&chain, RTL_DIRECT_RING, NULL, y) == 0);
    rtl_current_faces(&chain, &grid, y, 0, one, faces);
    for (int i = 0; i < 11; i++) {
        CHECK_CLOSE(faces[i], 0.5, 1e-13); /* J = f p = 1 / L */
    }
    CHECK(rtl_current_entropy_production(&chain, y, one, sigma) == 0);
    for (int i = 0; i < 10; i++) {
        total += sigma[i];
    }
    CHECK_CLOSE(total, 1.0 / d, 1e-12); /* <f^2> / D */
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

/* The divergence of the current vanishes, walls let nothing through, and with c = 0
 * (equilibrium) there is no current and no entropy production. */
static void
test_well(double c)
{
    enum { N = 12 };
    rtl_grid_t grid;
    rtl_generator_t chain;
    double d = 1.0, peclet, y[N * N] = {0.0}, sigma[N * N], total = 0.0;
    double jx[(N + 1) * N], jy[N * (N + 1)];
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);

    make_grid(&grid, 2, N, 2.2, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(rtl_direct_dense(&chain, NULL, y) == 0);
    rtl_current_faces(&chain, &grid, y, 0, one, jx);
    rtl_current_faces(&chain, &grid, y, 1, one, jy);
    for (size_t i = 0; i < N; i++) {
        CHECK(jx[i] == 0.0 && jx[N * N + i] == 0.0);
        CHECK(jy[i * (N + 1)] == 0.0 && jy[i * (N + 1) + N] == 0.0);
        for (size_t j = 0; j < N; j++) {
            double out = jx[(i + 1) * N + j] - jx[i * N + j] + jy[i * (N + 1) + j + 1] -
                         jy[i * (N + 1) + j];
            CHECK_CLOSE(out, 0.0, 1e-13);
        }
    }
    CHECK(rtl_current_entropy_production(&chain, y, one, sigma) == 0);
    for (size_t i = 0; i < N * N; i++) {
        CHECK(sigma[i] >= -1e-15);
        total += sigma[i];
    }
    if (c == 0.0) {
        CHECK_CLOSE(total, 0.0, 1e-13);
        CHECK_CLOSE(jx[6 * N + 6], 0.0, 1e-13);
    } else {
        CHECK(total > 1.0);
        CHECK(fabs(jx[6 * N + 6]) > 1e-3);
    }
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

/* Out through absorbing walls: the divergence of the currents is what is killed. */
static void
test_absorbing(void)
{
    enum { N = 8 };
    rtl_grid_t grid;
    rtl_generator_t chain;
    double d = 1.0, c = 2.0, peclet, y[N * N] = {0.0}, flow[N * N], p[N * N];
    double jx[(N + 1) * N], jy[N * (N + 1)], h = 4.0 / N;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);

    make_grid(&grid, 2, N, 2.0, RTL_ABSORBING);
    grid.upper[0] = RTL_REFLECTING;
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    for (size_t i = 0; i < N * N; i++) {
        y[i] = 0.01 * (double) i;
        p[i] = exp(y[i]);
    }
    rtl_generator_apply(&chain, p, flow);
    rtl_current_faces(&chain, &grid, y, 0, one, jx);
    rtl_current_faces(&chain, &grid, y, 1, one, jy);
    for (size_t i = 0; i < N; i++) {
        CHECK(jx[i] < 0.0 && jx[N * N + i] == 0.0);
        CHECK(jy[i * (N + 1)] < 0.0 && jy[i * (N + 1) + N] > 0.0);
        for (size_t j = 0; j < N; j++) {
            double out = jx[(i + 1) * N + j] - jx[i * N + j] + jy[i * (N + 1) + j + 1] -
                         jy[i * (N + 1) + j];
            size_t cell = i * N + j;
            CHECK_CLOSE(out * h, -flow[cell], 1e-12 * chain.exit_rate[cell] * p[cell]);
        }
    }
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

static void
test_one_way_links(void)
{
    rtl_generator_t chain;
    double up[] = {1.0, 1.0, 1.0}, down[] = {0.0, 0.0, 0.0}, y[3] = {0.0}, sigma[3];

    make_ring(&chain, 3, up, down);
    CHECK(rtl_direct_dense(&chain, NULL, y) == 0);
    CHECK(rtl_current_entropy_production(&chain, y, one, sigma) == 0);
    CHECK(isinf(sigma[0]) && sigma[0] > 0.0);
    rtl_generator_free(&chain);
}

/* Complete graphs, whose rows are short or long, against the sum over pairs. */
static void
test_complete(size_t n)
{
    enum { MOST = 40 };
    int64_t source[MOST * MOST], target[MOST * MOST];
    double rate[MOST * MOST], y[MOST], sigma[MOST], total = 0.0, expected = 0.0;
    size_t bad, n_entries = n * n;
    rtl_generator_t chain;

    for (size_t e = 0; e < n_entries; e++) {
        source[e] = (int64_t) (e / n);
        target[e] = (int64_t) (e % n);
        rate[e] = 1.0 + (double) (e * 7 % 11);
        y[e / n] = 0.1 * (double) (e / n % 5);
    }
    CHECK(rtl_generator_from_rates(
              &chain, n, n_entries, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_current_entropy_production(&chain, y, one, sigma) == 0);
    for (size_t i = 0; i < n; i++) {
        total += sigma[i];
        for (size_t j = 0; j < i; j++) {
            double a = rate[j * n + i] * exp(y[j]), b = rate[i * n + j] * exp(y[i]);
            expected += (a - b) * log(a / b);
        }
    }
    CHECK_CLOSE(total, expected, 1e-12 * expected);
    rtl_generator_free(&chain);
}

static int
entropy(void *data)
{
    double y[20] = {0.0}, sigma[20];
    return rtl_current_entropy_production(data, y, one, sigma);
}

int
main(void)
{
    rtl_generator_t chain;

    test_ring();
    test_well(0.0);
    test_well(3.0);
    test_absorbing();
    test_one_way_links();
    test_complete(8);
    test_complete(40);
    make_random_chain(&chain, 20, 3, 4);
    CHECK(check_every_allocation_failure(entropy, &chain) == 6);
    rtl_generator_free(&chain);
    return 0;
}
