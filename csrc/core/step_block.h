/* SPDX-License-Identifier: MIT */
/* Consecutive paths on their way, what moves them, and room to work in. */
#ifndef RTL_STEP_BLOCK_H
#define RTL_STEP_BLOCK_H

#include "model_noise.h"
#include "random.h"
#include "step_walls.h"

typedef enum {
    RTL_EULER_MARUYAMA, /* the model's Ito drift */
    RTL_HEUN,           /* what the model calls its Ito drift is the Stratonovich one */
    RTL_MILSTEIN,       /* needs `second` */
    RTL_PLATEN          /* weak order 2, without derivatives */
} rtl_scheme_t;

/* What the steps of all paths share. */
typedef struct {
    const rtl_model_t *model; /* borrowed */
    rtl_scheme_t scheme;
    rtl_field_t second; /* (G_j . grad) G_l for l <= j in the order 00, 10, 11, 20, ...:
                           (dim, m (m + 1) / 2, n) for m columns of G; Milstein only */
    rtl_walls_t walls;
    rtl_random_t random;
    double dt; /* time step */
} rtl_step_t;

typedef struct {
    size_t first, n; /* the paths */
    size_t columns;  /* normals a step */
    double *x;       /* (dim, n) state; owned, as are the others */
    double *next;    /* (dim, n) state after the step */
    double *ended;   /* (dim, n) where paths have ended, during a step; NULL: no wall
                        absorbs */
    double *drift;   /* (dim, n) f */
    double *noise;  /* behind the drift: (rows, n) where Euler-Maruyama meets a diagonal
                       D; else its root  L, or G: (dim, columns, n) */
    size_t rows;    /* dim, or 1 for all axes; 0: the noise is not kept as rows */
    bool amplitude; /* the rows are of G as it was given, not of D */
    double *room;   /* as many rows as the scheme needs */
    double *point;  /* rows of the joint tape, for one path; NULL: no such tape */
    double *normals; /* (columns, 2, n_pairs, n), see random.h */
    size_t n_pairs;
    uint64_t first_pair; /* of those in `normals`; far away at first */
    bool finite;         /* `next` is known to be finite */
    double *exit_time;   /* (n,) NaN: on its way; NULL: no wall absorbs. Borrowed */
} rtl_step_block_t;

int rtl_step_block_init(rtl_step_block_t *self, const rtl_step_t *method, size_t first,
    size_t n) RTL_MUST_CHECK;
void rtl_step_block_free(rtl_step_block_t *self);

/* Draw the normals of a step and some after it. */
void rtl_step_block_draw(
    rtl_step_block_t *self, const rtl_step_t *method, uint64_t step);

/* The same unless they are there; after this rtl_step_block_normal has those of one
 * column, (n,). */
static inline void
rtl_step_block_prepare(rtl_step_block_t *self, const rtl_step_t *method, uint64_t step)
{
    if (step / 2 - self->first_pair >= self->n_pairs) { /* 2^64 - 1 where it is less */
        rtl_step_block_draw(self, method, step);
    }
}

/* Where they begin in `normals`. */
static inline size_t
rtl_step_block_place(const rtl_step_block_t *self, uint64_t step, size_t column)
{
    size_t pair = (size_t) (step / 2 - self->first_pair);

    return ((2 * column + (size_t) (step % 2)) * self->n_pairs + pair) * self->n;
}

static inline const double *
rtl_step_block_normal(const rtl_step_block_t *self, uint64_t step, size_t column)
{
    return self->normals + rtl_step_block_place(self, step, column);
}

#endif
