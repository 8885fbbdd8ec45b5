/* SPDX-License-Identifier: MIT */
#include "aggregate.h"
#include "direct.h"
#include "models.h"

enum { N = 100 };

/* On a uniform line groups are runs of four. */
static void
test_match_line(void)
{
    rtl_generator_t chain;
    double ones[N], y[N] = {0.0};
    int32_t group[N];
    size_t n_groups = 0;

    for (int i = 0; i < N; i++) {
        ones[i] = 1.0;
    }
    make_ring(&chain, N, ones, ones);
    CHECK(rtl_aggregate_match(&chain, y, NULL, group, &n_groups) == 0);
    CHECK(n_groups >= N / 5 && n_groups <= N / 3);
    for (int i = 0; i < N; i++) {
        CHECK(group[i] >= 0 && (size_t) group[i] < n_groups);
    }
    rtl_generator_free(&chain);
}

/* The chain of groups is Markov (columns sum to 0), and its steady state is the group
 * probabilities when y is the steady state. */
static void
test_coarse_chain(void)
{
    rtl_generator_t chain, coarse;
    double y[N] = {0.0}, share[N], coarse_y[N], work[N], solved[N] = {0.0};
    int32_t group[N], *target;
    size_t n_groups = 0;

    make_random_chain(&chain, N, 4, 7);
    CHECK(rtl_direct_dense(&chain, NULL, y) == 0);
    CHECK(rtl_aggregate_match(&chain, y, NULL, group, &n_groups) == 0);
    target = calloc(chain.n_entries, sizeof *target);
    CHECK(target != NULL && n_groups < N);
    CHECK(rtl_aggregate_pattern(&chain, group, n_groups, NULL, &coarse, target) == 0);
    CHECK(rtl_aggregate_rates(
              &chain, y, group, target, NULL, &coarse, coarse_y, share, work) == 0);
    for (size_t c = 0; c < n_groups; c++) {
        double mass = 0.0, total = 0.0;
        for (size_t i = 0; i < N; i++) {
            mass += (size_t) group[i] == c ? exp(y[i]) : 0.0;
            total += (size_t) group[i] == c ? share[i] : 0.0;
        }
        CHECK_CLOSE(exp(coarse_y[c]), mass, 1e-14);
        CHECK_CLOSE(total, 1.0, 1e-14);
    }
    for (size_t i = 0; i < N; i++) { /* every entry goes where it belongs */
        for (size_t e = chain.start[i]; e < chain.start[i + 1]; e++) {
            int32_t t = target[e];
            if (group[i] == group[chain.source[e]]) {
                CHECK(t == -1);
            } else {
                CHECK(coarse.source[t] == group[chain.source[e]]);
                CHECK((size_t) t >= coarse.start[group[i]]);
                CHECK((size_t) t < coarse.start[group[i] + 1]);
            }
        }
    }
    CHECK(rtl_direct_dense(&coarse, NULL, solved) == 0);
    for (size_t c = 0; c < n_groups; c++) {
        CHECK_CLOSE(solved[c], coarse_y[c], 1e-12);
    }
    free(target);
    rtl_generator_free(&chain);
    rtl_generator_free(&coarse);
}

static int
match(void *data)
{
    double y[N] = {0.0};
    int32_t group[N], target[4 * N];
    size_t n_groups;
    rtl_generator_t coarse;

    int status = rtl_aggregate_match(data, y, NULL, group, &n_groups);
    if (status == 0) {
        status = rtl_aggregate_pattern(data, group, n_groups, NULL, &coarse, target);
        rtl_generator_free(&coarse);
    }
    return status;
}

