/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "models.h"
#include "simulate.h"

enum { DIM = 2, PATHS = 700, STEPS = 40 };

static int
still(const double *x, double *out, intptr_t n, void *data)
{
    (void) x;
    (void) data;
    memset(out, 0, (size_t) n * sizeof *out);
    return 0;
}

/* a drift of 10 and, above x0 = 2, NaN */
static int
cliff(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = x[i] > 2.0 ? NAN : 10.0;
        out[n + i] = 0.0;
    }
    return 0;
}

static int
refuse(const double *x, double *out, intptr_t n, void *data)
{
    (void) x;
    (void) out;
    (void) n;
    (void) data;
    return 17;
}

static size_t dim = DIM;
static const rtl_model_t ou = {
    .dim = DIM,
    .kind = RTL_DIFFUSION_SCALAR,
    .drift = {ou_drift, &dim, DIM, true},
    .diffusion = {hot_stripe, NULL, 1, true},
};

static const double box_lower[] = {-1.5, -1.0}, box_upper[] = {1.5, 1.0};
static const bool box_periodic[] = {false, true};
static const rtl_walls_t box = {box_lower, box_upper, box_periodic, NULL};
static const rtl_walls_t no_walls = {NULL, NULL, NULL, NULL};

static int
init(rtl_simulate_t *self, const rtl_model_t *model, const rtl_walls_t *walls,
    uint64_t key, double dt, size_t n_paths, const double *x0)
{
    const rtl_step_t method = {
        .model = model, .walls = *walls, .random = {key}, .dt = dt};

    return rtl_simulate_init(self, &method, n_paths, x0, 0);
}

static double starts[PATHS * DIM];

/* The whole run in pieces of the given length. */
static void
run_in_pieces(const rtl_model_t *model, uint64_t piece, size_t n_threads, uint64_t thin,
    double *record, double *last)
{
    rtl_simulate_t simulation;
    uint64_t left = STEPS;

    CHECK(init(&simulation, model, &box, 8, 0.02, PATHS, starts) == 0);
    rtl_simulate_record(&simulation, thin, STEPS / thin + 1, record);
    while (left > 0) {
        uint64_t n = left < piece ? left : piece;
        CHECK(rtl_simulate_run(&simulation, n, n_threads, NULL) == 0);
        left -= n;
    }
    CHECK(simulation.step == STEPS);
    rtl_simulate_state(&simulation, last);
    rtl_simulate_free(&simulation);
}

static void
test_same_bits(void)
{
    static double whole[PATHS * (STEPS + 1) * DIM], other[PATHS * (STEPS + 1) * DIM];
    static double last[PATHS * DIM];
    const uint64_t pieces[] = {1, 3, STEPS};

    run_in_pieces(&ou, STEPS, 1, 1, whole, last);
    for (size_t i = 0; i < PATHS; i++) {
        const double *path = whole + i * (STEPS + 1) * DIM;
        CHECK(memcmp(path, starts + i * DIM, DIM * sizeof(double)) == 0);
        CHECK(memcmp(path + STEPS * DIM, last + i * DIM, DIM * sizeof(double)) == 0);
    }
    for (size_t p = 0; p < 3; p++) {
        for (size_t threads = 1; threads <= 3; threads++) {
            memset(other, 0, sizeof other);
            run_in_pieces(&ou, pieces[p], threads, 1, other, last);
            CHECK(memcmp(whole, other, sizeof whole) == 0);
        }
    }
    /* as a user's function in Python runs: other blocks, one thread */
    rtl_model_t serial = ou;
    serial.drift.thread_safe = false;
    memset(other, 0, sizeof other);
    run_in_pieces(&serial, STEPS, 2, 1, other, last);
    CHECK(memcmp(whole, other, sizeof whole) == 0);
    /* each seventh state */
    run_in_pieces(&ou, 5, 2, 7, other, last);
    for (size_t i = 0; i < PATHS; i++) {
        for (size_t t = 0; t < STEPS / 7 + 1; t++) {
            const double *a = whole + (i * (STEPS + 1) + 7 * t) * DIM;
            const double *b = other + (i * (STEPS / 7 + 1) + t) * DIM;
            CHECK(memcmp(a, b, DIM * sizeof *a) == 0);
        }
    }
}

