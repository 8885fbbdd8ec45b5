/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "step.h"
#include "test.h"

enum { N = 37 };

static const double ways[2] = {0.3, -0.2};

/* f = (x1 + 0.3, -x0 - 0.2) */
static int
turn(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = x[n + i] + ways[0];
        out[n + i] = -x[i] + ways[1];
    }
    return 0;
}

/* D from data: rows of one number each */
static int
constant(const double *x, double *out, intptr_t n, void *data)
{
    const double *rows = data;

    (void) x;
    for (size_t r = 0; r < (size_t) rows[0]; r++) {
        for (intptr_t i = 0; i < n; i++) {
            out[(intptr_t) r * n + i] = rows[r + 1];
        }
    }
    return 0;
}

/* NaN beyond x0 = 1 */
static int
unknown_beyond(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = out[n + i] = x[i] > 1.0 ? NAN : 0.0;
    }
    return 0;
}

static rtl_model_t
make_model(rtl_diffusion_kind_t kind, double *rows)
{
    rtl_model_t model = {.dim = 2,
        .kind = kind,
        .drift = {turn, NULL, 2, true},
        .diffusion = {constant, rows, (size_t) rows[0], true}};

    return model;
}

static void
start(rtl_step_block_t *block, const rtl_step_t *method)
{
    CHECK(rtl_step_block_init(block, method, 10, N) == 0);
    for (size_t i = 0; i < 2 * N; i++) {
        block->x[i] = 0.02 * (double) i - 0.7;
    }
}

static int
run_one(const rtl_step_t *method, rtl_step_block_t *block, uint64_t step, size_t *path,
    rtl_fault_t *fault)
{
    uint64_t at = step;
    int status = rtl_step_run(method, block, &at, step + 1, path, fault);

    CHECK(at == (status == 0 ? step + 1 : step));
    return status;
}

/* One step against x + f dt + L xi with the two entries of L written out. */
static void
check_step(rtl_model_t model, const double l[3])
{
    rtl_step_t method = {.model = &model, .random = {3}, .dt = 0.01};
    double x[2 * N], xi[2 * N];
    rtl_step_block_t block;
    rtl_fault_t fault = {0};
    size_t path = 0;

    start(&block, &method);
    memcpy(x, block.x, sizeof x);
    rtl_random_normals(&method.random, 10, N, 5, 2, xi);
    CHECK(rtl_model_check(&model) == 0);
    CHECK(run_one(&method, &block, 5, &path, &fault) == 0);
    for (size_t i = 0; i < N; i++) {
        double s = sqrt(2.0 * method.dt);
        double a = x[i] + (x[N + i] + ways[0]) * method.dt + s * l[0] * xi[i];
        double b = x[N + i] + (ways[1] - x[i]) * method.dt +
                   s * (l[1] * xi[i] + l[2] * xi[N + i]);
        CHECK_CLOSE(block.x[i], a, 1e-15);
        CHECK_CLOSE(block.x[N + i], b, 1e-15);
    }
    rtl_step_block_free(&block);
}

static void
test_noise(void)
{
    double scalar[] = {1, 0.49}, diagonal[] = {2, 0.25, 0.0};
    double tensor[] = {4, 4.0, 1.0, 1.0, 2.5}, flat[] = {4, 1.0, -2.0, -2.0, 4.0};
    double corner[] = {4, 0.0, 0.0, 0.0, 9.0}, noise[] = {4, 2.0, 0.0, 1.0, 3.0};

    check_step(make_model(RTL_DIFFUSION_SCALAR, scalar), (double[]) {0.7, 0.0, 0.7});
    check_step(
        make_model(RTL_DIFFUSION_DIAGONAL, diagonal), (double[]) {0.5, 0.0, 0.0});
    check_step(make_model(RTL_DIFFUSION_TENSOR, tensor), (double[]) {2.0, 0.5, 1.5});
    /* semidefinite: noise along one direction only */
    check_step(make_model(RTL_DIFFUSION_TENSOR, flat), (double[]) {1.0, -2.0, 0.0});
    check_step(make_model(RTL_DIFFUSION_TENSOR, corner), (double[]) {0.0, 0.0, 3.0});
    /* D = G G^T / 2 */
    rtl_model_t model = make_model(RTL_DIFFUSION_NOISE, noise);
    model.n_noise = 2;
    double r = sqrt(0.5);
    check_step(model, (double[]) {2.0 * r, 1.0 * r, 3.0 * r});
}

