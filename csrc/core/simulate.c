/* SPDX-License-Identifier: MIT */
/* Paths are kept in blocks that stay in the cache. A task takes one block through a
 * slice of steps; a run is a row of slices. */
#include "simulate.h"

#include <math.h>
#include <string.h>

#include "memory.h"
#include "parallel.h"

/* A block's arrays fit the first-level cache; a model that may not run on several
 * threads is a user's function with a high price a call, so it gets large blocks. */
enum { BLOCK = 256, BLOCK_SERIAL = 8192 };

/* Ctrl-C is answered after the running task; failures are looked at after the slice. */
static const double longest_task = 8e-3, longest_slice = 1.0; /* s */

/* --- blocks ----------------------------------------------------------------------- */

size_t
rtl_simulate_blocks(const rtl_simulate_t *self)
{
    return (self->n_paths + self->block - 1) / self->block;
}

static double *
block_state(const rtl_simulate_t *self, size_t block, size_t *first, size_t *n)
{
    size_t left;

    *first = block * self->block;
    left = self->n_paths - *first;
    *n = left < self->block ? left : self->block;
    return self->x + *first * self->method.model->dim;
}

static void
keep(const rtl_simulate_t *self, const rtl_step_block_t *block, uint64_t step)
{
    if (self->record == NULL || (step - self->record_from) % self->thin != 0) {
        return;
    }
    size_t time = (size_t) ((step - self->record_from) / self->thin);
    size_t dim = self->method.model->dim;
    for (size_t k = 0; time < self->n_times && k < dim; k++) {
        double *out = self->record + (block->first * self->n_times + time) * dim + k;
        for (size_t i = 0; i < block->n; i++) {
            out[i * self->n_times * dim] = block->x[k * block->n + i];
        }
    }
}

/* --- slices of a run -------------------------------------------------------------- */

bool
rtl_simulate_is_numeric(int status)
{
    return status != 0 && status != RTL_NO_MEMORY && status != RTL_CALLBACK &&
           status != RTL_INTERRUPTED && status != RTL_TOO_LARGE;
}

/* How far a block may go before somebody wants to see it. */
static uint64_t
next_stop(const rtl_simulate_t *self, uint64_t step, uint64_t end)
{
    if (self->observe != NULL) {
        return step + 1;
    }
    if (self->record == NULL) {
        return end;
    }
    uint64_t left = self->thin - (step - self->record_from) % self->thin;
    return left < end - step ? step + left : end;
}

/* Task: one block through a slice. Numeric failures are left in the block's own place,
 * so that the other blocks go on and the earliest is found whatever the threads did.
 * After any failure the block stands at its last good step. */
static int
run_block(void *data, size_t task)
{
    const rtl_simulate_t *self = data;
    rtl_simulate_failure_t *failure = &self->failures[task];
    size_t first, n, dim = self->method.model->dim, path = 0;
    double *state = block_state(self, task, &first, &n);
    uint64_t step = self->made[task];
    rtl_step_block_t block;
    int status = rtl_step_block_init(&block, &self->method, first, n);

    if (status != 0) {
        return status;
    }
    block.exit_time = self->exit_time == NULL ? NULL : self->exit_time + first;
    memcpy(block.x, state, dim * n * sizeof *state);
    while (step < self->target) {
        uint64_t stop = next_stop(self, step, self->target);
        status =
            rtl_step_run(&self->method, &block, &step, stop, &path, &failure->fault);
        if (status != 0) {
            failure->status = status;
            failure->step = step;
            failure->path = first + path;
            status = rtl_simulate_is_numeric(status) ? 0 : status;
            break;
        }
        keep(self, &block, step);
        if (self->observe != NULL) {
            self->observe(self->observer, task, &block, step);
        }
    }
    memcpy(state, block.x, dim * n * sizeof *state);
    self->made[task] = step;
    rtl_step_block_free(&block);
    return status;
}

/* The earliest failure, of those with the given status unless that is 0. */
static int
find_failure(rtl_simulate_t *self, int status)
{
    const rtl_simulate_failure_t *earliest = NULL;

    for (size_t b = 0; b < rtl_simulate_blocks(self); b++) {
        const rtl_simulate_failure_t *failure = &self->failures[b];
        if (failure->status != 0 && (status == 0 || failure->status == status) &&
            (earliest == NULL || failure->step < earliest->step)) {
            earliest = failure;
        }
    }
    if (earliest == NULL) {
        return status;
    }
    self->failure = *earliest;
    return earliest->status;
}