/* Every step is the one of step.h. */
static void
test_steps(void)
{
    static double whole[PATHS * (STEPS + 1) * DIM], last[PATHS * DIM];
    rtl_step_t method = {.model = &ou, .walls = box, .random = {8}, .dt = 0.02};
    rtl_step_block_t block;
    rtl_fault_t fault;
    size_t at = 0;

    run_in_pieces(&ou, STEPS, 1, 1, whole, last);
    CHECK(rtl_step_block_init(&block, &method, 600, 100) == 0);
    for (uint64_t t = 0; t < STEPS;) {
        for (size_t i = 0; i < 100 * DIM; i++) {
            size_t place = ((600 + i / DIM) * (STEPS + 1) + t) * DIM + i % DIM;
            block.x[i % DIM * 100 + i / DIM] = whole[place];
        }
        CHECK(rtl_step_run(&method, &block, &t, t + 1, &at, &fault) == 0);
        for (size_t i = 0; i < 100 * DIM; i++) {
            size_t place = ((600 + i / DIM) * (STEPS + 1) + t) * DIM + i % DIM;
            CHECK(block.x[i % DIM * 100 + i / DIM] == whole[place]);
        }
    }
    rtl_step_block_free(&block);
}

static void
test_bad_start(void)
{
    rtl_simulate_t simulation;
    double x0[] = {0.0, 0.0, 1.5, 7.25, 1.6, 0.0};

    CHECK(init(&simulation, &ou, &box, 1, 0.1, 3, x0) == RTL_OUTSIDE);
    CHECK(simulation.failure.path == 2 && simulation.failure.fault.value == 1.6);
    CHECK(init(&simulation, &ou, &box, 1, 0.1, 2, x0) == 0);
    rtl_simulate_state(&simulation, x0);
    CHECK(x0[3] == -0.75); /* a periodic axis has no outside */
    rtl_simulate_free(&simulation);
    x0[1] = NAN;
    CHECK(init(&simulation, &ou, &no_walls, 1, 0.1, 3, x0) == RTL_NOT_FINITE);
    CHECK(simulation.failure.path == 0 && simulation.failure.fault.component == 1);
    x0[1] = 0.0;
    CHECK(init(&simulation, &ou, &box, 1, 0.0, 2, x0) == RTL_BAD_ARGUMENT);
    CHECK(init(&simulation, &ou, &box, 1, NAN, 2, x0) == RTL_BAD_ARGUMENT);
    CHECK(init(&simulation, &ou, &box, 1, 0.1, 0, x0) == RTL_BAD_ARGUMENT);
    CHECK(init(&simulation, &ou, &box, 1, 0.1, SIZE_MAX / 8, x0) == RTL_TOO_LARGE);
    rtl_model_t none = {.dim = 2};
    CHECK(init(&simulation, &none, &box, 1, 0.1, 2, x0) == RTL_BAD_ARGUMENT);
}

/* The earliest failure is named, for any number of threads: path 513 is the first over
 * the cliff, then 100. */
static void
test_failure(void)
{
    static double x0[PATHS * DIM];
    const rtl_model_t model = {
        .dim = DIM,
        .kind = RTL_DIFFUSION_SCALAR,
        .drift = {cliff, NULL, DIM, true},
        .diffusion = {still, NULL, 1, true},
    };
    rtl_simulate_t simulation;
    const rtl_simulate_failure_t *failure = &simulation.failure;

    x0[513 * DIM] = 1.9375;
    x0[100 * DIM] = 1.875;
    for (size_t threads = 1; threads <= 3; threads++) {
        CHECK(init(&simulation, &model, &no_walls, 1, 0x1p-8, PATHS, x0) == 0);
        CHECK(rtl_simulate_run(&simulation, 1000, threads, NULL) == RTL_NOT_FINITE);
        CHECK(failure->path == 513 && failure->step == 2);
        CHECK(failure->fault.x[0] == 1.9375 + 20.0 / 256.0);
        CHECK(strcmp(failure->fault.what, "drift") == 0);
        rtl_simulate_free(&simulation);
    }
}

