/* SPDX-License-Identifier: MIT */
#include "resolvent.h"

#include "models.h"

enum { N = 900 };

/* |b - (1 - gamma W) x|, and that in r. */
static double
residual(const rtl_generator_t *chain, double gamma, const double *b, const double *x,
    double *r)
{
    double sum = 0.0;

    rtl_generator_apply(chain, x, r);
    for (size_t i = 0; i < chain->n; i++) {
        r[i] = b[i] - x[i] + gamma * r[i];
        sum += r[i] * r[i];
    }
    return sqrt(sum);
}

/* Damped iteration with the cycle contracts, whatever gamma is. */
static void
test_cycle_contracts(const rtl_generator_t *chain, size_t n_levels)
{
    rtl_resolvent_t resolvent;
    double b[N] = {0.0}, x[N], r[N], z[N];

    b[0] = 1.0;
    b[N / 2] = -0.5;
    CHECK(rtl_resolvent_init(&resolvent, chain, NULL, NULL) == 0);
    CHECK(resolvent.n_levels >= n_levels);
    for (double gamma = 1e-6; gamma < 1e7; gamma *= 1e3) {
        CHECK(rtl_resolvent_set(&resolvent, gamma) == 0);
        for (size_t i = 0; i < N; i++) {
            x[i] = 0.0;
        }
        double before = residual(chain, gamma, b, x, r);
        for (int step = 0; step < 30; step++) {
            CHECK(rtl_resolvent_cycle(&resolvent, r, z) == 0);
            for (size_t i = 0; i < N; i++) {
                x[i] += z[i];
            }
            residual(chain, gamma, b, x, r);
        }
        CHECK(residual(chain, gamma, b, x, r) < 1e-6 * before);
    }
    rtl_resolvent_free(&resolvent);
}

/* A time so short that nothing happens: only the finest level works. */
static void
test_short_times(const rtl_generator_t *chain)
{
    rtl_resolvent_t resolvent;
    double b[N] = {1.0}, x[N];

    CHECK(rtl_resolvent_init(&resolvent, chain, NULL, NULL) == 0);
    CHECK(rtl_resolvent_set(&resolvent, 1e-12) == 0);
    CHECK(resolvent.n_active == 1);
    CHECK(rtl_resolvent_cycle(&resolvent, b, x) == 0);
    for (size_t i = 0; i < N; i++) {
        CHECK_CLOSE(x[i], b[i], 1e-10);
    }
    rtl_resolvent_free(&resolvent);
}

/* A hub and leaves: one leaf finds a partner, and all the rest is one aggregate. */
static void
make_star(rtl_generator_t *chain)
{
    int64_t source[2 * N - 2], target[2 * N - 2];
    double rate[2 * N - 2];
    uint64_t seed = 5;
    size_t bad;

    for (size_t e = 0; e < 2 * N - 2; e++) {
        source[e] = e % 2 == 0 ? 0 : (int64_t) (e / 2 + 1);
        target[e] = e % 2 == 0 ? (int64_t) (e / 2 + 1) : 0;
        rate[e] = 0.1 + pseudo(&seed);
    }
    CHECK(rtl_generator_from_rates(
              chain, N, 2 * N - 2, source, target, rate, &bad, NULL) == 0);
}

/* A chain of one level, with a rate of leaving for good. */
static void
test_killing(void)
{
    rtl_generator_t chain;
    rtl_resolvent_t resolvent;
    int64_t source[] = {0, 1, 1}, target[] = {1, 0, 2};
    double rate[] = {2.0, 1.0, 3.0}, b[] = {1.0, 2.0, -1.0}, x[3], r[3];
    double *killing = calloc(3, sizeof *killing);
    size_t bad;

    CHECK(
        rtl_generator_from_rates(&chain, 3, 3, source, target, rate, &bad, NULL) == 0);
    CHECK(killing != NULL);
    killing[2] = 0.7;
    rtl_generator_kill(&chain, killing);
    CHECK(rtl_resolvent_init(&resolvent, &chain, NULL, NULL) == 0);
    CHECK(rtl_resolvent_set(&resolvent, 1.5) == 0);
    for (size_t i = 0; i < 3; i++) {
        r[i] = b[i];
    }
    double y[3] = {0.0, 0.0, 0.0};
    for (int step = 0; step < 60; step++) {
        CHECK(rtl_resolvent_cycle(&resolvent, r, x) == 0);
        for (size_t i = 0; i < 3; i++) {
            y[i] += x[i];
        }
        residual(&chain, 1.5, b, y, r);
    }
    CHECK(residual(&chain, 1.5, b, y, r) < 1e-13);
    rtl_resolvent_free(&resolvent);
    rtl_generator_free(&chain);
}

static int
make(void *data, rtl_monitor_t *monitor)
{
    rtl_resolvent_t resolvent;
    int status = rtl_resolvent_init(&resolvent, data, NULL, monitor);

    rtl_resolvent_free(&resolvent); /* free takes what init left */
    return status;
}

/* Where matching cannot go on: states that exchange nothing. */
static void
test_interruption_alone(void)
{
    const int64_t none = 0;
    const double rate = 0.0;
    rtl_generator_t chain;
    size_t bad;

    CHECK(rtl_generator_from_rates(&chain, N, 1, &none, &none, &rate, &bad, NULL) == 0);
    CHECK(check_every_interruption(make, &chain) > 10);
    rtl_generator_free(&chain);
}

static int
run(void *data)
{
    rtl_resolvent_t resolvent;
    int status = rtl_resolvent_init(&resolvent, data, NULL, NULL);

    if (status == 0) {
        status = rtl_resolvent_set(&resolvent, 1.0);
        rtl_resolvent_free(&resolvent);
    }
    return status;
}

int
main(void)
{
    rtl_generator_t chain;

    make_random_chain(&chain, N, 4, 3);
    test_cycle_contracts(&chain, 3);
    test_short_times(&chain);
    test_killing();
    CHECK(check_every_interruption(make, &chain) > 10);
    test_interruption_alone();
    CHECK(check_every_allocation_failure(run, &chain) > 20);
    rtl_generator_free(&chain);
    make_star(&chain);
    test_cycle_contracts(&chain, 2);
    CHECK(check_every_allocation_failure(run, &chain) > 10);
    rtl_generator_free(&chain);
    return 0;
}
