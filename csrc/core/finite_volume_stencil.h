/* SPDX-License-Identifier: MIT */
/* What a full diffusion tensor makes of each cell: offsets to jump along, and the force
 * that drives the jumps.
 *
 *     D = sum_k weight_k e_k e_k^T in units of the cells (selling.h),
 *     f - div D = sum_k carry_k (b . e_k) e_k */
#ifndef RTL_FINITE_VOLUME_STENCIL_H
#define RTL_FINITE_VOLUME_STENCIL_H

#include <stdint.h>

#include "grid.h"
#include "model.h"
#include "monitor.h"
#include "selling.h"

typedef struct {
    const rtl_model_t *model;  /* borrowed */
    const rtl_grid_t *grid;    /* borrowed */
    int longest[RTL_MAX_DIM];  /* components of offsets: the root of the number of cells
                                */
    int shortest[RTL_MAX_DIM]; /* the cube root, for tensors that are nearly singular */
    size_t most;               /* offsets a cell */
    int8_t *offset;            /* (n_cells, most, dim); owned */
    double *weight;            /* (n_cells, most); owned */
    double *carry;     /* (n_cells, most) = weight, but more along the axes where D
                        * is singular or was added to; 0 beyond the last; owned */
    double *force;     /* (n_cells, dim) b; where D is regular J = D (b p - grad p);
                        * owned */
    double *ito_force; /* (n_cells, dim) the same for f instead; owned */
    uint8_t *relaxed;  /* (n_cells,) 1: D is singular, 2: it was added to; owned */
    double *tangent[RTL_MAX_DIM]; /* (shape,) dx/di of each axis' centres; owned */
    double added;                 /* see generator.h */
    double *work;                 /* of one block; owned */
} rtl_finite_volume_stencil_t;

enum { RTL_STENCIL_BLOCK = 512 };

/* Evaluates the model at all centres. RTL_ANISOTROPIC, with the point in *fault. */
int rtl_finite_volume_stencil_init(rtl_finite_volume_stencil_t *self,
    const rtl_model_t *model, const rtl_grid_t *grid, rtl_monitor_t *monitor,
    rtl_fault_t *fault) RTL_MUST_CHECK;
void rtl_finite_volume_stencil_free(rtl_finite_volume_stencil_t *self);

/* Which offset of a cell e is (its first component that is not 0 is positive): its
 * place in weight and carry. False if it is none. */
bool rtl_finite_volume_stencil_find(const rtl_finite_volume_stencil_t *self,
    size_t cell, const int8_t *e, size_t *place);

/* D of a cell in units of the cells, (dim, dim), from its offsets. */
void rtl_finite_volume_stencil_tensor(
    const rtl_finite_volume_stencil_t *self, size_t cell, double *d);

#endif