static void
test_callback(void)
{
    rtl_model_t model = ou;
    rtl_simulate_t simulation;

    model.drift.evaluate = refuse;
    CHECK(init(&simulation, &model, &box, 1, 0.1, PATHS, starts) == 0);
    CHECK(rtl_simulate_run(&simulation, 3, 2, NULL) == RTL_CALLBACK);
    CHECK(simulation.failure.fault.value == 17.0);
    rtl_simulate_free(&simulation);
    CHECK(init(&simulation, &ou, &box, 1, 0.1, 1, starts) == 0);
    CHECK(rtl_simulate_run(&simulation, RTL_RANDOM_MAX_STEPS + 1, 2, NULL) ==
          RTL_TOO_LARGE);
    rtl_simulate_free(&simulation);
}

typedef struct {
    int calls;
    double last;
} seen_t;

static int
watch(void *data, double done)
{
    seen_t *seen = data;

    CHECK(done >= seen->last && done <= 1.0);
    seen->last = done;
    seen->calls++;
    return seen->calls == 4;
}

static void
test_interrupt(void)
{
    rtl_simulate_t simulation;
    seen_t seen = {0};
    rtl_monitor_t monitor = {.poll = watch, .data = &seen};

    CHECK(init(&simulation, &ou, &box, 1, 1e-3, PATHS, starts) == 0);
    double start = rtl_monitor_clock();
    CHECK(rtl_simulate_run(&simulation, RTL_RANDOM_MAX_STEPS, 2, &monitor) ==
          RTL_INTERRUPTED);
    CHECK(seen.calls == 4 && rtl_monitor_clock() - start < 60.0); /* days otherwise */
    rtl_simulate_free(&simulation);
}

static int
run_short(void *data)
{
    rtl_simulate_t simulation;
    int status = init(&simulation, &ou, &box, 1, 1e-3, 300, starts);

    (void) data;
    if (status == 0) {
        status = rtl_simulate_run(&simulation, 2, 1, NULL);
    }
    rtl_simulate_free(&simulation);
    return status;
}

/* A hook that stops at its third question. */
static int
stop(void *data, double done)
{
    int *asked = data;

    (void) done;
    return ++*asked == 3;
}

/* After an interruption some blocks are ahead; settled, all stand where a run without
 * it would have come to. A state that is put back goes on in the same way. */
static void
test_interruption(void)
{
    static double last[PATHS * DIM], other[PATHS * DIM];
    rtl_simulate_t simulation, whole;

    CHECK(init(&simulation, &ou, &box, 8, 0.02, PATHS, starts) == 0);
    for (int k = 0; k < 4; k++) {
        int asked = 0;
        rtl_monitor_t monitor = {.poll = stop, .data = &asked};
        CHECK(
            rtl_simulate_run(&simulation, 1000000000, 2, &monitor) == RTL_INTERRUPTED);
        CHECK(rtl_simulate_settle(&simulation, 2) == 0);
        CHECK(simulation.step > 0 && simulation.step == simulation.target);
    }
    CHECK(init(&whole, &ou, &box, 8, 0.02, PATHS, starts) == 0);
    CHECK(rtl_simulate_run(&whole, simulation.step, 1, NULL) == 0);
    rtl_simulate_state(&simulation, last);
    rtl_simulate_state(&whole, other);
    CHECK(memcmp(last, other, sizeof last) == 0);
    rtl_simulate_free(&whole);
    CHECK(init(&whole, &ou, &box, 8, 0.02, PATHS, starts) == 0);
    whole.slice = 64; /* as after cheap steps */
    rtl_simulate_restore(&whole, simulation.step, last);
    CHECK(whole.slice == 1); /* steps may cost more from here on */
    CHECK(rtl_simulate_run(&whole, 7, 1, NULL) == 0);
    CHECK(rtl_simulate_run(&simulation, 7, 1, NULL) == 0);
    rtl_simulate_state(&simulation, last);
    rtl_simulate_state(&whole, other);
    CHECK(memcmp(last, other, sizeof last) == 0);
    rtl_simulate_free(&whole);
    rtl_simulate_free(&simulation);
}

int
main(void)
{
    test_interruption();
    for (size_t i = 0; i < PATHS * DIM; i++) {
        starts[i] = 0.9 * sin((double) i);
    }
    test_same_bits();
    test_steps();
    test_bad_start();
    test_failure();
    test_callback();
    test_interrupt();
    CHECK(check_every_allocation_failure(run_short, NULL) > 2);
    return 0;
}