static void
test_fold(void)
{
    const double inf = INFINITY;
    const double lower[] = {-1.0, -1.0, 0.0, -inf, -inf};
    const double upper[] = {2.0, 2.0, inf, 0.5, inf};
    const bool periodic[] = {false, true, false, false, false};
    const rtl_walls_t walls = {lower, upper, periodic, NULL};

    CHECK(rtl_step_walls_check(&walls, 5));
    CHECK(rtl_step_walls_fold(&walls, 0, 0.25) == 0.25);
    CHECK(rtl_step_walls_fold(&walls, 0, 2.0) == 2.0);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 0, 2.5), 1.5, 1e-15);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 0, -1.25), -0.75, 1e-15);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 0, 2.5 + 6.0), 1.5, 1e-14);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 0, -1.25 - 6.0), -0.75, 1e-14);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 0, 2.0 + 3.0 + 0.5), -0.5, 1e-14);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 1, 2.5), -0.5, 1e-15);
    CHECK(rtl_step_walls_fold(&walls, 1, 2.0) == -1.0);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 1, -1.25), 1.75, 1e-15);
    CHECK_CLOSE(rtl_step_walls_fold(&walls, 1, -1.25 - 30.0), 1.75, 1e-13);
    CHECK(rtl_step_walls_fold(&walls, 1, -1.0 - 1e-17) < 2.0); /* never the upper end */
    CHECK(rtl_step_walls_fold(&walls, 2, -7.0) == 7.0 &&
          rtl_step_walls_fold(&walls, 2, 7.0) == 7.0);
    CHECK(rtl_step_walls_fold(&walls, 3, 7.5) == -6.5 &&
          rtl_step_walls_fold(&walls, 3, -9.0) == -9.0);
    CHECK(rtl_step_walls_fold(&walls, 4, 1e300) == 1e300);
    for (double x = -1e18; x < 1e18; x += 1.7e16) {
        for (size_t axis = 0; axis < 2; axis++) {
            double y = rtl_step_walls_fold(&walls, axis, x);
            CHECK(y >= -1.0 && y <= 2.0);
        }
    }
}

static void
test_bad_walls(void)
{
    const bool no[] = {false}, yes[] = {true};
    const double zero[] = {0.0}, one[] = {1.0}, inf[] = {INFINITY}, unknown[] = {NAN};

    CHECK(!rtl_step_walls_check(&(rtl_walls_t) {one, zero, no, NULL}, 1));
    CHECK(!rtl_step_walls_check(&(rtl_walls_t) {one, one, no, NULL}, 1));
    CHECK(!rtl_step_walls_check(&(rtl_walls_t) {zero, unknown, no, NULL}, 1));
    CHECK(!rtl_step_walls_check(&(rtl_walls_t) {zero, inf, yes, NULL}, 1));
    CHECK(!rtl_step_walls_check(&(rtl_walls_t) {inf, inf, no, NULL}, 1));
    CHECK(rtl_step_walls_check(&(rtl_walls_t) {zero, inf, no, NULL}, 1));
    CHECK(rtl_step_walls_check(&(rtl_walls_t) {NULL, NULL, NULL, NULL}, 1));
}