/* All blocks to the step `end`. */
static int
run_slice(rtl_simulate_t *self, uint64_t end, size_t n_threads, rtl_monitor_t *monitor)
{
    size_t n_blocks = rtl_simulate_blocks(self);

    memset(self->failures, 0, n_blocks * sizeof *self->failures);
    self->target = end;
    int status = rtl_parallel_run(run_block, self, n_blocks, n_threads, monitor);
    status = find_failure(self, status);
    if (status == 0) {
        self->step = end;
    }
    return status;
}

/* Slices are as long as Ctrl-C and the report of failures allow: the fewer, the less is
 * spent on starting threads. */
static void
adapt_slice(rtl_simulate_t *self, double seconds, size_t n_threads)
{
    size_t n_blocks = rtl_simulate_blocks(self);
    double busy = (double) (n_threads < n_blocks ? n_threads : n_blocks);
    double task = seconds * busy / (double) n_blocks;

    if (task > longest_task || seconds > longest_slice) {
        self->slice = self->slice > 1 ? self->slice / 2 : 1;
    } else if (task < longest_task / 4.0 && seconds < longest_slice / 4.0) {
        self->slice *= 2;
    }
}

/* --- what is exported ------------------------------------------------------------- */

/* One coordinate of a start. */
static int
check_coordinate(const rtl_walls_t *walls, size_t axis, double x)
{
    if (!isfinite(x)) {
        return RTL_NOT_FINITE;
    }
    if (walls->lower == NULL || walls->periodic[axis]) {
        return 0;
    }
    return x < walls->lower[axis] || x > walls->upper[axis] ? RTL_OUTSIDE : 0;
}

static int
check_start(rtl_simulate_t *self, const double *x0)
{
    rtl_simulate_failure_t *failure = &self->failure;
    size_t dim = self->method.model->dim;

    for (size_t i = 0; i < self->n_paths * dim; i++) {
        int status = check_coordinate(&self->method.walls, i % dim, x0[i]);
        if (status != 0) {
            failure->status = status;
            failure->path = i / dim;
            failure->fault.what = "x0";
            failure->fault.dim = dim < RTL_MAX_DIM ? dim : RTL_MAX_DIM;
            failure->fault.component = i % dim;
            failure->fault.value = x0[i];
            memcpy(
                failure->fault.x, x0 + i / dim * dim, failure->fault.dim * sizeof *x0);
            return status;
        }
    }
    return 0;
}

/* Also leaves in `failure` which start is at fault. */
static int
check_numbers(rtl_simulate_t *self, const double *x0)
{
    const rtl_step_t *method = &self->method;
    size_t dim = method->model->dim;

    if (self->n_paths < 1 || !rtl_step_check(method)) {
        return RTL_BAD_ARGUMENT;
    }
    if (self->n_paths > RTL_RANDOM_MAX_PATHS ||
        self->n_paths > SIZE_MAX / sizeof *x0 / dim) {
        return RTL_TOO_LARGE;
    }
    return check_start(self, x0);
}

int
rtl_simulate_init(rtl_simulate_t *self, const rtl_step_t *method, size_t n_paths,
    const double *x0, size_t most_blocks)
{
    size_t dim = method->model->dim;
    int status = 0;

    memset(self, 0, sizeof *self);
    self->method = *method;
    self->n_paths = n_paths;
    self->block = rtl_model_thread_safe(method->model) ? BLOCK : BLOCK_SERIAL;
    if (most_blocks > 0 && (n_paths - 1) / most_blocks >= self->block) {
        self->block = (n_paths - 1) / most_blocks + 1;
    }
    self->slice = 1;
    status = rtl_model_check(method->model);
    if (status != 0) {
        goto out;
    }
    status = check_numbers(self, x0);
    if (status != 0) {
        goto out;
    }
    self->x = rtl_memory_alloc(n_paths * dim, sizeof *self->x);
    self->failures =
        rtl_memory_alloc(rtl_simulate_blocks(self), sizeof *self->failures);
    self->made = rtl_memory_alloc(rtl_simulate_blocks(self), sizeof *self->made);
    if (self->x == NULL || self->failures == NULL || self->made == NULL) {
        status = RTL_NO_MEMORY;
        goto out;
    }
    if (rtl_step_walls_absorb(&method->walls, dim)) {
        self->exit_time = rtl_memory_alloc(n_paths, sizeof *self->exit_time);
        if (self->exit_time == NULL) {
            status = RTL_NO_MEMORY;
            goto out;
        }
        for (size_t i = 0; i < n_paths; i++) {
            self->exit_time[i] = NAN;
        }
    }
    rtl_simulate_restore(self, 0, x0);
out:
    if (status != 0) {
        rtl_simulate_free(self);
    }
    return status;
}

