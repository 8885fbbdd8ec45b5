/* SPDX-License-Identifier: MIT */
/* Across the face between cells a and b, h apart, the flux of q = D p with constant
 * coefficients is J = (B(-z) q_a - B(z) q_b) / h, z = integral of f/D from a to b
 * (Scharfetter & Gummel 1969, IEEE Trans. Electron Devices 16, 64). Hence
 *
 *     rate(a -> b) = D_a B(-z) / (h width_a),   rate(b -> a) = D_b B(z) / (h width_b),
 *
 * and zero-flux states are exact to the quadrature of z, three Gauss points. Where D
 * jumps or nearly vanishes f/D is no constant, and each cell is left at its own D,
 *
 *     rate(a -> b) = D_a B(-f h / D_a) / (h width_a),
 *     rate(b -> a) = D_b B(f h / D_b) / (h width_b),
 *
 * which keeps p D constant across a jump without drift, counts what gathers in a layer
 * thinner than a cell where the drift leads out of small D, and tends to upwinding as
 * D -> 0 on either side. */
#include "finite_volume.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "finite_volume_face.h"
#include "finite_volume_tensor.h"
#include "memory.h"
#include "parallel.h"

enum { BLOCK = 512, GAUSS = RTL_FACE_GAUSS };

const double rtl_finite_volume_node[GAUSS] = {
    0.11270166537925831148, 0.5, 0.88729833462074168852};
const double rtl_finite_volume_weight[GAUSS] = {5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0};
const double rtl_finite_volume_largest_z = 1e8;

/* Ratio of the largest to the smallest D of a face beyond which each cell has its own.
 */
static const double largest_jump = 10.0;

double
rtl_finite_volume_bernoulli(double z)
{
    if (fabs(z) < 1e-2) { /* next term z^6 / 30240 is below rounding */
        double z2 = z * z;
        return 1.0 - 0.5 * z + z2 / 12.0 * (1.0 - z2 / 60.0);
    }
    if (z > 700.0) {
        return z * exp(-z);
    }
    return z / expm1(z);
}

/* --- one face ------------------------------------------------------------------- */

typedef rtl_finite_volume_face_t face_t;

/* D B(-e / D), the rate at which a cell of diffusion D is left along e = f h, times h
 * width; its limit at D = 0. Raises *z to |e / D|. */
static double
own_rate(double e, double d, double *z)
{
    double ratio = e == 0.0 ? 0.0 : e / d;
    bool upwind = !(fabs(ratio) < rtl_finite_volume_largest_z);

    *z = fmax(*z, upwind ? INFINITY : fabs(ratio));
    return upwind ? fmax(e, 0.0) : d * rtl_finite_volume_bernoulli(-ratio);
}

double
rtl_finite_volume_face_push(const face_t *self)
{
    double f = 0.0, size = 0.0;

    for (int g = 0; g < GAUSS; g++) {
        f += rtl_finite_volume_weight[g] * self->drift[g];
        size = fmax(size, fabs(self->drift[g]));
    }
    return fabs(f) > 8.0 * DBL_EPSILON * size ? self->distance * f : 0.0;
}

double
rtl_finite_volume_face_z(const face_t *self, bool *smooth)
{
    double h = self->distance, z = 0.0;
    double smallest = fmin(self->d[RTL_FACE_LOW], self->d[RTL_FACE_HIGH]);
    double largest = fmax(self->d[RTL_FACE_LOW], self->d[RTL_FACE_HIGH]);

    for (int g = 0; g < GAUSS; g++) {
        smallest = fmin(smallest, self->diffusion[g]);
        largest = fmax(largest, self->diffusion[g]);
        z += rtl_finite_volume_weight[g] * self->drift[g] / self->diffusion[g] * h;
    }
    *smooth =
        largest <= largest_jump * smallest && fabs(z) < rtl_finite_volume_largest_z;
    return z;
}