/* A block that cannot go on stays where it was and says which path is at fault. */
static void
test_faults(void)
{
    double one[] = {1, 1.0}, negative[] = {1, -1.0}, bad[] = {4, 1.0, 2.0, 2.0, 1.0};
    rtl_model_t model = make_model(RTL_DIFFUSION_SCALAR, one);
    rtl_step_t method = {.model = &model, .random = {3}, .dt = 0.01};
    rtl_step_block_t block;
    rtl_fault_t fault = {0};
    size_t path = 0;

    start(&block, &method);
    block.x[5] = 1.5;
    block.x[6] = 1.25;
    model.drift.evaluate = unknown_beyond;
    CHECK(run_one(&method, &block, 0, &path, &fault) == RTL_NOT_FINITE);
    CHECK(path == 5 && fault.x[0] == 1.5 && strcmp(fault.what, "drift") == 0);
    CHECK(block.x[5] == 1.5);

    model = make_model(RTL_DIFFUSION_SCALAR, negative);
    CHECK(run_one(&method, &block, 0, &path, &fault) == RTL_NEGATIVE);
    CHECK(path == 0 && strcmp(fault.what, "diffusion") == 0);

    rtl_step_block_free(&block);
    model = make_model(RTL_DIFFUSION_TENSOR, bad);
    start(&block, &method);
    CHECK(run_one(&method, &block, 0, &path, &fault) == RTL_NOT_POSITIVE_DEFINITE);

    rtl_step_block_free(&block);
    model = make_model(RTL_DIFFUSION_SCALAR, one);
    start(&block, &method);
    block.x[N + 7] = 1e308;
    method.dt = 100.0;
    CHECK(run_one(&method, &block, 0, &path, &fault) == RTL_NOT_FINITE);
    CHECK(path == 7 && fault.x[1] == 1e308 && fault.component == 0);
    CHECK(strcmp(fault.what, "path") == 0 && isinf(fault.value));
    CHECK(block.x[N + 7] == 1e308);
    rtl_step_block_free(&block);
}

/* --- schemes ---------------------------------------------------------------------- */

/* One dimension: f = -x, G = 1 + x^2 / 2, G G' = x (1 + x^2 / 2). */
static int
spring(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = -x[i];
    }
    return 0;
}

static double
amplitude(double x)
{
    return 1.0 + 0.5 * x * x;
}

static int
noise_1(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = amplitude(x[i]);
    }
    return 0;
}

static int
second_1(const double *x, double *out, intptr_t n, void *data)
{
    (void) data;
    for (intptr_t i = 0; i < n; i++) {
        out[i] = x[i] * amplitude(x[i]);
    }
    return 0;
}

/* What each scheme's formula gives with one noise. */
static double
expected_1(rtl_scheme_t scheme, double x, double dt, double xi)
{
    double w = sqrt(dt) * xi, g = amplitude(x), euler = x - x * dt + g * w;
    double plus = amplitude(x - x * dt + g * sqrt(dt));
    double minus = amplitude(x - x * dt - g * sqrt(dt));

    switch (scheme) {
    case RTL_HEUN:
        return x - 0.5 * (x + euler) * dt + 0.5 * (g + amplitude(euler)) * w;
    case RTL_MILSTEIN:
        return euler + 0.5 * g * x * (w * w - dt);
    case RTL_PLATEN:
        return x - 0.5 * (x + euler) * dt + 0.25 * (plus + minus + 2.0 * g) * w +
               0.25 * (plus - minus) * (w * w - dt) / sqrt(dt);
    default:
        return euler;
    }
}

