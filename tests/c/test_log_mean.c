/* SPDX-License-Identifier: MIT */
#include "log_mean.h"

#include "direct.h"
#include "models.h"

/* L(v_ab P_a, v_ba P_b) / L(w_ab P_a, w_ba P_b), straight from its definition. */
static void
test_factor(void)
{
    double up = 3.0, down = 0.2, free_up = 1.1, free_down = 0.9, y_a = -1.0, y_b = 0.7;
    double v = free_up * exp(y_a), w = free_down * exp(y_b);
    double given =
        (up * exp(y_a) - down * exp(y_b)) / log(up * exp(y_a) / (down * exp(y_b)));

    CHECK_CLOSE(rtl_log_mean_factor(up, down, free_up, free_down, y_a, y_b),
        (v - w) / log(v / w) / given, 1e-14);
    /* equal arguments: L(u, u) = u */
    CHECK_CLOSE(rtl_log_mean_factor(2.0, 2.0, 3.0, 3.0, 5.0, 5.0), 1.5, 1e-14);
}

/* At equilibrium (no current) reweighting changes rates but not the steady state. */
static void
test_equilibrium_is_kept(void)
{
    enum { N = 12 };
    rtl_grid_t grid;
    rtl_generator_t chain;
    rtl_log_mean_t log_mean;
    double c = 0.0, d = 1.0, peclet, y[N * N] = {0.0}, r[N * N];
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);

    make_grid(&grid, 2, N, 2.0, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(rtl_direct_dense(&chain, NULL, y) == 0);
    CHECK(rtl_log_mean_init(&log_mean, &chain, &model, &grid, NULL) == 0);
    rtl_log_mean_reweigh(&log_mean, y, -1e300);
    bool changed = false;
    for (size_t e = 0; e < chain.n_entries; e++) {
        CHECK(log_mean.reweighted.rate[e] > 0.0);
        changed =
            changed || fabs(log_mean.reweighted.rate[e] / chain.rate[e] - 1.0) > 0.01;
    }
    CHECK(changed);
    balance_of(&log_mean.reweighted, y, r);
    for (size_t i = 0; i < N * N; i++) {
        CHECK_CLOSE(r[i], 0.0, 1e-11 * log_mean.reweighted.exit_rate[i]);
    }
    /* below the floor faces keep their rates */
    rtl_log_mean_reweigh(&log_mean, y, 1.0);
    for (size_t e = 0; e < chain.n_entries; e++) {
        CHECK(log_mean.reweighted.rate[e] == chain.rate[e]);
    }
    rtl_log_mean_free(&log_mean);
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

/* What any y misses of the flux's balance, from its definition: that of the chain
 * reweighted there. */
static void
test_defect(rtl_boundary_t side)
{
    enum { N = 7 };
    rtl_grid_t grid;
    rtl_generator_t chain;
    rtl_log_mean_t log_mean;
    double c = 2.0, d = 1.0, peclet, y[N * N], p[N * N], net[N * N];
    double missing = 0.0, traffic = 0.0;
    uint64_t seed = 1;
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);

    make_grid(&grid, 2, N, 2.0, side);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(rtl_log_mean_init(&log_mean, &chain, &model, &grid, NULL) == 0);
    for (size_t i = 0; i < N * N; i++) {
        y[i] = 4.0 * pseudo(&seed);
        p[i] = exp(y[i]);
    }
    rtl_log_mean_reweigh(&log_mean, y, 1.0);
    rtl_generator_apply(&log_mean.reweighted, p, net);
    for (size_t i = 0; i < N * N; i++) {
        missing += fabs(net[i]);
        traffic += log_mean.reweighted.exit_rate[i] * p[i];
    }
    CHECK_CLOSE(
        rtl_log_mean_defect(&log_mean, y, 1.0, net) / (missing / traffic), 1.0, 1e-12);
    CHECK(fabs(missing / traffic) > 0.01);
    rtl_log_mean_free(&log_mean);
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
}

typedef struct {
    rtl_grid_t grid;
    rtl_generator_t chain;
    rtl_model_t model;
} well_t;

static int
make(void *data)
{
    well_t *well = data;
    rtl_log_mean_t log_mean;
    int status =
        rtl_log_mean_init(&log_mean, &well->chain, &well->model, &well->grid, NULL);

    rtl_log_mean_free(&log_mean);
    return status;
}

int
main(void)
{
    double c = 1.0, d = 1.0, peclet;
    well_t well = {.model = model_of(2, well_drift, &c, constant_diffusion, &d)};

    test_factor();
    test_equilibrium_is_kept();
    test_defect(RTL_REFLECTING);
    test_defect(RTL_PERIODIC);
    make_grid(&well.grid, 2, 6, 2.0, RTL_REFLECTING);
    CHECK(rtl_finite_volume_assemble(
              &well.chain, &well.model, &well.grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(check_every_allocation_failure(make, &well) >= 7);
    rtl_generator_free(&well.chain);
    rtl_grid_free(&well.grid);
    return 0;
}