/* Rates up and down through a face; returns |z|. */
static double
face_rates(const face_t *face, double *up, double *down)
{
    bool smooth;
    double z = rtl_finite_volume_face_z(face, &smooth);
    double d_low = face->d[RTL_FACE_LOW], d_high = face->d[RTL_FACE_HIGH];

    if (smooth) {
        *up = d_low * rtl_finite_volume_bernoulli(-z);
        *down = d_high * rtl_finite_volume_bernoulli(z);
        z = fabs(z);
    } else {
        double e = rtl_finite_volume_face_push(face);
        z = 0.0;
        *up = own_rate(e, d_low, &z);
        *down = own_rate(-e, d_high, &z);
    }
    *up /= face->distance * face->width[RTL_FACE_LOW];
    *down /= face->distance * face->width[RTL_FACE_HIGH];
    return z;
}

/* --- assembly ------------------------------------------------------------------- */

enum { CHUNK = 16 * BLOCK }; /* cells of one task */

/* What the task of a chunk leaves. */
typedef struct {
    double peclet;
    size_t n_upwind;
    rtl_fault_t fault;
} chunk_t;

typedef struct {
    const rtl_model_t *model;
    const rtl_grid_t *grid;
    double *diagonal; /* (dim, n_cells) D at the centres */
    double *up;       /* (dim, n_cells) rate from a cell to its upper neighbour */
    double *down;     /* (dim, n_cells) rate back */
    double *killing;  /* (n_cells,) rate out through absorbing walls, NULL if none */
    size_t n_chunks;
    chunk_t *chunk;
} assembly_t;

/* Room to evaluate the model in. */
typedef struct {
    double *x, *f, *d; /* (dim, BLOCK * GAUSS) */
} work_t;

static void
work_free(work_t *self)
{
    rtl_memory_free(self->x);
    rtl_memory_free(self->f);
    rtl_memory_free(self->d);
}

static int
work_init(work_t *self, size_t dim)
{
    self->x = rtl_memory_alloc(dim * BLOCK * GAUSS, sizeof(double));
    self->f = rtl_memory_alloc(dim * BLOCK * GAUSS, sizeof(double));
    self->d = rtl_memory_alloc(dim * BLOCK * GAUSS, sizeof(double));
    return self->x == NULL || self->f == NULL || self->d == NULL ? RTL_NO_MEMORY : 0;
}

static void
assembly_free(assembly_t *self)
{
    rtl_memory_free(self->diagonal);
    rtl_memory_free(self->up);
    rtl_memory_free(self->down);
    rtl_memory_free(self->killing);
    rtl_memory_free(self->chunk);
}

static int
assembly_init(assembly_t *self, const rtl_model_t *model, const rtl_grid_t *grid)
{
    size_t dim = grid->dim, n = grid->n_cells;

    memset(self, 0, sizeof *self);
    self->model = model;
    self->grid = grid;
    self->n_chunks = (n + CHUNK - 1) / CHUNK;
    self->diagonal = rtl_memory_alloc(dim * n, sizeof(double));
    self->up = rtl_memory_alloc(dim * n, sizeof(double));
    self->down = rtl_memory_alloc(dim * n, sizeof(double));
    self->chunk = rtl_memory_alloc(self->n_chunks * dim, sizeof *self->chunk);
    if (self->diagonal == NULL || self->up == NULL || self->down == NULL ||
        self->chunk == NULL) {
        return RTL_NO_MEMORY;
    }
    if (rtl_grid_has_absorbing(grid)) {
        self->killing = rtl_memory_alloc(n, sizeof(double));
        if (self->killing == NULL) {
            return RTL_NO_MEMORY;
        }
    }
    return 0;
}

/* Drift and diffusion at n points of work->x. */
static int
evaluate(const assembly_t *self, work_t *work, size_t n, rtl_fault_t *fault)
{
    int status = rtl_model_drift(self->model, work->x, n, work->f, fault);
    return status == 0 ? rtl_model_diagonal(self->model, work->x, n, work->d, fault)
                       : status;
}

