/* SPDX-License-Identifier: MIT */
#include "balance.h"
#include <string.h>

#include "models.h"

enum { N = 40 };

static void
test_values_and_residual(void)
{
    rtl_generator_t chain;
    rtl_balance_t balance;
    double y[N], r[N], plain[N], work[2 * N];
    uint64_t seed = 3;

    make_random_chain(&chain, N, 4, 1);
    CHECK(rtl_balance_init(&balance, &chain, (rtl_team_t) {.n_threads = 1}) == 0);
    const double *value = balance.value;
    for (int i = 0; i < N; i++) {
        y[i] = -300.0 * pseudo(&seed);
    }
    rtl_balance_update(&balance, y, work);
    for (size_t i = 0; i < N; i++) {
        for (size_t e = chain.start[i]; e < chain.start[i + 1]; e++) {
            double expected =
                chain.rate[e] * exp(y[chain.source[e]] - y[i]) / chain.exit_rate[i];
            CHECK_CLOSE(value[e] / expected, 1.0, 1e-13);
        }
    }
    double largest = rtl_balance_residual(&balance, r), seen = 0.0;
    balance_of(&chain, y, plain);
    for (int i = 0; i < N; i++) {
        plain[i] /= chain.exit_rate[i];
        CHECK_CLOSE(r[i], plain[i], 1e-13 * (1.0 + fabs(plain[i])));
        seen = fmax(seen, fabs(r[i]));
    }
    CHECK(largest == seen);
    /* ratios beyond a double's range stay finite, and a NaN is not lost */
    y[3] = -5000.0;
    y[4] = 5000.0;
    rtl_balance_update(&balance, y, work);
    CHECK(isfinite(rtl_balance_residual(&balance, r)));
    balance.value[0] = NAN;
    CHECK(isnan(rtl_balance_residual(&balance, r)));
    rtl_balance_free(&balance);
    rtl_generator_free(&chain);
}

/* The sweeps against their definition on the full matrix. */
static void
test_sweeps(void)
{
    rtl_generator_t chain;
    rtl_balance_t balance;
    static double a[N][N];
    double y[N], b[N], x[N], r[N], out[N], work[2 * N];
    uint64_t seed = 5;

    make_random_chain(&chain, N, 4, 2);
    CHECK(rtl_balance_init(&balance, &chain, (rtl_team_t) {.n_threads = 1}) == 0);
    const double *value = balance.value;
    for (int i = 0; i < N; i++) {
        y[i] = pseudo(&seed);
        b[i] = pseudo(&seed) - 0.5;
    }
    rtl_balance_update(&balance, y, work);
    for (size_t i = 0; i < N; i++) {
        a[i][i] = -1.0;
        for (size_t e = chain.start[i]; e < chain.start[i + 1]; e++) {
            a[i][chain.source[e]] += value[e];
        }
    }
    rtl_balance_forward(&balance, b, x, r);
    rtl_balance_apply(&balance, x, out);
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
    rtl_balance_backward(&balance, b, x);
    for (int i = 0; i < N; i++) { /* later states are new, earlier ones old */
        double sum = 0.0;
        for (int j = 0; j < N; j++) {
            sum += a[i][j] * (j >= i ? x[j] : before[j]);
        }
        CHECK_CLOSE(sum, b[i], 1e-13);
    }
    rtl_balance_free(&balance);
    rtl_generator_free(&chain);
}

/* Row i of A x - b without the states relaxed later. */
static double
row(const rtl_balance_t *balance, const double *x, size_t i, const size_t *place,
    size_t until)
{
    const rtl_generator_t *chain = balance->chain;
    double sum = -x[i];

    for (size_t e = chain->start[i]; e < chain->start[i + 1]; e++) {
        size_t j = (size_t) chain->source[e];
        sum += place[j] < until ? balance->value[e] * x[j] : 0.0;
    }
    return sum;
}

/* Long chains are swept strip by strip, every other one first, with the same bits for
 * any number of threads. */
