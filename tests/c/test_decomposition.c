/* SPDX-License-Identifier: MIT */
#include "decomposition.h"
#include "test.h"

enum { N = 5 };

static const double clock_rate[N] = {1.0, 3.0, 2.0, 5.0, 0.5};
static const double p[N] = {0.3, 0.1, 0.2, 0.15, 0.25};

static rtl_decomposition_t
evaluate(const rtl_decomposition_input_t *input, double *jump)
{
    rtl_decomposition_t out;

    CHECK(rtl_decomposition_evaluate(input, NULL, &out, jump) == 0);
    return out;
}

static void
test_identity(void)
{
    double y[N], c[N], jump[N], sum = 0.0, volume[N] = {1.0, 2.0, 1.0, 0.5, 1.0};
    rtl_decomposition_input_t input = {
        .n = N, .log_p = y, .log_clock = c, .volume = volume};

    for (size_t i = 0; i < N; i++) {
        y[i] = log(p[i]) - 600.0;
        c[i] = log(clock_rate[i]);
    }
    rtl_decomposition_t d = evaluate(&input, jump);
    CHECK(d.n_used == N && d.reason == RTL_DECOMPOSITION_FINE);
    CHECK(d.mismatch < 1e-13);
    CHECK_CLOSE(d.gamma, 1.0 + d.r * d.rho_hat, 1e-13);
    for (size_t i = 0; i < N; i++) {
        sum += volume[i] * exp(jump[i]);
        CHECK_CLOSE(exp(jump[i] - jump[0]), p[i] * clock_rate[i] / p[0], 1e-12);
    }
    CHECK_CLOSE(sum, 1.0, 1e-14);
}

/* log lambda = (0, 1, 2), log p = (0, 0, -1): worked by hand */
static void
test_by_hand(void)
{
    const double y[] = {0.0, 0.0, -1.0, -INFINITY}, c[] = {0.0, 1.0, 2.0, 3.0};
    double jump[4], weights[] = {2.0, 2.0, 2.0, 1.0};
    rtl_decomposition_input_t input = {
        .n = 4, .log_p = y, .log_clock = c, .weights = weights};

    rtl_decomposition_t d = evaluate(&input, jump);
    CHECK(d.n_used == 3 && isnan(jump[3]));
    CHECK_CLOSE(d.gamma, 0.5, 1e-15);
    CHECK_CLOSE(d.rho, sqrt(3.0) / 2.0, 1e-15);
    CHECK_CLOSE(d.r, sqrt(1.0 / 3.0), 1e-15); /* log psi = (0, 1, 1) */
    CHECK_CLOSE(d.rho_hat, -sqrt(3.0) / 2.0, 1e-15);
}

static void
test_undefined(void)
{
    const double y[] = {0.0, 1.0, 2.0}, none[] = {0.0, 0.0, 0.0},
                 c[] = {0.0, -1.0, -2.0};
    double jump[3], negative[] = {1.0, -1.0, 1.0};
    rtl_decomposition_input_t input = {.n = 3, .log_p = y, .log_clock = none};
    rtl_decomposition_t d = evaluate(&input, jump);

    CHECK(d.reason == RTL_DECOMPOSITION_CONSTANT_CLOCK && isnan(d.rho));
    input.log_clock = c;
    d = evaluate(&input, jump);
    CHECK(d.reason == RTL_DECOMPOSITION_CONSTANT_JUMP && d.r == 0.0);
    CHECK(isnan(d.rho_hat));
    CHECK_CLOSE(d.rho, 1.0, 1e-15);
    input.log_p = none;
    d = evaluate(&input, jump);
    CHECK(d.reason == RTL_DECOMPOSITION_CONSTANT_P && isnan(d.rho));
    CHECK_CLOSE(d.rho_hat, -1.0, 1e-15);
    input.n = 1;
    d = evaluate(&input, jump);
    CHECK(d.reason == RTL_DECOMPOSITION_FEW && isnan(d.gamma));
    input.n = 3;
    input.weights = negative;
    CHECK(rtl_decomposition_evaluate(&input, NULL, &d, jump) == RTL_BAD_ARGUMENT);
    input.weights = none;
    CHECK(rtl_decomposition_evaluate(&input, NULL, &d, jump) == RTL_BAD_ARGUMENT);
    CHECK(rtl_decomposition_reason_text(RTL_DECOMPOSITION_FEW)[0] == 'f');
}

int
main(void)
{
    test_identity();
    test_by_hand();
    test_undefined();
    return 0;
}