/* D at the centres of cells first .. first + n - 1. */
static int
centre_diffusion(
    assembly_t *self, work_t *work, size_t first, size_t n, rtl_fault_t *fault)
{
    rtl_grid_points(self->grid, first, n, work->x);
    int status = rtl_model_diagonal(self->model, work->x, n, work->d, fault);
    if (status != 0) {
        return status;
    }
    for (size_t k = 0; k < self->grid->dim; k++) {
        memcpy(self->diagonal + k * self->grid->n_cells + first, work->d + k * n,
            n * sizeof(double));
    }
    return 0;
}

/* The Gauss points, in work->x, of the upper faces of cells first .. first + n - 1;
 * distance and cell behind each, 0 at a wall. */
static void
face_points(const rtl_grid_t *grid, size_t axis, size_t first, size_t n, work_t *work,
    double *distance, size_t *next)
{
    size_t n_points = n * GAUSS;
    double upper = grid->edges[axis][grid->shape[axis]];
    double lower = grid->edges[axis][0];

    rtl_grid_points(grid, first, n, work->d); /* nothing else is there yet */
    for (size_t i = 0; i < n; i++) {
        if (!rtl_grid_next(grid, first + i, axis, &next[i], &distance[i])) {
            distance[i] = 0.0;
        }
    }
    for (size_t k = 0; k < grid->dim; k++) {
        const double *centre = work->d + k * n;
        for (size_t g = 0; g < GAUSS; g++) {
            double *x = work->x + k * n_points + g * n;
            double share = k == axis ? rtl_finite_volume_node[g] : 0.0;
            for (size_t i = 0; i < n; i++) {
                x[i] = centre[i] + share * distance[i];
                x[i] -= x[i] > upper && k == axis ? upper - lower : 0.0;
            }
        }
    }
}

/* The upper faces along `axis` of cells first .. first + n - 1. */
static int
axis_faces(
    assembly_t *self, work_t *work, size_t axis, size_t first, size_t n, chunk_t *chunk)
{
    const rtl_grid_t *grid = self->grid;
    size_t n_points = n * GAUSS, next[BLOCK];
    double distance[BLOCK];

    face_points(grid, axis, first, n, work, distance, next);
    int status = evaluate(self, work, n_points, &chunk->fault);
    if (status != 0) {
        return status;
    }
    const double *f = work->f + axis * n_points, *d = work->d + axis * n_points;
    size_t offset = axis * grid->n_cells + first;
    for (size_t i = 0; i < n; i++) {
        face_t face = {.distance = distance[i]};
        if (!(distance[i] > 0.0)) {
            continue;
        }
        for (size_t g = 0; g < GAUSS; g++) {
            face.drift[g] = f[g * n + i];
            face.diffusion[g] = d[g * n + i];
        }
        face.d[RTL_FACE_LOW] = self->diagonal[offset + i];
        face.d[RTL_FACE_HIGH] = self->diagonal[axis * grid->n_cells + next[i]];
        face.width[RTL_FACE_LOW] =
            rtl_grid_width(grid, axis, rtl_grid_index(grid, first + i, axis));
        face.width[RTL_FACE_HIGH] =
            rtl_grid_width(grid, axis, rtl_grid_index(grid, next[i], axis));
        double z = face_rates(&face, self->up + offset + i, self->down + offset + i);
        chunk->peclet = isfinite(z) ? fmax(chunk->peclet, z) : chunk->peclet;
        chunk->n_upwind += isfinite(z) ? 0 : 1;
    }
    return 0;
}

/* Task k of `centres`: D at the centres of chunk k; else the faces of chunk
 * k % n_chunks along axis k / n_chunks. */
static int
run_chunk(assembly_t *self, size_t task, bool centres)
{
    size_t n = self->grid->n_cells, begin = task % self->n_chunks * CHUNK;
    size_t end = n - begin < CHUNK ? n : begin + CHUNK;
    chunk_t *chunk = &self->chunk[task];
    work_t work;
    int status = work_init(&work, self->grid->dim);

    for (size_t first = begin; status == 0 && first < end; first += BLOCK) {
        size_t count = end - first < BLOCK ? end - first : BLOCK;
        status = centres ? centre_diffusion(self, &work, first, count, &chunk->fault)
                         : axis_faces(
                               self, &work, task / self->n_chunks, first, count, chunk);
    }
    work_free(&work);
    return status;
}

