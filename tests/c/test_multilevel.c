/* SPDX-License-Identifier: MIT */
#include "multilevel.h"
#include "direct.h"
#include "models.h"

/* y = exact log density of the well on a 32 x 32 grid. */
static size_t
make_well(rtl_generator_t *chain, double **y)
{
    rtl_grid_t grid;
    double c = 1.0, d = 1.0, peclet, x[2];
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);

    make_grid(&grid, 2, 32, 2.2, RTL_REFLECTING);
    CHECK(
        rtl_finite_volume_assemble(chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    *y = calloc(chain->n, sizeof **y);
    CHECK(*y != NULL);
    for (size_t i = 0; i < chain->n; i++) {
        rtl_grid_points(&grid, i, 1, x);
        (*y)[i] = well_log_density(x[0], x[1]);
    }
    rtl_grid_free(&grid);
    return chain->n;
}

static double
norm(size_t n, const double *x)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sqrt(sum);
}

/* b in the range of A: minus the balance. Richardson iteration with the cycle, damped
 * to allow for the constant prolongation, contracts. */
static void
test_cycle_contracts(void)
{
    rtl_generator_t chain;
    rtl_multilevel_t levels;
    double *y, *b, *x, *r, *z;
    size_t n = make_well(&chain, &y);

    b = calloc(n, sizeof *b);
    x = calloc(n, sizeof *x);
    r = calloc(n, sizeof *r);
    z = calloc(n, sizeof *z);
    CHECK(b != NULL && x != NULL && r != NULL && z != NULL);
    CHECK(rtl_multilevel_init(&levels, &chain, y, (rtl_team_t) {.n_threads = 1}) == 0);
    CHECK(levels.n_levels >= 3);
    CHECK(rtl_multilevel_bytes(&levels) > n * sizeof(double));
    balance_of(&chain, y, b);
    for (size_t i = 0; i < n; i++) {
        b[i] = -b[i] / chain.exit_rate[i];
        r[i] = b[i];
    }
    double before = norm(n, b);
    for (int step = 0; step < 25; step++) {
        CHECK(rtl_multilevel_cycle(&levels, r, z) == 0);
        for (size_t i = 0; i < n; i++) {
            x[i] += z[i];
        }
        rtl_balance_apply(&levels.level[0].balance, x, r);
        for (size_t i = 0; i < n; i++) {
            r[i] = b[i] - r[i];
        }
    }
    CHECK(norm(n, r) < 1e-4 * before);
    rtl_multilevel_free(&levels);
    rtl_generator_free(&chain);
    free(y);
    free(b);
    free(x);
    free(r);
    free(z);
}

/* A = diag(1/(p q)) W diag(p): against the chain itself. */
static void
test_apply(void)
{
    rtl_generator_t chain;
    rtl_multilevel_t levels;
    double *y, *x, *a, *b;
    size_t n = make_well(&chain, &y);

    x = calloc(n, sizeof *x);
    a = calloc(n, sizeof *a);
    b = calloc(n, sizeof *b);
    CHECK(x != NULL && a != NULL && b != NULL);
    CHECK(rtl_multilevel_init(&levels, &chain, y, (rtl_team_t) {.n_threads = 1}) == 0);
    for (size_t i = 0; i < n; i++) {
        x[i] = cos((double) i);
    }
    rtl_balance_apply(&levels.level[0].balance, x, a);
    for (size_t i = 0; i < n; i++) {
        x[i] *= exp(y[i]);
    }
    rtl_generator_apply(&chain, x, b);
    for (size_t i = 0; i < n; i++) {
        CHECK_CLOSE(a[i], b[i] / (exp(y[i]) * chain.exit_rate[i]), 1e-12);
    }
    rtl_multilevel_free(&levels);
    rtl_generator_free(&chain);
    free(y);
    free(x);
    free(a);
    free(b);
}

/* A chain that fits the coarsest level whole is started at its exact answer up to the
 * sweeps; a large one at least better than uniform. */
static void
test_start(void)
{
    enum { N = 600 };
    rtl_generator_t chain;
    rtl_multilevel_t levels;
    double y[N] = {0.0}, exact[N] = {0.0};

    make_random_chain(&chain, N, 4, 5);
    CHECK(rtl_direct_dense(&chain, NULL, exact) == 0);
    CHECK(rtl_multilevel_init(&levels, &chain, y, (rtl_team_t) {.n_threads = 1}) == 0);
    double uniform = 0.0, started = 0.0;
    for (int i = 0; i < N; i++) {
        uniform += fabs(exp(exact[i]) - 1.0 / N);
    }
    CHECK(rtl_multilevel_multiply(&levels, 2, y) == 0);
    rtl_direct_normalise(N, y);
    for (int i = 0; i < N; i++) {
        started += fabs(exp(exact[i]) - exp(y[i]));
    }
    CHECK(started < 0.2 * uniform);
    rtl_multilevel_free(&levels);
    rtl_generator_free(&chain);
}

typedef struct {
    rtl_generator_t chain;
    double *y;
} well_t;

static int
make(void *data)
{
    well_t *well = data;
    rtl_multilevel_t levels;
    int status = rtl_multilevel_init(
        &levels, &well->chain, well->y, (rtl_team_t) {.n_threads = 1});

    if (status == 0) {
        status = rtl_multilevel_multiply(&levels, 2, well->y);
        rtl_multilevel_free(&levels);
    }
    return status;
}

int
main(void)
{
    well_t well;

    test_cycle_contracts();
    test_apply();
    test_start();
    make_well(&well.chain, &well.y);
    CHECK(check_every_allocation_failure(make, &well) > 30);
    rtl_generator_free(&well.chain);
    free(well.y);
    return 0;
}
