/* SPDX-License-Identifier: MIT */
/* Threads take the next task number from one shared counter; a failure is an atomic
 * flag that the others see before they take another. Threads live for one call, or are
 * a crew that waits for the next: awake for a while, because solvers call again within
 * microseconds, then asleep. */
#define _GNU_SOURCE
#include "parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#include "memory.h"
#include "sum.h"

enum { MAX_THREADS = 64, SHORTEST_PIECE = 2048 };

/* What is worth a new thread, and what is worth calling one that waits. */
enum { SHORTEST_LOOP = 1 << 16, SHORTEST_CALL = 1 << 14 };

enum { LOOKS = 4000 }; /* at a counter before going to sleep: 0.1 ms */

typedef struct {
    rtl_task_fn run;
    void *data;
    size_t n_tasks;
    atomic_size_t next; /* first task nobody has taken */
    atomic_bool stop;   /* a task failed, or the caller was interrupted */
    pthread_mutex_t lock;
    size_t failed_task; /* with `status`: guarded by lock */
    int status;
} pool_t;

static void
pool_fail(pool_t *pool, size_t task, int status)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->status == 0 || task < pool->failed_task) {
        pool->status = status;
        pool->failed_task = task;
    }
    pthread_mutex_unlock(&pool->lock);
    atomic_store(&pool->stop, true);
}

static void
pool_work(pool_t *pool, rtl_monitor_t *monitor)
{
    while (!atomic_load(&pool->stop)) {
        size_t task = atomic_fetch_add(&pool->next, 1);
        if (task >= pool->n_tasks) {
            break;
        }
        int status = pool->run(pool->data, task);
        if (status == 0) {
            double done = (double) (task + 1) / (double) pool->n_tasks;
            status = rtl_monitor_poll(monitor, done);
        }
        if (status != 0) {
            pool_fail(pool, task, status);
        }
    }
}

static void *
worker(void *data)
{
    pool_work(data, NULL);
    return NULL;
}

int
rtl_parallel_run(rtl_task_fn run, void *data, size_t n_tasks, size_t n_threads,
    rtl_monitor_t *monitor)
{
    pool_t pool = {.run = run, .data = data, .n_tasks = n_tasks};
    pthread_t threads[MAX_THREADS];
    size_t n_started = 0;

    pthread_mutex_init(&pool.lock, NULL);
    if (n_threads > n_tasks) {
        n_threads = n_tasks;
    }
    if (n_threads > MAX_THREADS) {
        n_threads = MAX_THREADS;
    }
    while (n_started + 1 < n_threads) {
        if (pthread_create(&threads[n_started], NULL, worker, &pool) != 0) {
            break; /* fewer threads give the same answer */
        }
        n_started++;
    }
    pool_work(&pool, monitor);
    for (size_t i = 0; i < n_started; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&pool.lock);
    return pool.status;
}

/* --- a crew ------------------------------------------------------------------------
 */

struct rtl_crew {
    atomic_size_t n_calls;  /* loops called, and the dismissal */
    atomic_size_t n_active; /* members at the present loop */
    pthread_mutex_t lock;   /* guards what follows, and changes of the two above */
    pthread_cond_t called, finished;
    pool_t *pool; /* the present loop; NULL when all its tasks are taken */
    bool dismissed;
    size_t n_members;
    pthread_t member[MAX_THREADS];
};

/* Look at a counter for a while; false if it still has that value. */
static bool
changes(atomic_size_t *counter, size_t value)
{
    for (int look = 0; look < LOOKS; look++) {
        if (atomic_load_explicit(counter, memory_order_acquire) != value) {
            return true;
        }
#if defined(__x86_64__) && defined(__GNUC__)
        __builtin_ia32_pause();
#endif
    }
    return false;
}

static void *
member(void *data)
{
    rtl_crew_t *crew = data;
    size_t seen = 0;
    bool dismissed = false;

    while (!dismissed) {
        (void) changes(&crew->n_calls, seen);
        pthread_mutex_lock(&crew->lock);
        while (atomic_load(&crew->n_calls) == seen) {
            pthread_cond_wait(&crew->called, &crew->lock);
        }
        seen = atomic_load(&crew->n_calls);
        dismissed = crew->dismissed;
        pool_t *pool = crew->pool; /* NULL for who comes too late */
        if (pool != NULL) {
            atomic_fetch_add(&crew->n_active, 1);
        }
        pthread_mutex_unlock(&crew->lock);
        if (pool != NULL) {
            pool_work(pool, NULL);
            pthread_mutex_lock(&crew->lock);
            atomic_fetch_sub(&crew->n_active, 1);
            pthread_cond_signal(&crew->finished);
            pthread_mutex_unlock(&crew->lock);
        }
    }
    return NULL;
}