static int
centres_task(void *data, size_t task)
{
    return run_chunk(data, task, true);
}

static int
faces_task(void *data, size_t task)
{
    return run_chunk(data, task, false);
}

/* A wall's cells in the order of their numbers: the j-th of them. */
static size_t
wall_cell(const rtl_grid_t *grid, size_t axis, bool upper, size_t j)
{
    size_t stride = grid->stride[axis], n = grid->shape[axis];

    return j / stride * stride * n + (upper ? n - 1 : 0) * stride + j % stride;
}

/* Wall cells first .. first + n - 1 of an absorbing side, where p = 0: the rate through
 * half a cell, from the centre to the wall. */
static int
wall_rates(assembly_t *self, work_t *work, size_t axis, bool upper, size_t first,
    size_t n, rtl_fault_t *fault)
{
    enum { POINTS = GAUSS + 1 }; /* the last one lies on the wall */
    const rtl_grid_t *grid = self->grid;
    size_t n_points = n * POINTS, index = upper ? grid->shape[axis] - 1 : 0;
    double wall = grid->edges[axis][upper ? index + 1 : 0];
    double width = rtl_grid_width(grid, axis, index), sign = upper ? 1.0 : -1.0;

    for (size_t g = 0; g < POINTS; g++) {
        double x = wall;
        if (g < GAUSS) {
            x = rtl_grid_centre(grid, axis, index) +
                sign * rtl_finite_volume_node[g] * 0.5 * width;
        }
        for (size_t i = 0; i < n; i++) {
            size_t cell = wall_cell(grid, axis, upper, first + i);
            for (size_t k = 0; k < grid->dim; k++) {
                work->x[k * n_points + g * n + i] =
                    k == axis ? x
                              : rtl_grid_centre(grid, k, rtl_grid_index(grid, cell, k));
            }
        }
    }
    int status = evaluate(self, work, n_points, fault);
    if (status != 0) {
        return status;
    }
    const double *f = work->f + axis * n_points, *d = work->d + axis * n_points;
    for (size_t i = 0; i < n; i++) {
        size_t cell = wall_cell(grid, axis, upper, first + i);
        face_t face = {.distance = 0.5 * width, .width = {width, width}};
        double out, back;
        for (size_t g = 0; g < GAUSS; g++) {
            face.drift[g] = sign * f[g * n + i];
            face.diffusion[g] = d[g * n + i];
        }
        face.d[RTL_FACE_LOW] = self->diagonal[axis * grid->n_cells + cell];
        face.d[RTL_FACE_HIGH] = d[GAUSS * n + i];
        face_rates(&face, &out, &back);
        self->killing[cell] += out;
    }
    return 0;
}

/* All absorbing sides of an axis. */
static int
axis_walls(assembly_t *self, work_t *work, size_t axis, rtl_fault_t *fault)
{
    enum { WALL_BLOCK = BLOCK * GAUSS / (GAUSS + 1) };
    const rtl_grid_t *grid = self->grid;
    size_t n = grid->n_cells / grid->shape[axis];
    int status = 0;

    for (int upper = 0; upper < 2; upper++) {
        if ((upper ? grid->upper : grid->lower)[axis] != RTL_ABSORBING) {
            continue;
        }
        for (size_t first = 0; status == 0 && first < n; first += WALL_BLOCK) {
            status = wall_rates(self, work, axis, upper != 0, first,
                n - first < WALL_BLOCK ? n - first : WALL_BLOCK, fault);
        }
    }
    return status;
}

static int
all_walls(assembly_t *self, rtl_fault_t *fault)
{
    work_t work;
    int status = work_init(&work, self->grid->dim);

    for (size_t k = 0; status == 0 && k < self->grid->dim; k++) {
        status = axis_walls(self, &work, k, fault);
    }
    work_free(&work);
    return status;
}

