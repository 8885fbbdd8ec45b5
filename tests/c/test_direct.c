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

/* A chain with detailed balance on a grid: p = e^-energy, the faster rate of a link 1.
 */
static void
check_order(size_t rows, size_t columns, const double *energy)
{
    enum { MOST = 169 };
    rtl_generator_t chain;
    int64_t source[4 * MOST], target[4 * MOST];
    double rate[4 * MOST], y[MOST] = {0.0}, lowest = INFINITY, highest = -INFINITY;
    size_t n = rows * columns, n_rates = 0, bad;

    for (size_t i = 0; i < n; i++) {
        const size_t next[] = {i + 1, i + columns};
        for (size_t k = 0; k < 2; k++) {
            size_t j = next[k];
            if (j >= n || (k == 0 && j % columns == 0)) {
                continue;
            }
            source[n_rates] = target[n_rates + 1] = (int64_t) i;
            target[n_rates] = source[n_rates + 1] = (int64_t) j;
            rate[n_rates++] = exp(fmin(energy[i] - energy[j], 0.0));
            rate[n_rates++] = exp(fmin(energy[j] - energy[i], 0.0));
        }
        lowest = fmin(lowest, energy[i]);
        highest = fmax(highest, energy[i]);
    }
    CHECK(highest - lowest > 1100.0);
    CHECK(rtl_generator_from_rates(
              &chain, n, n_rates, source, target, rate, &bad, NULL) == 0);
    for (int sweep = 0; sweep < 4; sweep++) {
        CHECK(rtl_generator_sweep(&chain, NULL, y) == 0);
    }
    CHECK(rtl_direct_dense(&chain, NULL, y) == 0);
    double shift = y[0] + energy[0];
    for (size_t i = 0; i < n; i++) {
        CHECK_CLOSE(y[i] + energy[i], shift, 1e-11);
    }
    rtl_generator_free(&chain);
}

/* Where p spans more than numbers do, another order than from the most probable on
 * leaves exchange of parts, or ways to tails, that no number holds. */
static void
test_order(void)
{
    enum { SIDE = 13, LINE = 101 };
    double energy[SIDE * SIDE];

    for (int i = 0; i < SIDE * SIDE; i++) {
        double a = i / SIDE / 6.0 - 1.0, b = i % SIDE / 6.0 - 1.0;
        energy[i] = 600.0 * (a * a + b * b);
    }
    check_order(SIDE, SIDE, energy); /* a bowl */
    for (int i = 0; i < LINE; i++) {
        energy[i] = 50.0 * fmin(fabs(i - 25.0), fabs(i - 75.0));
    }
    check_order(1, LINE, energy); /* two wells, with a barrier of e^1250 between them */
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
    test_order();
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
