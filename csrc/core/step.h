/* SPDX-License-Identifier: MIT */
/* One step of a block of paths: a scheme's move, then the walls.
 *
 * Absorbing walls end a path: it stays where it has met the wall. A path that is inside
 * before and after the step has met a wall at distances a, b from it with probability
 * exp(-2 a b / v), v = 2 D_kk dt, as the Brownian bridge between has. */
#ifndef RTL_STEP_H
#define RTL_STEP_H

#include "step_block.h"

/* Whether the parts fit together: time step, walls, and Milstein's field. */
bool rtl_step_check(const rtl_step_t *self);

/* Take a block from *step to `end`. Where the numbers are at fault it stops at that
 * step, whose state is left as it was, and *path (counted in the block) and `fault` say
 * where. A state that is not finite after the step is RTL_NOT_FINITE with fault->what =
 * "path". */
int rtl_step_run(const rtl_step_t *self, rtl_step_block_t *block, uint64_t *step,
    uint64_t end, size_t *path, rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
