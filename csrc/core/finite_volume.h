/* SPDX-License-Identifier: MIT */
/* From a model on a grid to a Markov generator: exponentially fitted finite volumes.
 *
 * J = f p - d(D p)/dx on the faces; see finite_volume.c for the rates. A new boundary
 * condition begins in grid.h (its name, who neighbours whom) and ends in axis_faces,
 * axis_walls and fill_rows here. */
#ifndef RTL_FINITE_VOLUME_H
#define RTL_FINITE_VOLUME_H

#include "generator.h"
#include "grid.h"
#include "model.h"
#include "monitor.h"

/* The generator of a model. With diagonal diffusion the entries of row i stand in the
 * order of the axes, the lower neighbour before the upper one, so their places follow
 * from the grid alone; else see finite_volume_tensor.h. Nothing is evaluated outside
 * the box. *peclet receives the largest |integral of D^-1 f| along a link, but for the
 * self->n_upwind links where D vanishes and it is infinite. A
 * model that is not thread safe is evaluated by the calling thread alone. */
int rtl_finite_volume_assemble(rtl_generator_t *self, const rtl_model_t *model,
    const rtl_grid_t *grid, double *peclet, size_t n_threads, rtl_monitor_t *monitor,
    rtl_fault_t *fault) RTL_MUST_CHECK;

/* Bernoulli function z / (exp(z) - 1), for any finite z. */
double rtl_finite_volume_bernoulli(double z);

#endif