/* A link that is weak beside one of its states' strongest joins it to the other's. */
static void
test_strong_beside_one(void)
{
    const int64_t source[] = {0, 1, 2, 3, 1, 2}, target[] = {1, 0, 3, 2, 2, 1};
    const double rate[] = {1.0, 1.0, 1e-6, 1e-6, 1e-8, 1e-8}, y[4] = {0.0};
    int32_t group[4];
    size_t n_groups, bad;
    rtl_generator_t chain;

    CHECK(
        rtl_generator_from_rates(&chain, 4, 6, source, target, rate, &bad, NULL) == 0);
    CHECK(rtl_aggregate_strong(&chain, y, NULL, group, &n_groups) == 0);
    CHECK(n_groups == 1 && group[0] == 0 && group[3] == 0);
    rtl_generator_free(&chain);
}

/* Two rings whose only links are weak: two groups. A single strong link joins them. */
static void
test_strong_parts(void)
{
    rtl_generator_t chain;
    int64_t source[N + 2], target[N + 2];
    double rate[N + 2], y[N] = {0.0};
    int32_t group[N];
    size_t half = N / 2, n_groups, bad;

    for (size_t i = 0; i < N; i++) {
        source[i] = (int64_t) i;
        target[i] = (int64_t) (i < half ? (i + 1) % half : i + 1 < N ? i + 1 : half);
        rate[i] = 1.0;
    }
    source[N] = target[N + 1] = 3;
    target[N] = source[N + 1] = (int64_t) half + 1;
    for (int strong = 0; strong < 2; strong++) {
        rate[N] = rate[N + 1] = strong == 1 ? 0.01 : 1e-6;
        CHECK(rtl_generator_from_rates(
                  &chain, N, N + 2, source, target, rate, &bad, NULL) == 0);
        CHECK(rtl_aggregate_strong(&chain, y, NULL, group, &n_groups) == 0);
        CHECK(n_groups == (strong == 1 ? 1 : 2));
        for (size_t i = 0; i < N; i++) {
            CHECK(group[i] == (i < half || strong == 1 ? 0 : 1));
        }
        rtl_generator_free(&chain);
    }
}

enum { LONG = 20000 };

static int
join(void *data, rtl_monitor_t *monitor)
{
    const rtl_generator_t *chain = data;
    rtl_generator_t coarse = {0};
    double *y = calloc(4 * LONG, sizeof *y);
    int32_t *group = calloc(3 * LONG, sizeof *group), *target = group + LONG;
    size_t n;

    CHECK(y != NULL && group != NULL);
    double *coarse_y = y + LONG, *share = coarse_y + LONG, *work = share + LONG;
    int status = rtl_aggregate_match(chain, y, monitor, group, &n);
    if (status == 0) {
        status = rtl_aggregate_pattern(chain, group, n, monitor, &coarse, target);
    }
    if (status == 0) {
        status = rtl_aggregate_rates(
            chain, y, group, target, monitor, &coarse, coarse_y, share, work);
    }
    if (status == 0) {
        status = rtl_aggregate_strong(chain, y, monitor, group, &n);
    }
    rtl_generator_free(&coarse);
    free(y);
    free(group);
    return status;
}

/* Long chains are not joined in one go. */
static void
test_interruption(void)
{
    rtl_generator_t chain;
    double *ones = calloc(LONG, sizeof *ones);

    CHECK(ones != NULL);
    for (int i = 0; i < LONG; i++) {
        ones[i] = 1.0;
    }
    make_ring(&chain, LONG, ones, ones);
    CHECK(check_every_interruption(join, &chain) > 50);
    free(ones);
    rtl_generator_free(&chain);
}

static int
strong(void *data)
{
    const rtl_generator_t *chain = data;
    int32_t group[N];
    double y[N] = {0.0};
    size_t n_groups;

    return rtl_aggregate_strong(chain, y, NULL, group, &n_groups);
}

int
main(void)
{
    rtl_generator_t chain;

    test_strong_parts();
    test_strong_beside_one();
    test_match_line();
    test_coarse_chain();
    test_interruption();
    make_random_chain(&chain, N, 4, 3);
    CHECK(check_every_allocation_failure(match, &chain) >= 15);
    CHECK(check_every_allocation_failure(strong, &chain) == 2);
    rtl_generator_free(&chain);
    return 0;
}