static void
test_strips(rtl_boundary_t side, size_t n_axis, size_t strip)
{
    size_t dim = 2, n = n_axis * n_axis, next = 0;
    rtl_grid_t grid;
    rtl_generator_t chain;
    rtl_balance_t one, three;
    double diffusion = 1.0, peclet, size = 0.0;
    rtl_model_t model = model_of(dim, ou_drift, &dim, constant_diffusion, &diffusion);
    size_t *place = calloc(n, sizeof *place);
    double *v = calloc(9 * n, sizeof *v);
    double *y = v, *b = v + n, *x = v + 2 * n, *r = v + 3 * n, *out = v + 4 * n;
    double *again = v + 5 * n, *again_r = v + 6 * n, *work = v + 7 * n;
    uint64_t seed = 11;

    CHECK(place != NULL && v != NULL);
    make_grid(&grid, dim, n_axis, 2.0, side);
    CHECK(
        rtl_finite_volume_assemble(&chain, &model, &grid, &peclet, 1, NULL, NULL) == 0);
    CHECK(rtl_balance_init(&one, &chain, (rtl_team_t) {.n_threads = 1}) == 0);
    rtl_team_t team = {.n_threads = 3, .crew = rtl_parallel_hire(3)};
    CHECK(rtl_balance_init(&three, &chain, team) == 0);
    CHECK(one.strip == strip);
    for (size_t parity = 0; parity < 2; parity++) {
        for (size_t i = 0; i < n; i++) {
            if (i / one.strip % 2 == parity) {
                place[i] = next++;
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        y[i] = pseudo(&seed);
        b[i] = pseudo(&seed) - 0.5;
    }
    rtl_balance_update(&one, y, work);
    rtl_balance_update(&three, y, work);
    CHECK(memcmp(one.value, three.value, chain.n_entries * sizeof *y) == 0);
    rtl_balance_forward(&one, b, x, r);
    rtl_balance_forward(&three, b, again, again_r);
    CHECK(memcmp(x, again, n * sizeof *x) == 0);
    CHECK(memcmp(r, again_r, n * sizeof *r) == 0);
    for (size_t i = 0; i < n; i++) {
        size = fmax(size, fabs(x[i]));
    }
    for (size_t i = 0; i < n; i++) {
        CHECK_CLOSE(row(&one, x, i, place, place[i]), b[i], 1e-13 * size);
        CHECK_CLOSE(r[i], b[i] - row(&one, x, i, place, n), 1e-13 * size);
    }
    rtl_balance_backward(&one, b, x);
    rtl_balance_backward(&three, b, again);
    CHECK(memcmp(x, again, n * sizeof *x) == 0);
    CHECK_CLOSE(row(&one, x, 0, place, n), b[0], 1e-13 * size); /* the last one */
    for (size_t i = 0; i < n; i++) {
        x[i] = again[i] = 1.0;
    }
    rtl_balance_relax(&one, x);
    rtl_balance_relax(&three, again);
    CHECK(memcmp(x, again, n * sizeof *x) == 0);
    CHECK_CLOSE(row(&one, x, 0, place, n), 0.0, 1e-13);
    CHECK(rtl_balance_residual(&one, r) == rtl_balance_residual(&three, again_r));
    CHECK(memcmp(r, again_r, n * sizeof *r) == 0);
    rtl_balance_apply(&one, x, out);
    rtl_balance_apply(&three, x, again);
    CHECK(memcmp(out, again, n * sizeof *out) == 0);
    rtl_balance_reduce(&three, x, again);
    for (size_t i = 0; i < n; i++) {
        CHECK(again[i] == 0.0);
    }
    rtl_balance_free(&one);
    rtl_balance_free(&three);
    rtl_parallel_dismiss(team.crew);
    rtl_generator_free(&chain);
    rtl_grid_free(&grid);
    free(place);
    free(v);
}

static int
init(void *data)
{
    rtl_balance_t balance;
    int status = rtl_balance_init(&balance, data, (rtl_team_t) {.n_threads = 1});
    rtl_balance_free(&balance);
    return status;
}

static void
test_allocation(void)
{
    rtl_generator_t chain;

    make_random_chain(&chain, N, 4, 2);
    check_every_allocation_failure(init, &chain);
    rtl_generator_free(&chain);
}

int
main(void)
{
    test_strips(RTL_REFLECTING, 256, 256 * 32);
    test_strips(RTL_PERIODIC, 256, 256 * 32);
    test_strips(RTL_REFLECTING, 255, (255 * 255 + 5) / 6); /* within rows */
    test_strips(RTL_REFLECTING, 127, 127 * 127);           /* too short to be cut */
    test_allocation();
    test_values_and_residual();
    test_sweeps();
    return 0;
}
