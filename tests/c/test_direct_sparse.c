/* SPDX-License-Identifier: MIT */
#include "direct_sparse.h"

#include "direct.h"
#include "models.h"

static int
solve(const rtl_generator_t *chain, double *y)
{
    size_t bytes = 0;
    int status = rtl_direct_sparse(chain, INFINITY, INFINITY, NULL, y, &bytes);

    CHECK(status != 0 || bytes > 24 * chain->n);
    return status;
}

/* Links without any order: as dense elimination. */
static void
test_random(size_t n, size_t degree, uint64_t seed)
{
    rtl_generator_t chain;
    double *dense = calloc(2 * n, sizeof *dense), *y = dense + n;

    CHECK(dense != NULL);
    make_random_chain(&chain, n, degree, seed);
    CHECK(rtl_direct_dense(&chain, NULL, dense) == 0);
    CHECK(solve(&chain, y) == 0);
    for (size_t i = 0; i < n; i++) {
        CHECK_CLOSE(y[i], dense[i], 1e-12);
    }
    rtl_generator_free(&chain);
    free(dense);
}

/* Rates 100 decades apart. */
static void
test_ring(void)
{
    enum { N = 60 };
    rtl_generator_t chain;
    double up[N], down[N], y[N], exact[N];
    uint64_t seed = 3;

    for (int i = 0; i < N; i++) {
        up[i] = exp(200.0 * pseudo(&seed));
        down[i] = exp(200.0 * pseudo(&seed));
    }
    make_ring(&chain, N, up, down);
    CHECK(rtl_direct_ring(&chain, RTL_DIRECT_RING, NULL, exact) == 0);
    CHECK(solve(&chain, y) == 0);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(y[i], exact[i], 1e-11);
    }
    rtl_generator_free(&chain);
}

/* A tree of n states, in which i is linked to i / arity or, if `bushy`, to one before
 * it at random, with log p = `steep` times random numbers; y receives log p. */
static void
make_tree(rtl_generator_t *chain, size_t n, size_t arity, double steep, double *y)
{
    int64_t *source = calloc(4 * n, sizeof *source), *target = source + 2 * n;
    double *rate = calloc(2 * n, sizeof *rate);
    size_t bad, m = 0;
    uint64_t seed = 5;

    CHECK(source != NULL && rate != NULL);
    y[0] = 0.0;
    for (size_t i = 1; i < n; i++) {
        size_t j = arity > 0 ? (i - 1) / arity : (size_t) (pseudo(&seed) * (double) i);
        double flow = steep * pseudo(&seed);
        y[i] = steep * pseudo(&seed);
        source[m] = target[m + 1] = (int64_t) i;
        target[m] = source[m + 1] = (int64_t) j;
        rate[m++] = exp(flow - y[i]);
        rate[m++] = exp(flow - y[j]);
    }
    CHECK(rtl_generator_from_rates(chain, n, m, source, target, rate, &bad, NULL) == 0);
    rtl_direct_normalise(n, y);
    free(source);
    free(rate);
}

/* Lines, bushes, and a star, whose hub must not be read through for each leaf; each
 * entry within the rounding of the rates. */
static void
test_trees(size_t arity)
{
    enum { N = 20000 };
    rtl_generator_t chain;
    double *exact = calloc(2 * N, sizeof *exact), *y = exact + N;
    size_t bytes;

    CHECK(exact != NULL);
    make_tree(&chain, N, arity, 20.0, exact);
    /* eight products for each state: not one neighbour too many */
    CHECK(rtl_direct_sparse(&chain, 8.0 * N, 300.0 * N, NULL, y, &bytes) == 0);
    for (size_t i = 0; i < N; i++) {
        CHECK_CLOSE(y[i], exact[i], arity == 1 ? 1e-11 : 1e-13);
    }
    CHECK(
        rtl_direct_sparse(&chain, 3.0 * N, INFINITY, NULL, y, &bytes) == RTL_TOO_LARGE);
    CHECK(rtl_direct_sparse(&chain, INFINITY, 100.0 * N, NULL, y, &bytes) ==
          RTL_TOO_LARGE);
    rtl_generator_free(&chain);
    free(exact);
}

/* What a graph without order fills in is foreseen before it is done. */
static void
test_limit(void)
{
    enum { N = 3000 };
    rtl_generator_t chain;
    double *y = calloc(N, sizeof *y);
    size_t bytes = 0;

    CHECK(y != NULL);
    make_random_chain(&chain, N, 3, 1);
    CHECK(rtl_direct_sparse(&chain, 15.0 * N, INFINITY, NULL, y, &bytes) ==
          RTL_TOO_LARGE);
    CHECK(bytes < 100 * N); /* not even its links were read */
    CHECK(
        rtl_direct_sparse(&chain, 1e3 * N, INFINITY, NULL, y, &bytes) == RTL_TOO_LARGE);
    CHECK(bytes < 1000 * N);
    rtl_generator_free(&chain);
    free(y);
}

/* Of two parts only one is met. */
static void
test_reducible(void)
{
    rtl_generator_t chain;
    double up[] = {1.0, 0.0, 1.0, 0.0}, down[] = {1.0, 0.0, 1.0, 0.0}, y[4];

    make_ring(&chain, 4, up, down);
    CHECK(solve(&chain, y) == RTL_NOT_CONVERGED);
    rtl_generator_free(&chain);
}

/* State 4 is left by way of 0 alone, which mostly goes back: together at a rate that is
 * no normal number, which is refused unless that state comes last. */
static void
test_underflow(void)
{
    enum { N = 5, ENTRIES = 12 };
    static const int64_t from[ENTRIES] = {0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4};
    static const int64_t to[ENTRIES] = {1, 4, 2, 3, 4, 1, 3, 4, 1, 2, 4, 0};
    int refused = 0;

    for (int64_t shift = 0; shift < N; shift++) {
        rtl_generator_t chain;
        int64_t source[ENTRIES], target[ENTRIES];
        double rate[ENTRIES], y[N];
        size_t bad;
        for (int e = 0; e < ENTRIES; e++) {
            source[e] = (from[e] + shift) % N;
            target[e] = (to[e] + shift) % N;
            rate[e] = e == 0 || e == ENTRIES - 1 ? 1e-160 : 1.0;
        }
        CHECK(rtl_generator_from_rates(
                  &chain, N, ENTRIES, source, target, rate, &bad, NULL) == 0);
        int status = solve(&chain, y);
        CHECK(status == 0 || status == RTL_NOT_CONVERGED);
        refused += status != 0;
        rtl_generator_free(&chain);
    }
    CHECK(refused > 0);
}

static int
eliminate(void *data, rtl_monitor_t *monitor)
{
    double y[40];
    size_t bytes;

    return rtl_direct_sparse(data, INFINITY, INFINITY, monitor, y, &bytes);
}

static int
solve_small(void *data)
{
    double y[40];

    return solve(data, y);
}

int
main(void)
{
    rtl_generator_t chain;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        test_random(70, 3, seed);
    }
    test_random(400, 2, 1); /* fronts of several panels */
    test_random(150, 12, 2);
    test_random(2, 1, 1);
    test_ring();
    test_trees(0);
    test_trees(1);
    test_trees(2);
    test_trees(20000);
    test_limit();
    test_reducible();
    test_underflow();
    make_random_chain(&chain, 40, 2, 1);
    CHECK(check_every_interruption(eliminate, &chain) > 100);
    CHECK(check_every_allocation_failure(solve_small, &chain) >= 30);
    rtl_generator_free(&chain);
    return 0;
}
