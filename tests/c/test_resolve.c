/* SPDX-License-Identifier: MIT */
#include "resolve.h"

#include "models.h"

enum { N = 700 };

/* Solutions for short, long and very long times; masses kept. */
static void
test_solutions(const rtl_generator_t *chain)
{
    double b[N] = {0.0}, x[N], r[N], sum, norm;

    b[3] = 1.0;
    b[N - 1] = -1.0;
    for (double gamma = 1e-3; gamma < 1e13; gamma *= 1e5) {
        rtl_resolve_t resolve;
        CHECK(rtl_resolve_init(&resolve, chain, gamma, NULL, NULL) == 0);
        CHECK(rtl_resolve_run(&resolve, b, 1e-9, NULL, x) == 0);
        CHECK(resolve.residual <= 1e-9 && resolve.products > 0);
        rtl_generator_apply(chain, x, r);
        sum = norm = 0.0;
        for (size_t i = 0; i < N; i++) {
            double left = b[i] - x[i] + gamma * r[i];
            norm += left * left;
            sum += x[i];
        }
        CHECK(sqrt(norm) < 3e-9);
        CHECK(fabs(sum) < 1e-13);
        rtl_resolve_free(&resolve);
    }
}

static void
test_interruption(const rtl_generator_t *chain)
{
    rtl_resolve_t resolve;
    rtl_monitor_t monitor = {.poll = stop_at_once};
    double b[N] = {1.0}, x[N];

    CHECK(rtl_resolve_init(&resolve, chain, 1.0, NULL, NULL) == 0);
    CHECK(rtl_resolve_run(&resolve, b, 1e-9, &monitor, x) == RTL_INTERRUPTED);
    CHECK(rtl_resolve_run(&resolve, b, 1e-9, NULL, x) == 0); /* and then again */
    rtl_resolve_free(&resolve);
}

static int
run(void *data)
{
    rtl_resolve_t resolve;
    double b[N] = {1.0}, x[N], guess[N] = {0.0};
    int status = rtl_resolve_init(&resolve, data, 10.0, guess, NULL);

    if (status == 0) {
        status = rtl_resolve_run(&resolve, b, 1e-6, NULL, x);
        rtl_resolve_free(&resolve);
    }
    return status;
}

int
main(void)
{
    rtl_generator_t chain;

    make_random_chain(&chain, N, 4, 8);
    test_solutions(&chain);
    test_interruption(&chain);
    CHECK(check_every_allocation_failure(run, &chain) > 20);
    rtl_generator_free(&chain);
    return 0;
}
