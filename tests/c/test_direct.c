/* SPDX-License-Identifier: MIT */
#include "direct.h"
#include "models.h"

/* Unit-rate ring of four states but for one rate r: pi by hand. */
static void
test_small_ring(void)
{
    rtl_generator_t chain;
    double up[] = {1.0, 1.0, 5.0, 1.0}, down[] = {1.0, 1.0, 1.0, 1.0};
    double expected[] = {0.3, 0.2, 0.1, 0.4}, dense[4] = {0.0}, ring[4];

    make_ring(&chain, 4, up, down);
    CHECK(rtl_direct_shape(&chain) == RTL_DIRECT_RING);
    CHECK(rtl_direct_dense(&chain, NULL, dense) == 0);
    CHECK(rtl_direct_ring(&chain, RTL_DIRECT_RING, NULL, ring) == 0);
    for (int i = 0; i < 4; i++) {
        CHECK_CLOSE(exp(dense[i]), expected[i], 1e-15);
        CHECK_CLOSE(exp(ring[i]), expected[i], 1e-15);
    }
    rtl_generator_free(&chain);
}

/* Both methods on probabilities that span e^(30 steepness). */
static void
test_steep(double steepness, double last_up, double last_down)
{
    enum { N = 60 };
    rtl_generator_t chain;
    double up[N], down[N], dense[N] = {0.0}, ring[N], r[N], smallest = 0.0;
    uint64_t seed = 1;

    for (int i = 0; i < N; i++) {
        up[i] = exp(20.0 * pseudo(&seed) + (i < N / 2 ? -steepness : steepness));
        down[i] = exp(20.0 * pseudo(&seed));
    }
    up[N - 1] = last_up;
    down[N - 1] = last_down;
    make_ring(&chain, N, up, down);
    rtl_direct_shape_t shape = rtl_direct_shape(&chain);
    CHECK(shape == (last_up > 0.0 ? RTL_DIRECT_RING : RTL_DIRECT_LINE));
    for (int sweep = 0; sweep < 4; sweep++) {
        CHECK(rtl_generator_sweep(&chain, NULL, dense) == 0);
    }
    CHECK(rtl_direct_dense(&chain, NULL, dense) == 0);
    CHECK(rtl_direct_ring(&chain, shape, NULL, ring) == 0);
    balance_of(&chain, ring, r);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(r[i], 0.0, 1e-12 * chain.exit_rate[i]);
        if (steepness <
            20.0) { /* elimination holds rates as they are, not their logs */
            CHECK_CLOSE(dense[i], ring[i], 1e-11);
        }
        smallest = fmin(smallest, ring[i]);
    }
    CHECK(smallest < -20.0 * steepness);
    rtl_generator_free(&chain);
}

static void
test_not_a_ring(void)
{
    rtl_generator_t chain;
    double up[] = {1.0, 0.0, 1.0, 1.0, 1.0}, down[] = {1.0, 1.0, 1.0, 1.0, 1.0};

    make_ring(&chain, 5, up, down);
    CHECK(rtl_direct_shape(&chain) == RTL_DIRECT_OTHER); /* one way is missing */
    rtl_generator_free(&chain);
    make_random_chain(&chain, 20, 3, 1);
    CHECK(rtl_direct_shape(&chain) == RTL_DIRECT_OTHER);
    rtl_generator_free(&chain);
}

static void
test_normalise(void)
{
    double y[] = {-5000.0, -5000.0 + log(3.0)};

    rtl_direct_normalise(2, y);
    CHECK_CLOSE(y[0], log(0.25), 1e-12);
    CHECK_CLOSE(y[1], log(0.75), 1e-12);
}

/* Two halves coupled at 1e-300: each probability keeps its digits. */
static void
test_nearly_reducible(void)
{
    rtl_generator_t chain;
    double up[] = {1.0, 1e-300, 1.0, 0.0}, down[] = {2.0, 2e-300, 3.0, 0.0};
    double y[4] = {0.0}, weights[] = {1.0, 0.5, 0.25, 0.25 / 3.0};

    make_ring(&chain, 4, up, down);
    CHECK(rtl_direct_dense(&chain, NULL, y) == 0);
    for (int i = 0; i < 4; i++) {
        CHECK_CLOSE(exp(y[i] - y[0]), weights[i], 1e-15);
    }
    rtl_generator_free(&chain);
}

static int
solve(void *data)
{
    double y[20] = {0.0};
    int status = rtl_direct_dense(data, NULL, y);

    return status == 0 ? rtl_direct_ring(data, RTL_DIRECT_RING, NULL, y) : status;
}

static void
test_interruption(const rtl_generator_t *chain)
{
    double y[20] = {0.0};
    rtl_monitor_t monitor = {.poll = stop_at_once};

    CHECK(rtl_direct_dense(chain, &monitor, y) == RTL_INTERRUPTED);
    CHECK(rtl_direct_ring(chain, RTL_DIRECT_RING, &monitor, y) == RTL_INTERRUPTED);
}

int
main(void)
{
    rtl_generator_t chain;
    double ones[20];

    test_small_ring();
    test_steep(15.0, 1.0, 1.0);
    test_steep(60.0, 1.0, 1.0);
    test_steep(15.0, 0.0, 0.0);
    test_steep(60.0, 0.0, 0.0);
    test_not_a_ring();
    test_normalise();
    test_nearly_reducible();
    for (int i = 0; i < 20; i++) {
        ones[i] = 1.0;
    }
    make_ring(&chain, 20, ones, ones);
    CHECK(check_every_allocation_failure(solve, &chain) == 4);
    test_interruption(&chain);
    rtl_generator_free(&chain);
    return 0;
}
