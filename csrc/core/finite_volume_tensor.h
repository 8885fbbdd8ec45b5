/* SPDX-License-Identifier: MIT */
/* The generator of a model with a full diffusion tensor: jumps along lattice offsets.
 *
 * See finite_volume_tensor.c for the rates; the arguments are those of
 * rtl_finite_volume_assemble, which calls this where the tensor is not diagonal. Rows
 * of the generator are in the order of their sources, and it is marked oblique. It is
 * consistent where the widths of the cells of an axis change smoothly.
 * RTL_ANISOTROPIC: see selling.h. */
#ifndef RTL_FINITE_VOLUME_TENSOR_H
#define RTL_FINITE_VOLUME_TENSOR_H

#include "generator.h"
#include "grid.h"
#include "model.h"
#include "monitor.h"

int rtl_finite_volume_tensor_assemble(rtl_generator_t *self, const rtl_model_t *model,
    const rtl_grid_t *grid, double *peclet, rtl_monitor_t *monitor, rtl_fault_t *fault)
    RTL_MUST_CHECK;

#endif