static void
test_schemes(void)
{
    const rtl_model_t model = {.dim = 1,
        .kind = RTL_DIFFUSION_NOISE_SCALAR,
        .drift = {spring, NULL, 1, true},
        .diffusion = {noise_1, NULL, 1, true}};
    const rtl_scheme_t schemes[] = {
        RTL_EULER_MARUYAMA, RTL_HEUN, RTL_MILSTEIN, RTL_PLATEN};

    for (size_t s = 0; s < 4; s++) {
        rtl_step_t method = {.model = &model,
            .scheme = schemes[s],
            .second = {second_1, NULL, 1, true},
            .random = {3},
            .dt = 0.04};
        rtl_step_block_t block;
        rtl_fault_t fault = {0};
        double x[N], xi[N];
        size_t path = 0;
        CHECK(rtl_step_check(&method));
        CHECK(rtl_step_block_init(&block, &method, 10, N) == 0);
        for (uint64_t step = 5; step < 9; step++) { /* across pairs of steps */
            for (size_t i = 0; i < N; i++) {
                x[i] = block.x[i] = 0.02 * (double) i - 0.3;
            }
            rtl_random_normals(&method.random, 10, N, step, 1, xi);
            CHECK(run_one(&method, &block, step, &path, &fault) == 0);
            for (size_t i = 0; i < N; i++) {
                CHECK_CLOSE(block.x[i],
                    expected_1(method.scheme, x[i], method.dt, xi[i]), 1e-15);
            }
        }
        rtl_step_block_free(&block);
        method.second.n_out = 2;
        CHECK(rtl_step_check(&method) == (method.scheme != RTL_MILSTEIN));
    }
}

/* --- walls ------------------------------------------------------------------------ */

/* Along D n: x over the wall x0 = 0 by 0.1 comes back by 0.2 and moves along the wall
 * by 0.2 D_10 / D_00. */
static void
test_reflection(void)
{
    const double lower[] = {0.0, -INFINITY}, upper[] = {1.0, INFINITY};
    const bool periodic[] = {false, false};
    const rtl_walls_t walls = {lower, upper, periodic, NULL};
    const double g[] = {2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0};
    double x[] = {-0.1, 0.25, 1.5, 7.0, 7.0, 7.0};

    rtl_step_walls_reflect(&walls, 2, 2, 3, g, x);
    CHECK_CLOSE(x[0], 0.1, 1e-15);
    CHECK_CLOSE(x[3], 7.1, 1e-15); /* D_10 / D_00 = 2 / 4 */
    CHECK(x[1] == 0.25 && x[4] == 7.0);
    CHECK_CLOSE(x[2], 0.5, 1e-15);
    CHECK_CLOSE(x[5], 6.5, 1e-15);
    /* very far out: folded in the end, inside anyway */
    x[0] = -1e6 - 0.3;
    rtl_step_walls_reflect(&walls, 2, 2, 3, g, x);
    CHECK(x[0] >= 0.0 && x[0] <= 1.0);
}

/* In a corner one wall may send a point beyond the other: x1 moves with x0 by -0.3
 * where x0 = 0 reflects, and x0 with x1 by -0.3 / 1.09. */
static void
test_corner(void)
{
    const double lower[] = {0.0, 0.0}, upper[] = {1.0, 1.0};
    const bool periodic[] = {false, false};
    const rtl_walls_t walls = {lower, upper, periodic, NULL};
    const double g[] = {1.0, 0.0, -0.3, 1.0};
    double x[] = {-0.02, -0.1}, beyond = 0.1 + 0.3 * 0.04;

    rtl_step_walls_reflect(&walls, 2, 2, 1, g, x);
    double again = 2.0 * beyond * 0.3 / 1.09 - 0.02; /* beyond x0 = 0 once more */
    CHECK_CLOSE(x[0], again, 1e-15);
    CHECK_CLOSE(x[1], beyond - 2.0 * again * 0.3, 1e-15);
}

