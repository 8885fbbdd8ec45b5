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

/* Is shown every block, whose number is `part`, after every step; may run on several
 * threads, one block on one at a time. */
typedef void (*rtl_simulate_observe_fn)(
    void *data, size_t part, const rtl_step_block_t *block, uint64_t step);

typedef struct {
    rtl_step_t method; /* what it points to is borrowed */
    size_t n_paths;
    size_t block;      /* paths in a block, the last one may be smaller */
    uint64_t step;     /* steps made */
    uint64_t target;   /* and by some blocks, after an interruption */
    uint64_t *made;    /* steps made of each block; owned */
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
    rtl_simulate_observe_fn observe;  /* or NULL */
    void *observer;                   /* its own; borrowed */
} rtl_simulate_t;

/* Start n_paths paths at x0, (n_paths, dim), in at most most_blocks blocks (0: as many
 * as are fast); coordinates of periodic axes are taken into the box. RTL_BAD_ARGUMENT:
 * walls or dt; RTL_NOT_FINITE or RTL_OUTSIDE: x0, with `failure` naming the path; and
 * what rtl_model_check returns. */
int rtl_simulate_init(rtl_simulate_t *self, const rtl_step_t *method, size_t n_paths,
    const double *x0, size_t most_blocks) RTL_MUST_CHECK;

/* Frees what it owns; the account of a failure stays readable. */
void rtl_simulate_free(rtl_simulate_t *self);

/* From now on keep the present state and each thin-th after it, n_times in all, in
 * `record`, (n_paths, n_times, dim). NULL: keep none. */
void rtl_simulate_record(
    rtl_simulate_t *self, uint64_t thin, size_t n_times, double *record);

/* How many blocks there are. */
size_t rtl_simulate_blocks(const rtl_simulate_t *self);

/* From now on show the observer every block, first as it is now. */
void rtl_simulate_observe(
    rtl_simulate_t *self, rtl_simulate_observe_fn observe, void *observer);

/* Make n_steps steps of every path. RTL_NOT_FINITE, RTL_NEGATIVE,
 * RTL_NOT_POSITIVE_DEFINITE, ...: see `failure`, which names the earliest failing step
 * and the first path that fails there, whatever the number of threads. After such a
 * numeric failure free them. After any other, an interruption say, some paths may be
 * ahead of the others: settle before anything else. */
int rtl_simulate_run(rtl_simulate_t *self, uint64_t n_steps, size_t n_threads,
    rtl_monitor_t *monitor) RTL_MUST_CHECK;

/* A failure that lies in the numbers, not in the machine or in a user's function. */
bool rtl_simulate_is_numeric(int status);

/* Take all blocks to where the first are; at most about a second of work. Fails as a
 * run does. */
int rtl_simulate_settle(rtl_simulate_t *self, size_t n_threads) RTL_MUST_CHECK;

/* The present state, (n_paths, dim). */
void rtl_simulate_state(const rtl_simulate_t *self, double *x);

/* Go back to such a state, which was that at `step`. */
void rtl_simulate_restore(rtl_simulate_t *self, uint64_t step, const double *x);

#endif
