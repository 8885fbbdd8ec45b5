/* SPDX-License-Identifier: MIT */
/* A second-order flux that stays positive, as a reweighting of the generator's rates.
 *
 * The exponentially fitted flux through a face is w_ab P_a - w_ba P_b = L(w_ab P_a,
 * w_ba P_b) X with the force X = log(w_ab P_a / (w_ba P_b)) and the logarithmic mean
 * L(u, v) = (u - v)/log(u/v). Where drift is strong its mobility is that of upwinding.
 * Diffusion alone has the rates v_ab = D_a/(h width_a); the flux
 *
 *     L(v_ab P_a, v_ba P_b) X
 *
 * has the same zero and second order whatever the drift. It is the flux of the chain
 * whose two rates are both multiplied by m = L(v_ab P_a, v_ba P_b) / L(w_ab P_a,
 * w_ba P_b) > 0, so that its solution is the steady state of a Markov chain. As m
 * depends on P the chain is solved a few times. */
#ifndef RTL_LOG_MEAN_H
#define RTL_LOG_MEAN_H

#include "finite_volume.h"

typedef struct {
    const rtl_generator_t *chain; /* assembled on grid; borrowed */
    const rtl_grid_t *grid;       /* borrowed */
    double *diffusion;            /* (dim, n) D at the cells' centres; NULL of an
                                   * oblique chain; owned */
    rtl_generator_t reweighted;   /* the chain with its rates times m; owned */
} rtl_log_mean_t;

/* `reweighted` starts as a copy of the chain. Of an oblique chain the rates without
 * drift come from those with it, w = L(w_ab V_a, w_ba V_b). */
int rtl_log_mean_init(rtl_log_mean_t *self, const rtl_generator_t *chain,
    const rtl_model_t *model, const rtl_grid_t *grid, rtl_fault_t *fault)
    RTL_MUST_CHECK;
void rtl_log_mean_free(rtl_log_mean_t *self);

/* Rates of `reweighted` at y = log p. Faces keep their own rates (m = 1) where one of
 * the cells has y < floor, a rate is 0, or m is beyond what a resolved face can have.
 */
void rtl_log_mean_reweigh(rtl_log_mean_t *self, const double *y, double floor);

/* What y misses of the balance of this flux: sum_i |inflow - outflow of i| over all
 * jumps there are, from the flux's definition and not from `reweighted`. net (n,) is
 * for work. */
double rtl_log_mean_defect(
    const rtl_log_mean_t *self, const double *y, double floor, double *net);

/* The factor m of a face: rates up and down, those of diffusion alone, log P_a, log
 * P_b. */
double rtl_log_mean_factor(double up, double down, double free_up, double free_down,
    double y_low, double y_high);

#endif
