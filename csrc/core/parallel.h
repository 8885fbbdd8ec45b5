/* SPDX-License-Identifier: MIT */
/* The only file that knows threads: run independent tasks on a few of them. */
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

/* Processors this process may run on, at least 1. */
size_t rtl_parallel_cores(void);

#endif