static int
fill_rows(rtl_generator_t *self, const assembly_t *assembly, rtl_monitor_t *monitor)
{
    const rtl_grid_t *grid = assembly->grid;
    size_t e = 0, other = 0, n = grid->n_cells;
    double h = 0.0;
    int status = 0;

    for (size_t i = 0; status == 0 && i < n; i++) {
        if (i % 65536 == 0) {
            status = rtl_monitor_poll(monitor, 1.0);
        }
        self->start[i] = e;
        for (size_t k = 0; k < grid->dim; k++) {
            if (rtl_grid_previous(grid, i, k, &other)) {
                self->source[e] = (int32_t) other;
                self->rate[e++] = assembly->up[k * n + other];
                self->exit_rate[i] += assembly->down[k * n + other];
            }
            if (rtl_grid_next(grid, i, k, &other, &h)) {
                self->source[e] = (int32_t) other;
                self->rate[e++] = assembly->down[k * n + i];
                self->exit_rate[i] += assembly->up[k * n + i];
            }
        }
    }
    self->start[n] = e;
    self->n_entries = e;
    return status;
}

static int
run_part(assembly_t *self, rtl_task_fn task, size_t n_tasks, double begin,
    size_t n_threads, rtl_monitor_t *monitor, rtl_fault_t *fault)
{
    double all = (double) ((1 + self->grid->dim) * self->n_chunks);
    rtl_monitor_part_t part = {monitor, begin / all, (double) n_tasks / all};
    rtl_monitor_t scaled = rtl_monitor_part(&part);
    size_t threads = rtl_model_thread_safe(self->model) ? n_threads : 1;
    int status = rtl_parallel_run(task, self, n_tasks, threads, &scaled);

    for (size_t t = n_tasks; fault != NULL && status != 0 && t-- > 0;) {
        if (self->chunk[t].fault.what != NULL) { /* the first one stays */
            *fault = self->chunk[t].fault;
        }
    }
    return status;
}

static int
assemble_diagonal(rtl_generator_t *self, const rtl_model_t *model,
    const rtl_grid_t *grid, double *peclet, size_t n_threads, rtl_monitor_t *monitor,
    rtl_fault_t *fault)
{
    assembly_t assembly = {0};
    int status = assembly_init(&assembly, model, grid);
    size_t n_chunks = assembly.n_chunks, n_faces = grid->dim * n_chunks;

    if (status == 0) {
        status =
            run_part(&assembly, centres_task, n_chunks, 0.0, n_threads, monitor, fault);
    }
    if (status == 0) {
        status = run_part(&assembly, faces_task, n_faces, (double) n_chunks, n_threads,
            monitor, fault);
    }
    if (status == 0) {
        status = all_walls(&assembly, fault);
    }
    if (status == 0) {
        status = rtl_generator_init(self, grid->n_cells, 2 * grid->dim * grid->n_cells);
    }
    if (status == 0) {
        status = fill_rows(self, &assembly, monitor);
        rtl_generator_kill(self, assembly.killing);
        assembly.killing = NULL;
        *peclet = 0.0;
        for (size_t k = 0; k < n_faces; k++) {
            *peclet = fmax(*peclet, assembly.chunk[k].peclet);
            self->n_upwind += assembly.chunk[k].n_upwind;
        }
    }
    assembly_free(&assembly);
    if (status != 0) {
        rtl_generator_free(self);
    }
    return status;
}

int
rtl_finite_volume_assemble(rtl_generator_t *self, const rtl_model_t *model,
    const rtl_grid_t *grid, double *peclet, size_t n_threads, rtl_monitor_t *monitor,
    rtl_fault_t *fault)
{
    memset(self, 0, sizeof *self);
    if (model->dim != grid->dim) {
        return RTL_BAD_ARGUMENT;
    }
    int status =
        assemble_diagonal(self, model, grid, peclet, n_threads, monitor, fault);
    if (status == RTL_NOT_DIAGONAL) { /* mostly seen at the first cells */
        status = rtl_finite_volume_tensor_assemble(
            self, model, grid, peclet, monitor, fault);
    }
    return status;
}
