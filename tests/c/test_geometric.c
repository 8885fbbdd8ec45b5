/* SPDX-License-Identifier: MIT */
#include "geometric.h"

#include <string.h>

#include "balance.h"
#include "direct.h"
#include "models.h"

typedef struct {
    rtl_grid_t grid[3]; /* 8, 16 and 32 cells an axis */
    rtl_generator_t chain[3];
    double y[3][1024];
} wells_t;

static void
make_wells(wells_t *self)
{
    double c = 1.0, d = 1.0, peclet, x[2];
    rtl_model_t model = model_of(2, well_drift, &c, constant_diffusion, &d);
    bool coarser;

    make_grid(&self->grid[2], 2, 32, 2.2, RTL_REFLECTING);
    for (int l = 1; l >= 0; l--) {
        CHECK(
            rtl_interpolate_coarsen(&self->grid[l + 1], &self->grid[l], &coarser) == 0);
        CHECK(coarser);
    }
    for (int l = 0; l < 3; l++) {
        CHECK(rtl_finite_volume_assemble(&self->chain[l], &model, &self->grid[l],
                  &peclet, 1, NULL, NULL) == 0);
        for (size_t i = 0; i < self->chain[l].n; i++) {
            rtl_grid_points(&self->grid[l], i, 1, x);
            self->y[l][i] = well_log_density(x[0], x[1]);
        }
        rtl_direct_normalise(self->chain[l].n, self->y[l]);
    }
}

static void
free_wells(wells_t *self)
{
    for (int l = 0; l < 3; l++) {
        rtl_grid_free(&self->grid[l]);
        rtl_generator_free(&self->chain[l]);
    }
}

static int
build(rtl_geometric_t *multigrid, const wells_t *wells)
{
    int status = rtl_geometric_init(
        multigrid, &wells->chain[0], wells->y[0], (rtl_team_t) {.n_threads = 2});

    for (int l = 1; l < 3 && status == 0; l++) {
        status = rtl_geometric_push(
            multigrid, &wells->chain[l], &wells->grid[l - 1], &wells->grid[l]);
        if (status == 0) {
            rtl_geometric_update(multigrid, wells->y[l]);
        }
    }
    return status;
}

static double
dot(size_t n, const double *a, const double *b)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Twelve steps of GCR with the cycle as preconditioner take the residual down by 10^8;
 * b is in the range of A. */
static void
test_cycle_contracts(const wells_t *wells)
{
    enum { N = 1024, STEPS = 12 };
    rtl_geometric_t multigrid;
    static double r[N], z[N], image[STEPS][N];

    CHECK(build(&multigrid, wells) == 0);
    CHECK(multigrid.n_levels == 3 && rtl_geometric_bytes(&multigrid) > 8 * N);
    CHECK(rtl_balance_residual(&multigrid.level[2].balance, r) > 0.0);
    double before = sqrt(dot(N, r, r));
    for (int step = 0; step < STEPS; step++) {
        double *new = image[step];
        CHECK(rtl_geometric_cycle(&multigrid, r, z) == 0);
        rtl_balance_apply(&multigrid.level[2].balance, z, new);
        for (int old = 0; old < step; old++) {
            double overlap = dot(N, new, image[old]);
            for (size_t i = 0; i < N; i++) {
                new[i] -= overlap *image[old][i];
            }
        }
        double norm = sqrt(dot(N, new, new));
        for (size_t i = 0; i < N; i++) {
            new[i] /= norm;
        }
        double length = dot(N, new, r);
        for (size_t i = 0; i < N; i++) {
            r[i] -= length * new[i];
        }
    }
    CHECK(sqrt(dot(N, r, r)) < 1e-8 * before);
    rtl_geometric_free(&multigrid);
}

static int
make(void *data)
{
    rtl_geometric_t multigrid;
    int status = build(&multigrid, data);

    rtl_geometric_free(&multigrid);
    return status;
}

int
main(void)
{
    static wells_t wells;

    make_wells(&wells);
    test_cycle_contracts(&wells);
    CHECK(check_every_allocation_failure(make, &wells) > 30);
    free_wells(&wells);
    return 0;
}
