/* SPDX-License-Identifier: MIT */
#include "parallel.h"
#include "test.h"

enum { N = 1000 };

static int
square(void *data, size_t task)
{
    ((double *) data)[task] = (double) (task * task);
    return 0;
}

static int
fail_late(void *data, size_t task)
{
    (void) data;
    return task == 500 ? RTL_NOT_FINITE : 0;
}

static int
stop(void *data, double done)
{
    (void) data;
    (void) done;
    return 1;
}

int
main(void)
{
    double out[N];

    for (size_t threads = 1; threads <= 4; threads++) {
        rtl_monitor_t monitor = {.poll = stop};

        for (size_t i = 0; i < N; i++) {
            out[i] = -1.0;
        }
        CHECK(rtl_parallel_run(square, out, N, threads, NULL) == 0);
        for (size_t i = 0; i < N; i++) {
            CHECK(out[i] == (double) (i * i));
        }
        CHECK(rtl_parallel_run(fail_late, NULL, N, threads, NULL) == RTL_NOT_FINITE);
        CHECK(rtl_parallel_run(square, out, N, 1, &monitor) == RTL_INTERRUPTED);
    }
    CHECK(rtl_parallel_run(square, out, 0, 4, NULL) == 0);
    CHECK(rtl_parallel_cores() >= 1);
    return 0;
}
