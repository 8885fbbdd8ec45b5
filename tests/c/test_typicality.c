/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "test.h"
#include "typicality.h"

enum { N = 6 };

static const double r[N] = {0.5, -1.0, 2.0, 0.0, 1.0, 3.0};
static double residual[N];

static rtl_typicality_t
evaluate(const rtl_typicality_input_t *input)
{
    rtl_typicality_t scores;

    CHECK(rtl_typicality_evaluate(input, NULL, &scores, residual) == 0);
    return scores;
}

static void
test_exact_law(void)
{
    double log_p[N];
    rtl_typicality_input_t input = {.n = N, .log_p = log_p, .rattling = r};

    for (size_t i = 0; i < N; i++) {
        log_p[i] = -4000.0 - 1.5 * r[i];
    }
    for (int k = 0; k < 2; k++) {
        input.by_probability = k == 1;
        rtl_typicality_t scores = evaluate(&input);
        CHECK_CLOSE(scores.gamma, 1.5, 1e-12);
        CHECK_CLOSE(scores.gamma_stderr, 0.0, 1e-12);
        CHECK_CLOSE(scores.gamma_kl, 1.5, 1e-12);
        CHECK_CLOSE(scores.correlation, 1.0, 1e-15);
        CHECK_CLOSE(scores.spearman, 1.0, 1e-15);
        CHECK_CLOSE(scores.kl_explained, 1.0, 1e-15);
        CHECK_CLOSE(scores.total_variation, 0.0, 1e-12);
        CHECK(scores.reliability == 1.0 && scores.n_used == N);
        CHECK(scores.reason == RTL_TYPICALITY_FINE);
        CHECK_CLOSE(residual[3], 0.0, 1e-11);
    }
}

/* y on x = (0, 1, 2, 3), worked by hand */
static void
test_least_squares(void)
{
    const double x[] = {0.0, 1.0, 2.0, 3.0}, y[] = {1.0, 0.0, 2.0, 5.0};
    const double error[] = {0.5, 0.5, 0.5, 0.5}, noisy[] = {9.0, 0.0, 0.0, 0.0};
    rtl_typicality_input_t input = {.n = 4, .log_p = y, .rattling = x};

    rtl_typicality_t scores = evaluate(&input);
    CHECK_CLOSE(scores.gamma, -1.4, 1e-15); /* S_xy = 7, S_xx = 5, S_yy = 14 */
    CHECK_CLOSE(scores.correlation, -7.0 / sqrt(70.0), 1e-15);
    CHECK_CLOSE(scores.gamma_stderr, sqrt((14.0 - 9.8) / 2.0 / 5.0), 1e-15);
    CHECK_CLOSE(scores.spearman, -0.8, 1e-15);
    CHECK_CLOSE(residual[0], 1.0 - 2.0 + 1.4 * 1.5, 1e-15);
    input.error = error;
    scores = evaluate(&input);
    CHECK_CLOSE(scores.reliability, (1.25 - 0.25) / 1.25, 1e-15);
    CHECK_CLOSE(scores.gamma, -1.75, 1e-14);
    input.error = noisy;
    scores = evaluate(&input);
    CHECK(isnan(scores.gamma) && scores.reason == RTL_TYPICALITY_NOISY);
    CHECK(scores.reliability == 0.0 && isnan(residual[0]));
    CHECK_CLOSE(scores.correlation, -7.0 / sqrt(70.0), 1e-15);
}

/* A cell of weight 2 counts like two cells. */
static void
test_weights(void)
{
    const double x[] = {0.0, 1.0, 2.0, 3.0, 2.0}, y[] = {1.0, 0.0, 2.0, 5.0, 2.0};
    const double weights[] = {1e-320, 1e-320, 2e-320, 1e-320};
    rtl_typicality_input_t input = {.n = 5, .log_p = y, .rattling = x};

    rtl_typicality_t twice = evaluate(&input);
    input.n = 4;
    input.weights = weights;
    rtl_typicality_t weighted = evaluate(&input);
    CHECK_CLOSE(weighted.gamma, twice.gamma, 1e-14);
    CHECK_CLOSE(weighted.correlation, twice.correlation, 1e-14);
    CHECK_CLOSE(weighted.spearman, twice.spearman, 1e-14);
}

/* Nearly all weight in one cell: the slope is still that of the pair that counts. */
static void
test_concentrated(void)
{
    const double x[] = {7.0, 7.25, 9.0}, y[] = {0.0, -100.0, -700.0};
    rtl_typicality_input_t input = {
        .n = 3, .log_p = y, .rattling = x, .by_probability = true};

    CHECK_CLOSE(evaluate(&input).gamma, 400.0, 1e-9);
}

