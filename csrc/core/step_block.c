/* SPDX-License-Identifier: MIT */
#include "step_block.h"

#include <string.h>

#include "expression.h"
#include "memory.h"

/* Normals are drawn for so many (path, pair of steps) at once, if that is one pair of
 * steps or more: few paths get many steps in one go. */
enum { DRAWN = 128 };

/* Rows of room that the scheme needs, see step_scheme.c. */
static size_t
count_rows(const rtl_step_t *method, size_t columns)
{
    size_t dim = method->model->dim, matrix = dim * columns;

    switch (method->scheme) {
    case RTL_HEUN:
        return 2 + 2 * dim + matrix;
    case RTL_MILSTEIN:
        return 2 + 1 + dim * (columns * (columns + 1) / 2);
    case RTL_PLATEN:
        return 2 + 2 * dim + 2 * matrix + columns * (columns - 1) / 2;
    default:
        return 2;
    }
}

/* One path of a model whose drift and diffusion are one tape. */
static int
init_point(rtl_step_block_t *self, const rtl_field_t *joint)
{
    if (self->n > 1 || self->rows == 0 || joint->evaluate != rtl_expression_evaluate) {
        return 0;
    }
    const rtl_expression_t *tape = joint->data;
    self->point = rtl_memory_alloc(tape->n_rows, sizeof *self->point);
    if (self->point == NULL) {
        return RTL_NO_MEMORY;
    }
    rtl_expression_load(tape, self->point);
    return 0;
}

int
rtl_step_block_init(
    rtl_step_block_t *self, const rtl_step_t *method, size_t first, size_t n)
{
    size_t dim = method->model->dim;

    memset(self, 0, sizeof *self);
    self->first = first;
    self->n = n;
    self->columns = method->scheme == RTL_EULER_MARUYAMA
                        ? dim
                        : rtl_model_noise_columns(method->model);
    self->n_pairs = n < DRAWN ? DRAWN / n : 1;
    self->first_pair = UINT64_MAX / 2;
    if (method->scheme == RTL_EULER_MARUYAMA && rtl_model_is_diagonal(method->model)) {
        rtl_diffusion_kind_t kind = method->model->kind;
        self->rows = kind == RTL_DIFFUSION_NOISE ? dim : method->model->diffusion.n_out;
        self->amplitude =
            kind == RTL_DIFFUSION_NOISE_SCALAR || kind == RTL_DIFFUSION_NOISE_DIAGONAL;
    }
    self->x = rtl_memory_alloc(n, dim * sizeof(double));
    self->next = rtl_memory_alloc(n, dim * sizeof(double));
    bool ends = rtl_step_walls_absorb(&method->walls, dim);
    self->ended = ends ? rtl_memory_alloc(n, dim * sizeof(double)) : NULL;
    self->drift = rtl_memory_alloc(n, dim * (1 + self->columns) * sizeof(double));
    self->room =
        rtl_memory_alloc(n, count_rows(method, self->columns) * sizeof(double));
    self->normals =
        rtl_memory_alloc(n * self->n_pairs, 2 * self->columns * sizeof(double));
    if (self->x == NULL || self->next == NULL || self->drift == NULL ||
        self->room == NULL || self->normals == NULL || (ends && self->ended == NULL) ||
        init_point(self, &method->model->joint) != 0) {
        rtl_step_block_free(self);
        return RTL_NO_MEMORY;
    }
    self->noise = self->drift + dim * n;
    return 0;
}

void
rtl_step_block_free(rtl_step_block_t *self)
{
    rtl_memory_free(self->x);
    rtl_memory_free(self->next);
    rtl_memory_free(self->ended);
    rtl_memory_free(self->drift);
    rtl_memory_free(self->room);
    rtl_memory_free(self->point);
    rtl_memory_free(self->normals);
    memset(self, 0, sizeof *self);
}

void
rtl_step_block_draw(rtl_step_block_t *self, const rtl_step_t *method, uint64_t step)
{
    self->first_pair = step / 2;
    rtl_random_normal_pairs(&method->random, self->first, self->n, self->first_pair,
        self->n_pairs, self->columns, self->normals);
}
