/* SPDX-License-Identifier: MIT */
#include "increments.h"

#include "test.h"

static const double x[] = {0.0, 10.0, 0.9, 11.0, 0.1, 13.0, 0.3, 16.0};
static const double period[] = {1.0, 0.0};
static const intptr_t begin[] = {0, 3}, end[] = {3, 4};

static rtl_increments_t
make(void)
{
    return (rtl_increments_t) {.x = x,
        .begin = begin,
        .end = end,
        .n_states = 4,
        .n_segments = 2,
        .dim = 2,
        .dt = 0.5,
        .period = period,
        .n_lags = 2,
        .lags = {1, 2}};
}

static void
test_take(void)
{
    const double time[] = {0.0, 1.0, 4.0, 9.0};
    rtl_increments_t paths = make();
    double dx[4], tau[2];

    CHECK(rtl_increments_good(&paths));
    CHECK(rtl_increments_starts(&paths, 0) == 1);
    CHECK(rtl_increments_starts(&paths, 1) == 0);
    rtl_increments_take(&paths, 0, dx, tau);
    CHECK_CLOSE(dx[0], -0.1, 1e-15); /* the short way round */
    CHECK_CLOSE(dx[2], 0.1, 1e-15);
    CHECK(dx[1] == 1.0 && dx[3] == 3.0);
    CHECK(tau[0] == 0.5 && tau[1] == 1.0);
    paths.time = time;
    rtl_increments_take(&paths, 1, dx, tau);
    CHECK(tau[0] == 3.0 && tau[1] == 8.0);
}

static void
test_bad(void)
{
    const intptr_t late[] = {3, 5}, early[] = {-1, 3};
    rtl_increments_t paths = make();

    paths.dim = 0;
    CHECK(!rtl_increments_good(&paths));
    paths.dim = RTL_INCREMENTS_DIM + 1;
    CHECK(!rtl_increments_good(&paths));
    paths = make();
    paths.end = late;
    CHECK(!rtl_increments_good(&paths));
    paths = make();
    paths.begin = early;
    CHECK(!rtl_increments_good(&paths));
    paths = make();
    paths.lags[1] = 1;
    CHECK(!rtl_increments_good(&paths));
    paths = make();
    paths.dt = NAN;
    CHECK(!rtl_increments_good(&paths));
}

int
main(void)
{
    test_take();
    test_bad();
    return 0;
}
