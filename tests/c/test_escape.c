/* SPDX-License-Identifier: MIT */
#include "escape.h"

#include <string.h>

#include "direct.h"
#include "models.h"

static void
kill_chain(rtl_generator_t *chain, const double *rates)
{
    double *killing = rtl_memory_alloc(chain->n, sizeof *killing);

    CHECK(killing != NULL);
    memcpy(killing, rates, chain->n * sizeof *killing);
    rtl_generator_kill(chain, killing);
}

/* Rates a: 0 -> 1, b: 1 -> 0, k: 1 -> outside. kappa is the smaller root of
 * x^2 - (a + b + k) x + a k = 0. */
static void
test_two_states(void)
{
    for (double k = 2.0; k > 1e-300; k *= 1e-30) {
        rtl_generator_t chain;
        rtl_steady_options_t options = rtl_steady_defaults();
        rtl_steady_info_t info;
        int64_t source[] = {0, 1}, target[] = {1, 0};
        double a = 3.0, b = 0.5, rate[] = {a, b}, killing[] = {0.0, k}, y[2], kappa;
        size_t bad;

        CHECK(rtl_generator_from_rates(
                  &chain, 2, 2, source, target, rate, &bad, NULL) == 0);
        kill_chain(&chain, killing);
        double sum = a + b + k;
        double exact = 2.0 * a * k / (sum + sqrt(sum * sum - 4.0 * a * k));
        for (int method = RTL_STEADY_AUTO; method <= RTL_STEADY_CLOSED_FORM; method++) {
            options.method = (rtl_steady_method_t) method;
            CHECK(rtl_escape_solve(&chain, &options, false, y, &kappa, &info) == 0);
            CHECK_CLOSE(kappa / exact, 1.0, 1e-9);
            CHECK_CLOSE(exp(y[0]) + exp(y[1]), 1.0, 1e-13);
            /* a p_0 = (b + k - kappa) p_1 */
            CHECK_CLOSE(exp(y[0] - y[1]), (b + k - exact) / a, 1e-8);
        }
        rtl_generator_free(&chain);
    }
}

/* Killing at the same rate everywhere leaves the steady state as it is. */
static void
test_uniform_killing(void)
{
    enum { N = 300 };
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    double steady[N], y[N], killing[N], kappa;

    make_random_chain(&chain, N, 4, 8);
    CHECK(rtl_escape_solve(&chain, &options, false, steady, &kappa, &info) == 0);
    CHECK(kappa == 0.0);
    for (int i = 0; i < N; i++) {
        killing[i] = 0.25;
    }
    kill_chain(&chain, killing);
    options.method = RTL_STEADY_DIRECT;
    for (int pass = 0; pass < 2; pass++) {
        CHECK(rtl_escape_solve(&chain, &options, pass == 1, y, &kappa, &info) == 0);
        CHECK_CLOSE(kappa, 0.25, 1e-9);
        CHECK(info.residual <= 1e-10);
        for (int i = 0; i < N; i++) {
            CHECK_CLOSE(y[i], steady[i], 1e-8);
        }
        options.method = RTL_STEADY_KRYLOV;
    }
    rtl_generator_free(&chain);
}

/* The walk on n sites left at both ends, rate 1: kappa = 2 - 2 cos(pi / (n + 1)), and
 * the next mode is four times as fast, so that plain inverse iteration needs 18 steps
 * for 1e-9 in p and extrapolation fewer. */
static void
test_walk(void)
{
    enum { N = 60 };
    rtl_generator_t chain;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    double up[N], killing[N] = {0.0}, y[N], kappa;

    for (int i = 0; i < N; i++) {
        up[i] = i + 1 < N ? 1.0 : 0.0;
    }
    make_ring(&chain, N, up, up);
    killing[0] = killing[N - 1] = 1.0;
    kill_chain(&chain, killing);
    CHECK(rtl_escape_solve(&chain, &options, false, y, &kappa, &info) == 0);
    CHECK(info.method == RTL_STEADY_CLOSED_FORM && info.warm_steps < 14);
    double angle = acos(-1.0) / (N + 1);
    CHECK_CLOSE(kappa / (2.0 - 2.0 * cos(angle)), 1.0, 1e-12);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(exp(y[i] - y[N / 2]),
            sin((i + 1) * angle) / sin((N / 2 + 1) * angle), 1e-8);
    }
    rtl_generator_free(&chain);
}

