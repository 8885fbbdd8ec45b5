/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 199309L
#include "parallel.h"

#include <time.h>

#include "memory.h"
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

static void
fill(void *data, size_t piece, size_t first, size_t last)
{
    double *out = data;

    for (size_t i = first; i < last; i++) {
        out[i] += (double) (1 + piece * 0);
    }
}

/* Every element once; sums with the same bits for any number of threads. */
static void
test_loops(void)
{
    size_t lengths[] = {0, 1, 100, 2048, 2049, 70000, 200001};

    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        size_t n = lengths[k];
        double *x = calloc(n + 1, sizeof *x), sum = 0.0;
        CHECK(x != NULL);
        for (size_t threads = 1; threads <= 3; threads++) {
            rtl_parallel_loop(fill, x, n, 1, (rtl_team_t) {.n_threads = threads});
        }
        rtl_parallel_loop(fill, x, n, 100000, (rtl_team_t) {.n_threads = 3});
        for (size_t i = 0; i < n; i++) {
            CHECK(x[i] == 4.0);
            x[i] = 1.0 / (double) (i + 1);
            sum += x[i] * x[i];
        }
        CHECK(x[n] == 0.0);
        double dot = rtl_parallel_dot(x, x, n, (rtl_team_t) {.n_threads = 1});
        CHECK_CLOSE(dot, sum, 1e-13 * sum);
        for (size_t hired = 1; hired <= 4; hired++) {
            rtl_team_t team = {.n_threads = 3, .crew = rtl_parallel_hire(hired)};
            CHECK(team.crew != NULL && rtl_parallel_dot(x, x, n, team) == dot);
            rtl_parallel_dismiss(team.crew);
        }
        CHECK(rtl_parallel_dot(x, x, n, (rtl_team_t) {.n_threads = 3}) == dot);
        free(x);
    }
}

/* One loop after another by the same threads: each sees what the one before left,
 * whether they are awake or asleep. */
static void
test_crew(void)
{
    enum { LENGTH = 50000, LOOPS = 3000 };
    rtl_monitor_t stopped = {.poll = stop_at_once};
    rtl_team_t team = {.n_threads = 3, .crew = rtl_parallel_hire(3)};
    double *x = calloc(LENGTH, sizeof *x);

    CHECK(x != NULL && team.crew != NULL);
    for (int k = 0; k < LOOPS; k++) {
        if (k % 1000 == 999) {
            nanosleep(&(struct timespec) {.tv_nsec = 5000000}, NULL);
        }
        rtl_parallel_loop(fill, x, LENGTH - (size_t) k, 1, team);
    }
    for (int i = 0; i < LENGTH; i++) {
        CHECK(x[i] == (i <= LENGTH - LOOPS ? LOOPS : LENGTH - i));
    }
    team.monitor = &stopped;
    rtl_parallel_loop(fill, x, LENGTH, 1, team);
    CHECK(rtl_monitor_poll(&stopped, 0.0) == RTL_INTERRUPTED);
    free(x);
    rtl_parallel_dismiss(team.crew);
    rtl_parallel_dismiss(NULL);
    rtl_memory_fail_after(0);
    CHECK(rtl_parallel_hire(2) == NULL);
    rtl_memory_fail_after(-1);
}

int
main(void)
{
    double out[N];

    for (size_t threads = 1; threads <= 4; threads++) {
        rtl_monitor_t monitor = {.poll = stop_at_once};

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
    test_loops();
    test_crew();
    return 0;
}
