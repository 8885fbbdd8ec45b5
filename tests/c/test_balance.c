/* SPDX-License-Identifier: MIT */
#include "balance.h"
#include "models.h"

enum { N = 40 };

static void
test_values_and_residual(void)
{
    rtl_generator_t chain;
    double y[N], r[N], plain[N], work[2 * N];
    uint64_t seed = 3;

    make_random_chain(&chain, N, 4, 1);
    double *value = calloc(chain.n_entries, sizeof *value);
    CHECK(value != NULL);
    for (int i = 0; i < N; i++) {
        y[i] = -300.0 * pseudo(&seed);
    }
    rtl_balance_values(&chain, y, value, work);
    for (size_t i = 0; i < N; i++) {
        for (size_t e = chain.start[i]; e < chain.start[i + 1]; e++) {
            double expected =
                chain.rate[e] * exp(y[chain.source[e]] - y[i]) / chain.exit_rate[i];
            CHECK_CLOSE(value[e] / expected, 1.0, 1e-13);
        }
    }
    double largest = rtl_balance_residual(&chain, value, r), seen = 0.0;
    rtl_generator_balance(&chain, y, plain);
    for (int i = 0; i < N; i++) {
        plain[i] /= chain.exit_rate[i];
        CHECK_CLOSE(r[i], plain[i], 1e-13 * (1.0 + fabs(plain[i])));
        seen = fmax(seen, fabs(r[i]));
    }
    CHECK(largest == seen);
    /* ratios beyond a double's range stay finite, and a NaN is not lost */
    y[3] = -5000.0;
    y[4] = 5000.0;
    rtl_balance_values(&chain, y, value, work);
    CHECK(isfinite(rtl_balance_residual(&chain, value, r)));
    value[0] = NAN;
    CHECK(isnan(rtl_balance_residual(&chain, value, r)));
    free(value);
    rtl_generator_free(&chain);
}

/* The sweeps against their definition on the full matrix. */
static void
test_sweeps(void)
{
    rtl_generator_t chain;
    static double a[N][N];
    double y[N], b[N], x[N], r[N], out[N], work[2 * N];
    uint64_t seed = 5;

    make_random_chain(&chain, N, 4, 2);
    double *value = calloc(chain.n_entries, sizeof *value);
    CHECK(value != NULL);
    for (int i = 0; i < N; i++) {
        y[i] = pseudo(&seed);
        b[i] = pseudo(&seed) - 0.5;
    }
    rtl_balance_values(&chain, y, value, work);
    for (size_t i = 0; i < N; i++) {
        a[i][i] = -1.0;
        for (size_t e = chain.start[i]; e < chain.start[i + 1]; e++) {
            a[i][chain.source[e]] += value[e];
        }
    }
    rtl_balance_forward(&chain, value, rtl_balance_reach(&chain), b, x, r);
    rtl_balance_apply(&chain, value, x, out);
    for (int i = 0; i < N; i++) { /* (lower triangle of A) x = b; r = b - A x */
        double lower = 0.0;
        for (int j = 0; j <= i; j++) {
            lower += a[i][j] * x[j];
        }
        CHECK_CLOSE(lower, b[i], 1e-13);
        CHECK_CLOSE(r[i], b[i] - out[i], 1e-13);
    }
    double before[N];
    for (int i = 0; i < N; i++) {
        before[i] = x[i];
    }
    rtl_balance_backward(&chain, value, b, x);
    for (int i = 0; i < N; i++) { /* later states are new, earlier ones old */
        double sum = 0.0;
        for (int j = 0; j < N; j++) {
            sum += a[i][j] * (j >= i ? x[j] : before[j]);
        }
        CHECK_CLOSE(sum, b[i], 1e-13);
    }
    free(value);
    rtl_generator_free(&chain);
}

int
main(void)
{
    test_values_and_residual();
    test_sweeps();
    return 0;
}