void
rtl_simulate_free(rtl_simulate_t *self)
{
    rtl_memory_free(self->x);
    rtl_memory_free(self->failures);
    rtl_memory_free(self->exit_time);
    rtl_memory_free(self->made);
    self->x = NULL;
    self->made = NULL;
    self->exit_time = NULL;
    self->failures = NULL;
    self->record = NULL;
}

/* A block as it is between two runs. */
static rtl_step_block_t
resting_block(const rtl_simulate_t *self, size_t b)
{
    rtl_step_block_t block = {0};

    block.x = block_state(self, b, &block.first, &block.n);
    block.exit_time = self->exit_time == NULL ? NULL : self->exit_time + block.first;
    return block;
}

void
rtl_simulate_record(rtl_simulate_t *self, uint64_t thin, size_t n_times, double *record)
{
    self->record = record;
    self->thin = thin;
    self->n_times = n_times;
    self->record_from = self->step;
    for (size_t b = 0; b < rtl_simulate_blocks(self); b++) {
        const rtl_step_block_t block = resting_block(self, b);
        keep(self, &block, self->step);
    }
}

void
rtl_simulate_observe(
    rtl_simulate_t *self, rtl_simulate_observe_fn observe, void *observer)
{
    self->observe = observe;
    self->observer = observer;
    for (size_t b = 0; b < rtl_simulate_blocks(self); b++) {
        const rtl_step_block_t block = resting_block(self, b);
        observe(observer, b, &block, self->step);
    }
}

int
rtl_simulate_settle(rtl_simulate_t *self, size_t n_threads)
{
    bool alone = !rtl_model_thread_safe(self->method.model);

    return self->step == self->target
               ? 0
               : run_slice(self, self->target, alone ? 1 : n_threads, NULL);
}

int
rtl_simulate_run(
    rtl_simulate_t *self, uint64_t n_steps, size_t n_threads, rtl_monitor_t *monitor)
{
    uint64_t done = 0;
    int status = 0;

    if (n_steps > RTL_RANDOM_MAX_STEPS - self->step) {
        return RTL_TOO_LARGE;
    }
    if (!rtl_model_thread_safe(self->method.model)) {
        n_threads = 1;
    }
    status = rtl_simulate_settle(self, n_threads);
    while (done < n_steps && status == 0) {
        uint64_t left = n_steps - done;
        uint64_t length = self->slice < left ? self->slice : left;
        double all = (double) n_steps, start = rtl_monitor_clock();
        rtl_monitor_part_t part = {monitor, (double) done / all, (double) length / all};
        rtl_monitor_t inner = rtl_monitor_part(&part);
        status = run_slice(self, self->step + length, n_threads, &inner);
        done += length;
        adapt_slice(self, rtl_monitor_clock() - start, n_threads);
    }
    return status;
}

void
rtl_simulate_state(const rtl_simulate_t *self, double *x)
{
    size_t dim = self->method.model->dim;

    for (size_t b = 0; b < rtl_simulate_blocks(self); b++) {
        size_t first, n;
        const double *state = block_state(self, b, &first, &n);
        for (size_t i = 0; i < n * dim; i++) {
            x[first * dim + i] = state[i % dim * n + i / dim];
        }
    }
}

void
rtl_simulate_restore(rtl_simulate_t *self, uint64_t step, const double *x)
{
    size_t dim = self->method.model->dim;

    self->step = self->target = step;
    self->slice = 1; /* steps may last longer from here */
    for (size_t b = 0; b < rtl_simulate_blocks(self); b++) {
        size_t first, n;
        double *state = block_state(self, b, &first, &n);
        self->made[b] = step;
        for (size_t i = 0; i < n * dim; i++) {
            state[i % dim * n + i / dim] =
                rtl_step_walls_fold(&self->method.walls, i % dim, x[first * dim + i]);
        }
    }
}
