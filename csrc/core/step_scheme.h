/* SPDX-License-Identifier: MIT */
/* One step of each scheme for a block of paths, without walls: block->next from
 * block->x. With f the Ito drift, F the Stratonovich one, dW = sqrt(dt) xi:
 *
 *     Euler-Maruyama  x + f dt + G dW
 *     Heun            x + (F + F*) dt / 2 + (G + G*) dW / 2,   * at x + F dt + G dW
 *     Milstein        x + f dt + G dW + sum_jl (G_j . grad) G_l (dW_j dW_l - d_jl dt)/2
 *     Platen          see step_scheme.c */
#ifndef RTL_STEP_SCHEME_H
#define RTL_STEP_SCHEME_H

#include "step_block.h"

/* Statuses of the model; the normals of the step are drawn already. Support points
 * beyond walls are folded into the box before the model sees them. */
int rtl_step_scheme_move(const rtl_step_t *method, rtl_step_block_t *block,
    uint64_t step, rtl_fault_t *fault) RTL_MUST_CHECK;

/* Euler-Maruyama of one path with a diagonal D from *step to `end`, with walls that
 * reflect. Stops before a step that does not give finite numbers, for
 * rtl_step_scheme_move to say why. */
int rtl_step_scheme_path(const rtl_step_t *method, rtl_step_block_t *block,
    uint64_t *step, uint64_t end, rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