static void
test_reasons(void)
{
    const double y[] = {0.0, 1.0, 3.0, NAN}, flat[] = {5.0, 5.0, 5.0 + 1e-14, 5.0};
    const double x[] = {1.0, 2.0, NAN, 3.0}, ends[] = {1.0, 0.0, 1.0, 0.0};
    const double same[] = {1.0, 2.0, 1.0, 0.0};
    rtl_typicality_input_t input = {.n = 4, .log_p = y, .rattling = flat};

    rtl_typicality_t scores = evaluate(&input);
    CHECK(scores.reason == RTL_TYPICALITY_CONSTANT_R && scores.n_used == 3);
    CHECK(isnan(scores.gamma) && isnan(scores.correlation) && isnan(scores.spearman));
    CHECK(isnan(scores.gamma_kl) && scores.kl_explained == 0.0);
    CHECK_CLOSE(residual[2], 3.0 - 4.0 / 3.0, 1e-15);
    CHECK(isnan(residual[3]));

    input = (rtl_typicality_input_t) {.n = 4, .log_p = flat, .rattling = r};
    scores = evaluate(&input);
    CHECK(scores.reason == RTL_TYPICALITY_CONSTANT_P && scores.gamma == 0.0);
    CHECK(isnan(scores.correlation) && isnan(scores.kl_explained) && scores.kl < 1e-30);

    input = (rtl_typicality_input_t) {.n = 4, .log_p = y, .rattling = x};
    scores = evaluate(&input);
    CHECK(scores.n_used == 2 && scores.reason == RTL_TYPICALITY_TWO);
    CHECK_CLOSE(scores.gamma, -1.0, 1e-15);
    CHECK(isnan(scores.gamma_stderr));

    input.n = 1;
    CHECK(evaluate(&input).reason == RTL_TYPICALITY_FEW);
    input.n = 0;
    CHECK(evaluate(&input).reason == RTL_TYPICALITY_FEW);

    input = (rtl_typicality_input_t) {
        .n = 3, .log_p = y, .rattling = same, .weights = ends};
    scores = evaluate(&input);
    CHECK(scores.reason == RTL_TYPICALITY_CONSTANT_UNDER_WEIGHTS);
    CHECK(isnan(scores.gamma) && isnan(scores.spearman) && !isnan(scores.gamma_kl));
    CHECK(strlen(rtl_typicality_reason_text(RTL_TYPICALITY_NOISY)) > 10);
    CHECK(strlen(rtl_typicality_reason_text(RTL_TYPICALITY_FINE)) == 0);
}

static void
test_bad_input(void)
{
    const double good[] = {1.0, 2.0}, zero[] = {0.0, 0.0}, negative[] = {1.0, -1.0};
    const double unknown[] = {1.0, NAN}, infinite[] = {1.0, INFINITY};
    const double wide[] = {-1e150, 1e150};
    const rtl_typicality_input_t bad[] = {
        {.n = 2, .log_p = infinite, .rattling = good},
        {.n = 2, .log_p = good, .rattling = good, .volume = zero},
        {.n = 2, .log_p = good, .rattling = good, .volume = unknown},
        {.n = 2, .log_p = good, .rattling = good, .volume = infinite},
        {.n = 2, .log_p = good, .rattling = good, .weights = zero},
        {.n = 2, .log_p = good, .rattling = good, .weights = negative},
        {.n = 2, .log_p = good, .rattling = good, .weights = unknown},
        {.n = 2, .log_p = good, .rattling = good, .error = negative},
    };
    rtl_typicality_input_t input = {.n = 2, .log_p = wide, .rattling = good};
    rtl_typicality_t scores;

    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        CHECK(rtl_typicality_evaluate(&bad[k], NULL, &scores, residual) ==
              RTL_BAD_ARGUMENT);
    }
    CHECK(rtl_typicality_evaluate(&input, NULL, &scores, residual) == RTL_NOT_FINITE);
    input = (rtl_typicality_input_t) {.n = 2, .log_p = good, .rattling = wide};
    CHECK(rtl_typicality_evaluate(&input, NULL, &scores, residual) == RTL_NOT_FINITE);
}

typedef struct {
    int left, calls;
} countdown_t;

static int
stop_at(void *data, double done)
{
    countdown_t *self = data;

    (void) done;
    self->calls++;
    return self->left-- == 0;
}

static int
evaluate_all(void *data)
{
    const double y[] = {0.0, 1.0, 3.0}, ones[] = {1.0, 1.0, 1.0};
    rtl_typicality_input_t input = {.n = 3,
        .log_p = y,
        .rattling = r,
        .volume = ones,
        .weights = ones,
        .error = ones};
    rtl_typicality_t scores;

    return rtl_typicality_evaluate(&input, data, &scores, residual);
}

/* The first poll of a call reaches the hook: stop there. */
static void
test_interruption(void)
{
    countdown_t countdown = {0, 0};
    rtl_monitor_t monitor = {.poll = stop_at, .data = &countdown};

    CHECK(evaluate_all(&monitor) == RTL_INTERRUPTED);
    CHECK(countdown.calls == 1);
}

int
main(void)
{
    test_exact_law();
    test_least_squares();
    test_weights();
    test_concentrated();
    test_reasons();
    test_bad_input();
    test_interruption();
    CHECK(check_every_allocation_failure(evaluate_all, NULL) == 5 + 2 + 8);
    return 0;
}
