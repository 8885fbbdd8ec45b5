/* SPDX-License-Identifier: MIT */
#include "jumps.h"

#include <math.h>
#include <string.h>

#include "elementary.h"
#include "memory.h"
#include "parallel.h"

enum { PATHS = 16, SLICE = 4096 }; /* of a task: paths, jumps of each */
enum { WAITING, CHOICE };          /* slots of random numbers */

/* --- rates by source -------------------------------------------------------------- */

/* Counting sort of the entries, which the generator has by target. */
static void
sort_entries(rtl_jumps_t *self, const rtl_generator_t *generator)
{
    for (size_t e = 0; e < generator->n_entries; e++) {
        self->start[generator->source[e] + 1]++;
    }
    for (size_t j = 0; j < self->n; j++) {
        self->start[j + 1] += self->start[j];
    }
    for (size_t i = self->n; i-- > 0;) { /* start[j + 1] goes down to start[j] */
        for (size_t e = generator->start[i]; e < generator->start[i + 1]; e++) {
            size_t place = --self->start[generator->source[e] + 1];
            self->target[place] = (int32_t) i;
            self->sum[place] = generator->rate[e];
        }
    }
    memmove(self->start, self->start + 1, self->n * sizeof *self->start);
    self->start[self->n] = generator->n_entries;
}

int
rtl_jumps_init(rtl_jumps_t *self, const rtl_generator_t *generator)
{
    size_t n = generator->n;

    memset(self, 0, sizeof *self);
    self->n = n;
    self->start = rtl_memory_alloc(n + 2, sizeof *self->start);
    self->target = rtl_memory_alloc(generator->n_entries, sizeof *self->target);
    self->sum = rtl_memory_alloc(generator->n_entries, sizeof *self->sum);
    self->total = rtl_memory_alloc(n, sizeof *self->total);
    if (self->start == NULL || self->target == NULL || self->sum == NULL ||
        self->total == NULL) {
        rtl_jumps_free(self);
        return RTL_NO_MEMORY;
    }
    sort_entries(self, generator);
    for (size_t j = 0; j < n; j++) {
        double sum = 0.0;
        for (size_t e = self->start[j]; e < self->start[j + 1]; e++) {
            sum += self->sum[e];
            self->sum[e] = sum;
        }
        self->total[j] =
            sum + (generator->killing == NULL ? 0.0 : generator->killing[j]);
    }
    return 0;
}

void
rtl_jumps_free(rtl_jumps_t *self)
{
    rtl_memory_free(self->start);
    rtl_memory_free(self->target);
    rtl_memory_free(self->sum);
    rtl_memory_free(self->total);
    memset(self, 0, sizeof *self);
}

/* --- paths ------------------------------------------------------------------------ */

/* Where the chain jumps to from j: the first target whose sum exceeds `height`, uniform
 * in (0, total); -1 for none of them. */
static int32_t
choose(const rtl_jumps_t *self, size_t j, double height)
{
    size_t low = self->start[j], end = self->start[j + 1], high = end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->sum[middle] > height) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if (low == end && end > self->start[j] && !(self->total[j] > self->sum[end - 1])) {
        low--; /* rounding */
    }
    return low < end ? self->target[low] : -1;
}

typedef struct {
    const rtl_jumps_t *jumps;
    rtl_random_t random;
    size_t n_paths, n_jumps, from; /* the slice: jumps from .. from + SLICE - 1 */
    int32_t *state;
    double *time;
} job_t;

static void
run_path(const job_t *job, size_t path, size_t to)
{
    const rtl_jumps_t *jumps = job->jumps;
    int32_t *state = job->state + path * (job->n_jumps + 1);
    double *time = job->time + path * (job->n_jumps + 1);

    for (size_t k = job->from; k < to; k++) {
        double total = state[k] < 0 ? 0.0 : jumps->total[state[k]];
        if (!(total > 0.0)) {
            state[k + 1] = state[k];
            time[k + 1] = INFINITY;
            continue;
        }
        double u = rtl_random_uniform(&job->random, path, k, WAITING);
        double v = rtl_random_uniform(&job->random, path, k, CHOICE);
        time[k + 1] = time[k] - rtl_elementary_log(u) / total;
        state[k + 1] = choose(jumps, (size_t) state[k], v * total);
    }
}

static int
run_paths(void *data, size_t task)
{
    const job_t *job = data;
    size_t first = task * PATHS;
    size_t last = first + PATHS < job->n_paths ? first + PATHS : job->n_paths;
    size_t to = job->from + SLICE < job->n_jumps ? job->from + SLICE : job->n_jumps;

    for (size_t path = first; path < last; path++) {
        run_path(job, path, to);
    }
    return 0;
}

int
rtl_jumps_run(const rtl_jumps_t *self, rtl_random_t random, size_t n_paths,
    size_t n_jumps, int32_t *state, double *time, size_t n_threads,
    rtl_monitor_t *monitor)
{
    job_t job = {self, random, n_paths, n_jumps, 0, state, time};
    size_t n_tasks = (n_paths + PATHS - 1) / PATHS;
    int status = 0;

    for (size_t p = 0; p < n_paths; p++) {
        int32_t start = state[p * (n_jumps + 1)];
        if (start < 0 || (size_t) start >= self->n) {
            return RTL_BAD_ARGUMENT;
        }
    }
    for (; n_tasks > 0 && status == 0 && job.from < n_jumps; job.from += SLICE) {
        rtl_monitor_part_t part = {
            monitor, (double) job.from / (double) n_jumps, SLICE / (double) n_jumps};
        rtl_monitor_t inner = rtl_monitor_part(&part);
        status = rtl_parallel_run(run_paths, &job, n_tasks, n_threads, &inner);
    }
    return status;
}
