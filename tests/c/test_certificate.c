/* SPDX-License-Identifier: MIT */
#include "certificate.h"

#include "models.h"

/* P = [[0, 1/2, 1/2], [1/4, 0, 3/4], [1, 0, 0]] */
static void
make_three(rtl_generator_t *chain)
{
    const int64_t source[] = {0, 0, 1, 1, 2}, target[] = {1, 2, 0, 2, 0};
    const double rate[] = {2.0, 2.0, 1.0, 3.0, 0.1};
    size_t bad;

    CHECK(rtl_generator_from_rates(chain, 3, 5, source, target, rate, &bad, NULL) == 0);
}

static void
test_by_hand(void)
{
    rtl_generator_t chain;
    rtl_certificate_t out;

    make_three(&chain);
    CHECK(rtl_certificate_evaluate(&chain, NULL, &out) == 0);
    CHECK_CLOSE(out.imbalance, (0.25 + 0.5 + 0.25) / 3.0, 1e-15);
    CHECK_CLOSE(out.dobrushin, 1.0, 1e-15); /* rows 0 and 2 do not overlap */
    rtl_generator_free(&chain);
}

/* All states jump alike: tau = 0, nothing is left to contract. */
static void
test_complete_graph(void)
{
    enum { N = 10 };
    rtl_generator_t chain;
    rtl_certificate_t out;
    int64_t source[N * N], target[N * N];
    double rate[N * N];
    size_t bad;

    for (int e = 0; e < N * N; e++) {
        source[e] = e / N;
        target[e] = e % N;
        rate[e] = 1.0 + e / N;
    }
    CHECK(rtl_generator_from_rates(
              &chain, N, N * N, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_certificate_evaluate(&chain, NULL, &out) == 0);
    CHECK_CLOSE(out.imbalance, 0.0, 1e-15);
    CHECK_CLOSE(out.dobrushin, 1.0 / (N - 1.0), 1e-15);
    rtl_generator_free(&chain);
}

static void
test_a_state_without_exit(void)
{
    rtl_generator_t chain;
    rtl_certificate_t out;
    const int64_t source[] = {0}, target[] = {1};
    const double rate[] = {1.0};
    size_t bad;

    CHECK(
        rtl_generator_from_rates(&chain, 2, 1, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_certificate_evaluate(&chain, NULL, &out) == RTL_BAD_ARGUMENT);
    rtl_generator_free(&chain);
}

static int
evaluate(void *data)
{
    rtl_certificate_t out;

    return rtl_certificate_evaluate(data, NULL, &out);
}

int
main(void)
{
    rtl_generator_t chain;

    test_by_hand();
    test_complete_graph();
    test_a_state_without_exit();
    make_three(&chain);
    CHECK(check_every_allocation_failure(evaluate, &chain) == 4);
    rtl_generator_free(&chain);
    return 0;
}
