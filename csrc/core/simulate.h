/* SPDX-License-Identifier: MIT */
/* Paths of a diffusion process: many steps of many paths.
 *
 *     x_0 -> x_1 -> ... -> x_n,   x_{n+1} from (x_n, key, path, n) as step.h says.
 *
 * Every path is a function of its start and the key alone: how paths are divided among
 * threads and steps among calls changes no bit. */
#ifndef RTL_SIMULATE_H
#define RTL_SIMULATE_H

#include "monitor.h"
#include "step.h"

/* Where a run could not go on. */
typedef struct {
    int status;
    size_t path;
    uint64_t step;     /* steps made before */
    rtl_fault_t fault; /* its x: the state that the failing step started from */
} rtl_simulate_failure_t;

typedef struct {
    rtl_step_t method; /* what it points to is borrowed */
    size_t n_paths;
    size_t block;      /* paths in a block, the last one may be smaller */
    uint64_t step;     /* steps made */
    uint64_t slice;    /* steps between two looks at the monitor; adapts */
    double *x;         /* (dim, paths of the block) for each block; owned */
    double *exit_time; /* (n_paths,) when a path met an absorbing wall, NaN: on its way;
                          NULL: no wall absorbs; owned */
    rtl_simulate_failure_t *failures; /* one a block; owned */
    rtl_simulate_failure_t failure;   /* the earliest, if the last run failed */
    double *record;                   /* (n_paths, n_times, dim) or NULL; borrowed */
    size_t n_times;                   /* states kept of each path */
    uint64_t thin;                    /* steps between them */
    uint64_t record_from;             /* step of the first */
} rtl_simulate_t;

/* Start n_paths paths at x0, (n_paths, dim); coordinates of periodic axes are taken
 * into the box. RTL_BAD_ARGUMENT: walls or dt; RTL_NOT_FINITE or RTL_OUTSIDE: x0, with
 * `failure` naming the path; and what rtl_model_check returns. */
int rtl_simulate_init(rtl_simulate_t *self, const rtl_step_t *method, size_t n_paths,
    const double *x0) RTL_MUST_CHECK;

/* Frees what it owns; the account of a failure stays readable. */
void rtl_simulate_free(rtl_simulate_t *self);

/* From now on keep the present state and each thin-th after it, n_times in all, in
 * `record`, (n_paths, n_times, dim). NULL: keep none. */
void rtl_simulate_record(
    rtl_simulate_t *self, uint64_t thin, size_t n_times, double *record);

/* Make n_steps steps of every path. RTL_NOT_FINITE, RTL_NEGATIVE,
 * RTL_NOT_POSITIVE_DEFINITE, ...: see `failure`, which names the earliest failing step
 * and the first path that fails there, whatever the number of threads. After a failure
 * or an interruption the paths are not all at the same step: free them. */
int rtl_simulate_run(rtl_simulate_t *self, uint64_t n_steps, size_t n_threads,
    rtl_monitor_t *monitor) RTL_MUST_CHECK;

/* The present state, (n_paths, dim). */
void rtl_simulate_state(const rtl_simulate_t *self, double *x);

#endif
