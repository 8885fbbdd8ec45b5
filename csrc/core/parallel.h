/* SPDX-License-Identifier: MIT */
/* The only file that knows threads: run independent tasks, or pieces of a loop, on a
 * few of them. */
#ifndef RTL_PARALLEL_H
#define RTL_PARALLEL_H

#include "monitor.h"

/* One task. It must write only what belongs to `task`, so that the result does not
 * depend on which thread runs it. Returns a status. */
typedef int (*rtl_task_fn)(void *data, size_t task);

/* Run tasks 0 .. n_tasks-1 on at most n_threads threads, the calling one included
 * (it alone polls `monitor`). The first failure, by task number among those that
 * ran, is returned and no new task starts after it. With n_threads = 1 no thread is
 * created and tasks run in order. */
int rtl_parallel_run(rtl_task_fn run, void *data, size_t n_tasks, size_t n_threads,
    rtl_monitor_t *monitor) RTL_MUST_CHECK;

/* A piece of a loop: elements first .. last - 1. It writes only what belongs to them,
 * or to `piece`. */
typedef void (*rtl_piece_fn)(void *data, size_t piece, size_t first, size_t last);

enum { RTL_PARALLEL_PIECES = 64 };

/* Threads that stay from one loop to the next. */
typedef struct rtl_crew rtl_crew_t;

/* n_threads - 1 of them, fewer where the system has no more, none if n_threads is 1;
 * NULL where memory is short. One loop after another may use them. */
rtl_crew_t *rtl_parallel_hire(size_t n_threads);

/* They end; NULL is allowed. */
void rtl_parallel_dismiss(rtl_crew_t *crew);

/* Who runs a loop, and whom it asks between pieces whether to go on. */
typedef struct {
    size_t n_threads;       /* at most */
    rtl_monitor_t *monitor; /* borrowed; NULL for none */
    rtl_crew_t *crew; /* borrowed; NULL: threads live for one loop, if it is long */
} rtl_team_t;

/* Run a loop over n elements in pieces, at most RTL_PARALLEL_PIECES, which depend on n
 * and `size` alone: sums formed piece by piece have the same bits for any n_threads. An
 * element stands for the work on `size` numbers; what is short runs on the calling
 * thread. When the monitor stops it the rest is left undone, and the monitor's next
 * poll says so. */
void rtl_parallel_loop(
    rtl_piece_fn run, void *data, size_t n, size_t size, rtl_team_t team);

/* sum x_i y_i */
double rtl_parallel_dot(const double *x, const double *y, size_t n, rtl_team_t team);

/* Processors this process may run on, at least 1. */
size_t rtl_parallel_cores(void);

#endif
