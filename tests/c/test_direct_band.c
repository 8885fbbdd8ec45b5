/* SPDX-License-Identifier: MIT */
#include "direct_band.h"

#include "direct.h"
#include "models.h"

static int
solve(const rtl_generator_t *chain, size_t *band, double *y)
{
    int32_t *order = calloc(chain->n, sizeof *order);

    CHECK(order != NULL);
    int status = rtl_direct_band_order(chain, SIZE_MAX, order, band);
    if (status == 0) {
        status = rtl_direct_band_solve(chain, order, *band, NULL, y);
    }
    free(order);
    return status;
}

/* A chain without any order, whose band is the whole: as dense elimination. */
static void
test_random(uint64_t seed)
{
    enum { N = 70 };
    rtl_generator_t chain;
    double dense[N] = {0.0}, y[N];
    size_t band;

    make_random_chain(&chain, N, 3, seed);
    CHECK(rtl_direct_dense(&chain, NULL, dense) == 0);
    CHECK(solve(&chain, &band, y) == 0);
    CHECK(band < N);
    int32_t order[N];
    CHECK(rtl_direct_band_order(&chain, band, order, &band) == 0);
    CHECK(rtl_direct_band_order(&chain, band - 1, order, &band) == RTL_TOO_LARGE);
    CHECK(rtl_direct_band_order(&chain, 1, order, &band) == RTL_TOO_LARGE);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(y[i], dense[i], 1e-12);
    }
    rtl_generator_free(&chain);
}

/* Numbered from an end round both ways a ring has a band of 2; rates 100 decades apart.
 */
static void
test_ring(void)
{
    enum { N = 60 };
    rtl_generator_t chain;
    double up[N], down[N], y[N], exact[N];
    uint64_t seed = 3;
    size_t band;

    for (int i = 0; i < N; i++) {
        up[i] = exp(200.0 * pseudo(&seed));
        down[i] = exp(200.0 * pseudo(&seed));
    }
    make_ring(&chain, N, up, down);
    CHECK(rtl_direct_ring(&chain, exact) == 0);
    CHECK(solve(&chain, &band, y) == 0);
    CHECK(band == 2);
    for (int i = 0; i < N; i++) {
        CHECK_CLOSE(y[i], exact[i], 1e-11);
    }
    rtl_generator_free(&chain);
}

/* Of two parts only one is met. */
static void
test_reducible(void)
{
    rtl_generator_t chain;
    double up[] = {1.0, 0.0, 1.0, 0.0}, down[] = {1.0, 0.0, 1.0, 0.0}, y[4];
    size_t band;

    make_ring(&chain, 4, up, down);
    CHECK(solve(&chain, &band, y) == RTL_BAD_ARGUMENT);
    rtl_generator_free(&chain);
}

static int
order_and_solve(void *data)
{
    int32_t order[20];
    double y[20];
    size_t band;
    int status = rtl_direct_band_order(data, SIZE_MAX, order, &band);

    return status == 0 ? rtl_direct_band_solve(data, order, band, NULL, y) : status;
}

int
main(void)
{
    rtl_generator_t chain;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        test_random(seed);
    }
    test_ring();
    test_reducible();
    make_random_chain(&chain, 20, 2, 1);
    CHECK(check_every_allocation_failure(order_and_solve, &chain) >= 3);
    rtl_generator_free(&chain);
    return 0;
}
