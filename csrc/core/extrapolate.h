/* SPDX-License-Identifier: MIT */
/* From second moments of increments at a place to R at lag zero, and its error.
 *
 *     C_j = (M(plus) - M(minus)) / (T(plus) - T(minus)),   M(l) = <dx dx^T> -
 * <dx><dx>^T R   = sum_j a_j 1/2 log det C_j,  sum_j a_j = 1,  sum_j a_j T_j^p = 0, p =
 * 1, 2
 *
 * where what linear drift adds to each is taken off first, if the slopes of mean
 * increments are known. Without `minus` C_j is the covariance over one lag per unit
 * time. With it, white measurement noise, which adds 2 Sigma to each M, drops out; for
 * lags l and 2 l it is the covariance-based estimator of Vestergaard, Blainey &
 * Flyvbjerg (2014, PRE 89, 022726). Where Sigma is known, and the same everywhere, 2
 * Sigma is subtracted instead. */
#ifndef RTL_EXTRAPOLATE_H
#define RTL_EXTRAPOLATE_H

#include "cells.h"

enum { RTL_EXTRAPOLATE_TERMS = 3, RTL_EXTRAPOLATE_NONE = 99 };

typedef struct {
    size_t dim, n_lags;
    size_t lags[RTL_INCREMENTS_LAGS];
    size_t n_terms;
    size_t plus[RTL_EXTRAPOLATE_TERMS];  /* numbers of lags */
    size_t minus[RTL_EXTRAPOLATE_TERMS]; /* likewise, or NONE */
    /* With `known`, for which there is no `minus`, and a lag twice that of the first
     * term: Sigma, (dim, dim), and the variances with which its diagonal is known. */
    bool known;
    double noise[RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM];
    double noise_variance[RTL_INCREMENTS_DIM];
} rtl_extrapolate_t;

enum { RTL_EXTRAPOLATE_MOMENTS = RTL_INCREMENTS_DIM * (RTL_INCREMENTS_DIM + 1) / 2 };

/* Weighted means over increments at a place, with weights g that sum to 1. */
typedef struct {
    double time[RTL_INCREMENTS_LAGS], weight[RTL_INCREMENTS_LAGS]; /* as in cells.h */
    double increment[RTL_INCREMENTS_LAGS][RTL_INCREMENTS_DIM];
    double square[RTL_INCREMENTS_LAGS][RTL_EXTRAPOLATE_MOMENTS];
    double quartic[RTL_INCREMENTS_DIM]; /* of dx, at the first lag */
    bool sloped;                        /* the next two are known */
    double slope[RTL_INCREMENTS_LAGS][RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM];
    /* of mean increments: of dx_i along x_k at i dim + k */
    double slope_share[RTL_INCREMENTS_DIM * RTL_INCREMENTS_DIM]; /* as `share` */
    double
        unequal; /* sum g^2 c^2 / (sum g^2 c_0^2), c the covariance where each starts */
    double share;  /* sum g^2 over increments */
    double centre; /* g of an increment that starts at the place itself */
    double rho[RTL_INCREMENTS_LONGEST + 1]; /* sum_s g_s g_{s+k} / sum_s g_s^2 */
    double score[RTL_INCREMENTS_DIM]; /* gradient of log p, p the starts' density */
    /* What errors of the starts add to M of the first term, a mean with weights f;
     * zeros where that is not known. */
    double displaced[RTL_EXTRAPOLATE_MOMENTS];
    double displaced_share, displaced_overlap,
        displaced_centre; /* sums of f^2, f g; f */
} rtl_extrapolate_place_t;

typedef struct {
    double rattling, error; /* NaN where they cannot be had */
    double effect;          /* what the lag adds to R at the first term */
    double effect_error;    /* its standard error */
    double displaced;       /* what errors of the starts add to R */
    double remainder;       /* size of what the extrapolation leaves: effect^terms */
    double n_eff;           /* independent increments behind C */
    double kurtosis;        /* excess, of increments over the first lag, axes' mean */
    double weight_of_square[RTL_INCREMENTS_LAGS]; /* dR in units of d log det M/2 */
} rtl_extrapolate_out_t;

/* rho where weights fall off like Gaussians of variances `spread`, (dim,), and starts
 * diffuse, as the squares at the place say. */
void rtl_extrapolate_diffuse(const rtl_extrapolate_t *self,
    rtl_extrapolate_place_t *place, const double *spread);

/* The first C_j, (dim, dim), and the drift, (dim,), which is
 *
 *     (<dx(plus)> - <dx(minus)>)/(t(plus) - t(minus)),
 *
 * free of what an error of the start adds to both; NaN where there is none. Where Sigma
 * is known it is taken between that lag and twice that lag. */
void rtl_extrapolate_covariance(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *place, double *covariance, double *drift);

/* Take what comes from squares of mean increments off place->displaced; `drift`,
 * (dim,), is the mean of these with the weights f. */
void rtl_extrapolate_centre_displaced(
    const rtl_extrapolate_t *self, const double *drift, rtl_extrapolate_place_t *place);

/* R and what belongs to it. With `wide` not NULL, the same place seen with a larger
 * bandwidth, what the lag adds to R is taken from there, where it scatters less. */
rtl_extrapolate_out_t rtl_extrapolate_conclude(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *place, const rtl_extrapolate_place_t *wide);

/* Covariance of the R of two bandwidths: a narrow fit gives back smooth functions, such
 * as the wide one's g, so that sum g_narrow g_wide is g_wide at the place. */
double rtl_extrapolate_common(const rtl_extrapolate_t *self,
    const rtl_extrapolate_place_t *wide, const rtl_extrapolate_out_t *of_narrow,
    const rtl_extrapolate_out_t *of_wide);

#endif