/* Let the members see a loop, or the dismissal. */
static void
call(rtl_crew_t *crew, pool_t *pool, bool dismissed)
{
    pthread_mutex_lock(&crew->lock);
    crew->pool = pool;
    crew->dismissed = dismissed;
    atomic_fetch_add(&crew->n_calls, 1);
    pthread_cond_broadcast(&crew->called);
    pthread_mutex_unlock(&crew->lock);
}

/* Tasks are all taken: wait for those who still work, not for those asleep. */
static void
close_call(rtl_crew_t *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->pool = NULL;
    size_t n_active = atomic_load(&crew->n_active);
    pthread_mutex_unlock(&crew->lock);
    while (n_active > 0 && changes(&crew->n_active, n_active)) {
        n_active = atomic_load(&crew->n_active);
    }
    pthread_mutex_lock(&crew->lock); /* and for the last one to have let go of it */
    while (atomic_load(&crew->n_active) > 0) {
        pthread_cond_wait(&crew->finished, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}

rtl_crew_t *
rtl_parallel_hire(size_t n_threads)
{
    rtl_crew_t *crew = rtl_memory_alloc(1, sizeof *crew);

    if (crew == NULL) {
        return NULL;
    }
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->called, NULL);
    pthread_cond_init(&crew->finished, NULL);
    while (crew->n_members + 1 < n_threads && crew->n_members < MAX_THREADS &&
           pthread_create(&crew->member[crew->n_members], NULL, member, crew) == 0) {
        crew->n_members++;
    }
    return crew;
}

void
rtl_parallel_dismiss(rtl_crew_t *crew)
{
    if (crew == NULL) {
        return;
    }
    call(crew, NULL, true);
    for (size_t k = 0; k < crew->n_members; k++) {
        pthread_join(crew->member[k], NULL);
    }
    pthread_cond_destroy(&crew->called);
    pthread_cond_destroy(&crew->finished);
    pthread_mutex_destroy(&crew->lock);
    rtl_memory_free(crew);
}

/* Tasks by the calling thread and the crew. */
static int
run_with(rtl_crew_t *crew, rtl_task_fn run, void *data, size_t n_tasks,
    rtl_monitor_t *monitor)
{
    pool_t pool = {.run = run, .data = data, .n_tasks = n_tasks};

    pthread_mutex_init(&pool.lock, NULL);
    call(crew, &pool, false);
    pool_work(&pool, monitor);
    close_call(crew);
    pthread_mutex_destroy(&pool.lock);
    return pool.status;
}

/* --- loops --------------------------------------------------------------------------
 */

typedef struct {
    rtl_piece_fn run;
    void *data;
    size_t n, length;
} loop_t;

static int
run_piece(void *data, size_t piece)
{
    const loop_t *loop = data;
    size_t first = piece * loop->length, rest = loop->n - first;

    loop->run(
        loop->data, piece, first, first + (rest < loop->length ? rest : loop->length));
    return 0;
}

void
rtl_parallel_loop(rtl_piece_fn run, void *data, size_t n, size_t size, rtl_team_t team)
{
    loop_t loop = {run, data, n, n / RTL_PARALLEL_PIECES + 1};
    rtl_monitor_part_t part = {.whole = team.monitor,
        .before = team.monitor == NULL ? 0.0 : team.monitor->done};
    rtl_monitor_t monitor = rtl_monitor_part(&part);

    if (loop.length * size < SHORTEST_PIECE) {
        loop.length = SHORTEST_PIECE / size + 1;
    }
    size_t n_pieces = (n + loop.length - 1) / loop.length;
    bool some = team.crew != NULL && team.crew->n_members > 0;
    bool waiting = some && team.n_threads > 1 && n_pieces > 1;
    int status =
        waiting && n * size >= SHORTEST_CALL
            ? run_with(team.crew, run_piece, &loop, n_pieces, &monitor)
            : rtl_parallel_run(run_piece, &loop, n_pieces,
                  waiting || n * size < SHORTEST_LOOP ? 1 : team.n_threads, &monitor);
    (void) status; /* pieces cannot fail, and the monitor will say it again */
}

typedef struct {
    const double *x, *y;
    double sum[RTL_PARALLEL_PIECES];
} dot_t;

static void
dot_piece(void *data, size_t piece, size_t first, size_t last)
{
    dot_t *dot = data;

    dot->sum[piece] = rtl_sum_dot(last - first, dot->x + first, dot->y + first);
}

double
rtl_parallel_dot(const double *x, const double *y, size_t n, rtl_team_t team)
{
    dot_t dot = {.x = x, .y = y};
    double sum = 0.0;

    rtl_parallel_loop(dot_piece, &dot, n, 1, team);
    for (size_t k = 0; k < RTL_PARALLEL_PIECES; k++) {
        sum += dot.sum[k];
    }
    return sum;
}

size_t
rtl_parallel_cores(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return (size_t) CPU_COUNT(&set);
    }
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t) n : 1;
}
