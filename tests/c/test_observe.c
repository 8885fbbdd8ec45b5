/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "models.h"
#include "observe.h"

enum { DIM = 2, PATHS = 600, STEPS = 30 };

static size_t dim = DIM;
static const rtl_model_t model = {
    .dim = DIM,
    .kind = RTL_DIFFUSION_SCALAR,
    .drift = {ou_drift, &dim, DIM, true},
    .diffusion = {hot_stripe, NULL, 1, true},
};
static const rtl_step_t method = {.model = &model, .random = {8}, .dt = 0.02};
static const double period[DIM] = {0.0, 0.0};
static double starts[PATHS * DIM];

static int
observed_grid(rtl_grid_t *grid)
{
    const double lower[] = {-0.5, -0.4}, upper[] = {0.5, 0.4};
    double edges[2][5];
    const double *all[] = {edges[0], edges[1]};
    const size_t shape[] = {4, 4};
    const rtl_boundary_t sides[] = {RTL_REFLECTING, RTL_REFLECTING};

    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 5; i++) {
            edges[k][i] = lower[k] + (upper[k] - lower[k]) * (double) i / 4.0;
        }
    }
    return rtl_grid_init(grid, 2, shape, all, sides, sides);
}

static rtl_observe_t
observer(const rtl_grid_t *grid, size_t n_lags, uint64_t every)
{
    rtl_observe_t self = {.grid = grid, .every = every};

    self.increments.dt = 0.02 * (double) every;
    self.increments.period = period;
    self.increments.n_lags = n_lags;
    self.increments.lags[0] = 1;
    self.increments.lags[1] = 3;
    return self;
}

/* Visits and numbers of increments against the kept paths. */
static void
test_counts(void)
{
    static double record[PATHS * (STEPS + 1) * DIM];
    double expected[16] = {0}, increments[16] = {0}, visits[17], total = 0.0;
    rtl_simulate_t simulation;
    rtl_grid_t grid;

    CHECK(observed_grid(&grid) == 0);
    rtl_observe_t observe = observer(&grid, 2, 1);
    CHECK(rtl_observe_good(&observe));
    CHECK(rtl_simulate_init(
              &simulation, &method, PATHS, starts, rtl_observe_blocks(&observe)) == 0);
    CHECK(rtl_observe_init(&observe, &simulation) == 0);
    rtl_simulate_record(&simulation, 1, STEPS + 1, record);
    CHECK(rtl_simulate_run(&simulation, STEPS, 2, NULL) == 0);
    double *sums = rtl_memory_alloc(16 * observe.size, sizeof *sums);
    CHECK(sums != NULL);
    rtl_observe_total(&observe, visits, sums);
    CHECK(rtl_bins_count(&grid, record, PATHS * (STEPS + 1), expected, NULL) == 0);
    for (size_t p = 0; p < PATHS; p++) {
        CHECK(rtl_bins_count(&grid, record + p * (STEPS + 1) * DIM, STEPS + 1 - 3,
                  increments, NULL) == 0);
    }
    for (size_t c = 0; c < 16; c++) {
        CHECK(visits[c] == expected[c]);
        CHECK(sums[c * observe.size + RTL_CELLS_COUNT] == increments[c]);
        total += visits[c];
    }
    CHECK(total + visits[16] == PATHS * (STEPS + 1));
    rtl_memory_free(sums);
    rtl_observe_free(&observe);
    rtl_simulate_free(&simulation);
    rtl_grid_free(&grid);
}

/* Few blocks where the sums are large. */
static void
test_blocks(void)
{
    rtl_grid_t grid = {.dim = 2, .n_cells = 100};
    rtl_observe_t observe = observer(&grid, 2, 1);

    CHECK(rtl_observe_blocks(&observe) == 64);
    grid.n_cells = 200000;
    size_t some = rtl_observe_blocks(&observe);
    CHECK(some > 1 && some < 64);
    grid.n_cells = 1000000000;
    CHECK(rtl_observe_blocks(&observe) == 1);
    observe.increments.lags[1] = 1;
    CHECK(!rtl_observe_good(&observe));
    observe = observer(&grid, 0, 0);
    CHECK(!rtl_observe_good(&observe));
}

static int
watch(void *data)
{
    const rtl_grid_t *grid = data;
    rtl_simulate_t simulation;
    rtl_observe_t observe = observer(grid, 2, 2);
    int status = rtl_simulate_init(&simulation, &method, 20, starts, 3);

    if (status == 0) {
        status = rtl_observe_init(&observe, &simulation);
    }
    if (status == 0) {
        status = rtl_simulate_run(&simulation, 3, 1, NULL);
    }
    rtl_observe_free(&observe);
    rtl_simulate_free(&simulation);
    return status;
}

int
main(void)
{
    rtl_grid_t grid;

    test_counts();
    test_blocks();
    CHECK(observed_grid(&grid) == 0);
    CHECK(check_every_allocation_failure(watch, &grid) >= 7);
    rtl_grid_free(&grid);
    return 0;
}
