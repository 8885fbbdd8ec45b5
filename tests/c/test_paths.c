/* SPDX-License-Identifier: MIT */
#include "paths.h"

#include "models.h"

/* Rates both ways from a list of links (i, j, forward, back). */
static void
make_links(rtl_generator_t *chain, size_t n, const double (*link)[4], size_t n_links)
{
    int64_t source[64], target[64];
    double rate[64];
    size_t bad;

    for (size_t k = 0; k < n_links; k++) {
        source[2 * k] = target[2 * k + 1] = (int64_t) link[k][0];
        target[2 * k] = source[2 * k + 1] = (int64_t) link[k][1];
        rate[2 * k] = link[k][2];
        rate[2 * k + 1] = link[k][3];
    }
    CHECK(rtl_generator_from_rates(
              chain, n, 2 * n_links, source, target, rate, &bad, NULL) == 0);
}

static rtl_paths_t
bounds(const rtl_generator_t *chain, size_t x, size_t y)
{
    rtl_paths_t out;

    CHECK(rtl_paths_bounds(chain, x, y, NULL, &out) == 0);
    return out;
}

static void
test_ring(void)
{
    rtl_generator_t chain;
    const double up[] = {2.0, 3.0, 5.0, 1.0}, down[] = {1.0, 1.0, 1.0, 7.0};

    make_ring(&chain, 4, up, down);
    rtl_paths_t out = bounds(&chain, 2, 0);
    CHECK(out.outcome == RTL_PATHS_FOUND && out.n_parts == 1 && out.n_potential == 0);
    CHECK_CLOSE(out.high, log(6.0), 1e-14);
    CHECK_CLOSE(out.low, log(7.0 / 5.0), 1e-14);
    out = bounds(&chain, 0, 2);
    CHECK_CLOSE(out.low, -log(6.0), 1e-14);
    out = bounds(&chain, 1, 1);
    CHECK(out.low == 0.0 && out.high == 0.0 && out.n_parts == 0);
    rtl_generator_free(&chain);
}

/* A bridge, a triangle with a chord to a square, and what hangs off the way. */
static const double links[][4] = {{0, 1, 2, 1}, {1, 2, 3, 1}, {2, 3, 1, 1},
    {3, 4, 1, 5}, {4, 1, 1, 1}, {1, 3, 2, 1}, {4, 5, 1, 9}};

static void
test_parts(void)
{
    rtl_generator_t chain;

    make_links(&chain, 6, links, 7);
    rtl_paths_t out = bounds(&chain, 3, 0);
    CHECK(out.n_parts == 2 && out.n_potential == 1);
    /* after 0 -> 1: 1-2-3 3, 1-3 2, 1-4-3 5 */
    CHECK_CLOSE(out.low, log(2.0 * 2.0), 1e-14);
    CHECK_CLOSE(out.high, log(2.0 * 5.0), 1e-14);
    rtl_generator_free(&chain);
}

static void
test_refusals(void)
{
    rtl_generator_t chain;
    rtl_paths_t out;
    const int64_t source[] = {0, 1, 1, 2}, target[] = {1, 0, 2, 0};
    const double rate[] = {1.0, 1.0, 1.0, 1.0};
    const double apart[][4] = {{0, 1, 1, 1}, {2, 3, 1, 1}};
    size_t bad;

    CHECK(
        rtl_generator_from_rates(&chain, 3, 4, source, target, rate, &bad, NULL) == 0);
    out = bounds(&chain, 0, 1);
    CHECK(out.outcome == RTL_PATHS_ONE_WAY);
    CHECK((out.from == 1 && out.to == 2) || (out.from == 2 && out.to == 0));
    CHECK(rtl_paths_bounds(&chain, 3, 0, NULL, &out) == RTL_BAD_ARGUMENT);
    rtl_generator_free(&chain);
    make_links(&chain, 4, apart, 2);
    CHECK(bounds(&chain, 0, 3).outcome == RTL_PATHS_UNREACHABLE);
    rtl_generator_free(&chain);
}

static void
test_too_many(void)
{
    rtl_generator_t chain;
    double link[RTL_PATHS_LARGEST + 2][4];
    size_t n = RTL_PATHS_LARGEST + 1;

    for (size_t k = 0; k <= n; k++) {
        link[k][0] = k < n ? (double) k : 0.0; /* a ring with a chord */
        link[k][1] = k < n ? (double) ((k + 1) % n) : (double) (n / 2);
        link[k][2] = 2.0;
        link[k][3] = 1.0;
    }
    make_links(&chain, n, (const double(*)[4]) link, n + 1);
    rtl_paths_t out = bounds(&chain, 3, 0);
    CHECK(out.outcome == RTL_PATHS_TOO_MANY && out.states == n);
    rtl_generator_free(&chain);
}

static int
solve(void *data)
{
    rtl_paths_t out;

    return rtl_paths_bounds(data, 3, 0, NULL, &out);
}

int
main(void)
{
    rtl_generator_t chain;

    test_ring();
    test_parts();
    test_refusals();
    test_too_many();
    make_links(&chain, 6, links, 7);
    CHECK(check_every_allocation_failure(solve, &chain) == 15);
    rtl_generator_free(&chain);
    return 0;
}
