/* SPDX-License-Identifier: MIT */
/* A diffusion process: drift and diffusion as functions over blocks of points.
 *
 *     dx = F dt + G o_alpha dW,   D = G G^T / 2,
 *
 * alpha = 0 (Ito), 1/2 (Stratonovich), 1 (anti-Ito, Hanggi-Klimontovich). Everything
 * downstream takes the Ito drift f and D from here and knows no other convention. */
#ifndef RTL_MODEL_H
#define RTL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

/* Values at n points: x is (dim, n), out is (n_out, n), both C-contiguous. Returns 0,
 * or anything else to stop. */
typedef int (*rtl_block_fn)(const double *x, double *out, intptr_t n, void *data);

typedef struct {
    rtl_block_fn evaluate;
    void *data;       /* passed to evaluate; borrowed */
    size_t n_out;     /* rows evaluate writes */
    bool thread_safe; /* may run on several threads at once */
} rtl_field_t;

typedef enum { RTL_ITO, RTL_STRATONOVICH, RTL_ANTI_ITO } rtl_interpretation_t;

typedef enum {
    RTL_DIFFUSION_SCALAR,         /* D = d I:   (1, n)        */
    RTL_DIFFUSION_DIAGONAL,       /* D = diag:  (dim, n)      */
    RTL_DIFFUSION_TENSOR,         /* D full:    (dim, dim, n) */
    RTL_DIFFUSION_NOISE_SCALAR,   /* G = g I:  (1, n)   */
    RTL_DIFFUSION_NOISE_DIAGONAL, /* G = diag: (dim, n) */
    RTL_DIFFUSION_NOISE           /* G full:   (dim, n_noise, n) */
} rtl_diffusion_kind_t;

typedef struct {
    size_t dim;
    rtl_interpretation_t interpretation;
    rtl_diffusion_kind_t kind;
    size_t n_noise;         /* columns of G when kind is RTL_DIFFUSION_NOISE */
    rtl_field_t drift;      /* F: (dim, n) */
    rtl_field_t diffusion;  /* by kind */
    rtl_field_t divergence; /* (div D)_i = d_k D_ik: (dim, n); evaluate is NULL where
                             * nobody knows it */
    rtl_field_t joint; /* a tape of drift, then diffusion; evaluate may be NULL. For
                        * Ito models, and Euler-Maruyama alone */
    double length; /* over which D or G changes, for finite differences; 0 where it is
                    * not known */
} rtl_model_t;

/* Check that the parts fit together; the struct itself owns nothing. RTL_AMBIGUOUS:
 * Stratonovich with a full tensor D and no G. */
int rtl_model_check(const rtl_model_t *self) RTL_MUST_CHECK;

/* Both fields may run on several threads at once. */
bool rtl_model_thread_safe(const rtl_model_t *self);

/* Whether D is diagonal by construction (scalar, diagonal, or dim = 1). */
bool rtl_model_is_diagonal(const rtl_model_t *self);

/* Ito drift f at n points, (dim, n). Values are checked to be finite; `fault` (may be
 * NULL) receives the first point where they are not. RTL_CALLBACK: a user's function
 * returned something other than 0, which is in fault->value. For an interpretation
 * other than Ito the noise-induced drift is added from central differences of step
 * cbrt(epsilon) * length, or cbrt(epsilon) * max(1, |x_k|) where no length is given, so
 * the diffusion is evaluated that far beyond the points too. */
int rtl_model_drift(const rtl_model_t *self, const double *x, size_t n, double *f,
    rtl_fault_t *fault) RTL_MUST_CHECK;

/* Diagonal of D at n points, (dim, n), checked finite and >= 0. Off-diagonal values
 * beyond round-off are RTL_NOT_DIAGONAL. */
int rtl_model_diagonal(const rtl_model_t *self, const double *x, size_t n, double *d,
    rtl_fault_t *fault) RTL_MUST_CHECK;

/* Full D at n points, (dim, dim, n), checked finite, with a diagonal >= 0, symmetric
 * up to round-off (and then made so exactly) and positive semidefinite. */
int rtl_model_tensor(const rtl_model_t *self, const double *x, size_t n, double *d,
    rtl_fault_t *fault) RTL_MUST_CHECK;

/* div D at n points, (dim, n), checked finite. The model knows it. */
int rtl_model_divergence(const rtl_model_t *self, const double *x, size_t n,
    double *out, rtl_fault_t *fault) RTL_MUST_CHECK;

/* Exact rattling R = 1/2 log det 2D at n points; -inf where D is singular. */
int rtl_model_rattling(const rtl_model_t *self, const double *x, size_t n, double *r,
    rtl_fault_t *fault) RTL_MUST_CHECK;

#endif