/* Without noise paths go straight: times and places of absorption are exact. */
static void
test_absorption(void)
{
    double rows[] = {1, 0.0};
    const double lower[] = {-INFINITY, -0.9}, upper[] = {0.1, 2.0};
    const bool periodic[] = {false, false}, absorbing[] = {false, true, true, false};
    rtl_model_t model = make_model(RTL_DIFFUSION_SCALAR, rows);
    rtl_step_t method = {.model = &model,
        .walls = {lower, upper, periodic, absorbing},
        .random = {3},
        .dt = 0.5};
    rtl_step_block_t block;
    rtl_fault_t fault = {0};
    double exit_time[N];
    size_t path = 0;

    CHECK(rtl_step_check(&method) && rtl_step_walls_absorb(&method.walls, 2));
    start(&block, &method);
    block.exit_time = exit_time;
    for (size_t i = 0; i < N; i++) {
        exit_time[i] = NAN;
        block.x[i] = 0.0;
        block.x[N + i] = 0.02 * (double) i - 0.705;
    }
    CHECK(run_one(&method, &block, 4, &path, &fault) == 0);
    for (size_t i = 0; i < N; i++) {
        double y = 0.02 * (double) i - 0.705, speed = y + 0.3;
        if (speed * method.dt > 0.1) {
            double share = 0.1 / (speed * method.dt);
            CHECK(block.x[i] == 0.1);
            CHECK_CLOSE(exit_time[i], (4.0 + share) * method.dt, 1e-14);
            CHECK_CLOSE(block.x[N + i], y - 0.2 * share * method.dt, 1e-14);
        } else {
            CHECK(isnan(exit_time[i]));
            CHECK_CLOSE(block.x[i], speed * method.dt, 1e-15);
        }
    }
    double ended = exit_time[N - 1], place = block.x[2 * N - 1];
    CHECK(run_one(&method, &block, 5, &path, &fault) == 0);
    CHECK(exit_time[N - 1] == ended && block.x[2 * N - 1] == place);
    rtl_step_block_free(&block);
}

/* A bridge that begins and ends at distance a meets the wall with probability
 * exp(-a^2 / (D dt)): within 4.5 sigma of 40 000 paths that noise does not move away.
 */
static void
test_bridge(void)
{
    enum { MANY = 40000 };
    const double lower[] = {0.0}, upper[] = {INFINITY};
    const bool periodic[] = {false}, absorbing[] = {true, false};
    double rows[] = {1, 0.5};
    rtl_model_t model = {.dim = 1,
        .kind = RTL_DIFFUSION_SCALAR,
        .drift = {constant, (double[]) {1, 0.0}, 1, true},
        .diffusion = {constant, rows, 1, true}};
    rtl_step_t method = {.model = &model,
        .walls = {lower, upper, periodic, absorbing},
        .random = {3},
        .dt = 1.0};
    static double exit_time[MANY];
    rtl_step_block_t block;
    rtl_fault_t fault = {0};
    size_t path = 0, met = 0;

    CHECK(rtl_step_block_init(&block, &method, 0, MANY) == 0);
    block.exit_time = exit_time;
    for (size_t i = 0; i < MANY; i++) {
        exit_time[i] = NAN;
        block.x[i] = 0.8;
    }
    CHECK(run_one(&method, &block, 0, &path, &fault) == 0);
    for (size_t i = 0; i < MANY; i++) {
        met += isnan(exit_time[i]) ? 0 : 1;
        CHECK(isnan(exit_time[i]) || (block.x[i] == 0.0 && exit_time[i] <= 1.0));
    }
    double expected = erfc(0.8 / sqrt(2.0)); /* of Brownian motion in unit time */
    CHECK_CLOSE((double) met / MANY, expected, 4.5 * sqrt(expected / MANY));
    rtl_step_block_free(&block);
}

static int
make_and_free(void *data)
{
    const rtl_model_t model = {.dim = 3, .kind = RTL_DIFFUSION_NOISE, .n_noise = 4};
    const rtl_step_t method = {.model = &model, .scheme = RTL_PLATEN};
    rtl_step_block_t block;
    int status = rtl_step_block_init(&block, &method, 0, 100);

    (void) data;
    rtl_step_block_free(&block);
    return status;
}

int
main(void)
{
    test_noise();
    test_fold();
    test_bad_walls();
    test_faults();
    test_schemes();
    test_reflection();
    test_corner();
    test_absorption();
    test_bridge();
    CHECK(check_every_allocation_failure(make_and_free, NULL) == 5);
    return 0;
}
