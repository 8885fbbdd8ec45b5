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
        CHECK(rtl_finite_volume_assemble(
                  &self->chain[l], &model, &self->grid[l], &peclet, NULL, NULL) == 0);
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
    int status = rtl_geometric_init(multigrid, &wells->chain[0], wells->y[0]);

    for (int l = 1; l < 3 && status == 0; l++) {
        status = rtl_geometric_push(
            multigrid, &wells->chain[l], &wells->grid[l - 1], &wells->grid[l]);
        if (status == 0) {
            rtl_geometric_update(multigrid, wells->y[l]);
        }
    }
    return status;
}

/* Ten cycles by themselves, b in the range of A, take the residual down by 1000. */
static void
test_cycle_contracts(const wells_t *wells)
{
    rtl_geometric_t multigrid;
    static double b[1024], x[1024], r[1024], z[1024];
    size_t n = 1024;
    double norm = 0.0;

    CHECK(build(&multigrid, wells) == 0);
    CHECK(multigrid.n_levels == 3 && rtl_geometric_bytes(&multigrid) > 8 * n);
    double first = rtl_balance_residual(&wells->chain[2], multigrid.level[2].value, b);
    memset(x, 0, sizeof x);
    for (size_t i = 0; i < n; i++) {
        r[i] = b[i];
    }
    for (int step = 0; step < 10; step++) {
        rtl_geometric_cycle(&multigrid, r, z);
        for (size_t i = 0; i < n; i++) {
            x[i] += z[i];
        }
        rtl_geometric_apply(&multigrid, x, r);
        norm = 0.0;
        for (size_t i = 0; i < n; i++) {
            r[i] = b[i] - r[i];
            norm = fmax(norm, fabs(r[i]));
        }
    }
    CHECK(norm < 1e-3 * first);
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