static void
test_failures(void)
{
    enum { N = 30 };
    rtl_generator_t chain;
    rtl_monitor_t monitor = {.poll = stop_at_once};
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;
    double y[N], killing[N] = {1.0}, kappa;

    make_random_chain(&chain, N, 3, 2);
    kill_chain(&chain, killing);
    options.method = RTL_STEADY_CLOSED_FORM;
    CHECK(rtl_escape_solve(&chain, &options, false, y, &kappa, &info) ==
          RTL_BAD_ARGUMENT);
    options.method = RTL_STEADY_AUTO;
    options.team.monitor = &monitor;
    CHECK(
        rtl_escape_solve(&chain, &options, false, y, &kappa, &info) == RTL_INTERRUPTED);
    rtl_generator_free(&chain);
}

enum { WALK = 9 };

typedef struct {
    rtl_generator_t chain;
    double y[WALK * WALK], kappa;
} walk_t;

static int
escape(void *data, rtl_monitor_t *monitor)
{
    walk_t *walk = data;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;

    options.method = RTL_STEADY_KRYLOV;
    options.rtol = 1e-3;
    options.team.monitor = monitor;
    return rtl_escape_solve(
        &walk->chain, &options, false, walk->y, &walk->kappa, &info);
}

/* The walk on a square left on all sides, interrupted wherever it asks, and then not:
 * p ~ sin sin, kappa twice that of a line. */
static void
test_interruption(void)
{
    walk_t walk;
    int64_t source[4 * WALK * WALK], target[4 * WALK * WALK];
    double rate[4 * WALK * WALK], killing[WALK * WALK] = {0.0};
    size_t n = 0, bad;

    for (int i = 0; i < WALK * WALK; i++) {
        const int step[] = {1, -1, WALK, -WALK};
        for (int k = 0; k < 4; k++) {
            int along = k < 2 ? i % WALK : i / WALK;
            if (along == (k % 2 == 0 ? WALK - 1 : 0)) {
                killing[i] += 1.0;
            } else {
                source[n] = i;
                target[n] = i + step[k];
                rate[n++] = 1.0;
            }
        }
    }
    CHECK(rtl_generator_from_rates(
              &walk.chain, WALK * WALK, n, source, target, rate, &bad, NULL) == 0);
    kill_chain(&walk.chain, killing);
    CHECK(check_every_interruption(escape, &walk) > 100);
    double angle = acos(-1.0) / (WALK + 1);
    CHECK_CLOSE(walk.kappa / (4.0 - 4.0 * cos(angle)), 1.0, 1e-3);
    for (int i = 0; i < WALK * WALK; i++) {
        double p = sin((i % WALK + 1) * angle) * sin((i / WALK + 1) * angle);
        CHECK_CLOSE(exp(walk.y[i] - walk.y[0]) * pow(sin(angle), 2.0) / p, 1.0, 1e-2);
    }
    rtl_generator_free(&walk.chain);
}

static int
solve(void *data)
{
    double y[40], kappa;
    rtl_steady_options_t options = rtl_steady_defaults();
    rtl_steady_info_t info;

    return rtl_escape_solve(data, &options, false, y, &kappa, &info);
}

int
main(void)
{
    rtl_generator_t chain;
    double killing[40] = {0.5};

    test_two_states();
    test_uniform_killing();
    test_walk();
    test_failures();
    test_interruption();
    make_random_chain(&chain, 40, 3, 4);
    kill_chain(&chain, killing);
    CHECK(check_every_allocation_failure(solve, &chain) == 6);
    rtl_generator_free(&chain);
    return 0;
}
